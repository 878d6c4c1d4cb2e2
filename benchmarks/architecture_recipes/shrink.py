"""Shrink the configuration of any model type: a table of sizes, and per-type overrides.

A size is passed only to a configuration that has a field of that name, so one table serves all
types; `overrides.py` holds what a type needs beyond it. Knows nothing of weights.
"""

import dataclasses
from typing import Any

from transformers import PreTrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from .overrides import OVERRIDES

WIDTH, LAYERS, HEADS, VOCABULARY, CONTEXT = 32, 3, 4, 160, 64


def _same(names: str, size: Any) -> dict[str, Any]:
    return dict.fromkeys(names.split(), size)


SIZES: dict[str, Any] = {
    **_same("vocab_size vocab_size_per_layer_input", VOCABULARY),
    **_same("hidden_size d_model n_embd embedding_dim lru_width", WIDTH),
    **_same("num_hidden_layers n_layer n_layers num_layers num_blocks decoder_layers", LAYERS),
    **_same("num_attention_heads n_head n_heads num_heads attention_heads", HEADS),
    **_same("decoder_attention_heads linear_num_value_heads linear_num_heads", HEADS),
    **_same("mamba_n_heads mamba_num_heads n_mamba_heads swa_num_attention_heads", HEADS),
    **_same("num_key_value_heads num_kv_heads linear_num_key_heads", 2),
    **_same("swa_num_key_value_heads n_groups mamba_n_groups mamba_ngroups", 2),
    **_same("max_position_embeddings n_positions n_ctx max_seq_len context_length", CONTEXT),
    **_same("max_target_positions max_source_positions", CONTEXT),
    **_same("original_max_position_embeddings", CONTEXT),
    **_same("intermediate_size ffn_dim decoder_ffn_dim ffn_hidden_size d_inner dff dim_ff", 48),
    **_same("intermediate_size_mlp dense_intermediate_size prefix_dense_intermediate_size", 48),
    **_same("moe_intermediate_size shared_expert_intermediate_size expert_ffn_hidden_size", 24),
    **_same("shared_intermediate_size shared_experts_intermediate_size", 24),
    **_same("moe_shared_expert_intermediate_size", 24),
    **_same("num_experts num_local_experts n_routed_experts moe_num_experts", 4),
    **_same("zero_expert_num", 2),
    **_same("num_experts_per_tok moe_topk moe_k top_k_experts n_group topk_group", 2),
    **_same("n_shared_experts num_shared_experts moe_num_shared_experts", 1),
    **_same("head_dim d_head dim_head kv_channels v_head_dim", 8),
    **_same("attention_head_dim swa_head_dim global_head_dim", 8),
    **_same("linear_key_head_dim linear_value_head_dim linear_head_dim", 8),
    **_same("index_head_dim index_topk q_lora_rank kv_lora_rank o_lora_rank", 8),
    **_same("qk_nope_head_dim qk_rope_head_dim", 8),
    **_same("rotary_dim index_n_heads d_rel", 4),
    **_same("sliding_window window_size attention_window_size", 4),
    **_same("sliding_window_size local_attention attention_chunk_size", 4),
    **_same("mamba_d_state state_size ssm_state_size", 8),
    **_same("mamba_chunk_size chunk_size block_size index_block_size", 8),
    **_same("mamba_dt_rank time_step_rank", 4),
    **_same("query_pre_attn_scalar hidden_size_per_layer_input laurel_rank", 8),
    # No randomness: what is dropped differs from pass to pass.
    **_same("attention_dropout hidden_dropout resid_pdrop embd_pdrop attn_pdrop dropout", 0.0),
    "activation_dropout": 0.0,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "initializer_range": 0.2,
    "attn_implementation": "eager",
}


def shrunk_config(kind: str) -> PreTrainedConfig:
    """Return a tiny configuration of one model type.

    Raises:
        Exception: whatever the configuration's own checks raise.
    """
    return _shrink(CONFIG_MAPPING[kind], OVERRIDES.get(kind, {}))


def _shrink(config_class: type[PreTrainedConfig], override: dict[str, Any]) -> PreTrainedConfig:
    fields = {field.name for field in dataclasses.fields(config_class)}
    settings = {name: size for name, size in SIZES.items() if name in fields}
    if "qk_rope_head_dim" in fields and "head_dim" in fields:
        settings["head_dim"] = settings["qk_rope_head_dim"]  # rotary tables are of this width
    if "kv_lora_rank" in fields and "num_key_value_heads" in fields:
        settings["num_key_value_heads"] = HEADS  # latent attention does not group heads
    parts = {**(config_class.sub_configs or {}), **config_class.sub_configs_defaults}
    for name, part in parts.items():
        part_class = _part_class(part)
        if part_class is not None:
            of_part = OVERRIDES.get(part_class.model_type, {})
            settings[name] = _shrink(part_class, {**of_part, **override.get(name, {})})
    settings.update((name, value) for name, value in override.items() if name not in parts)
    return config_class(**settings)


def _part_class(part: Any) -> type[PreTrainedConfig] | None:
    """Return the configuration class of a part: named directly, or by its model type."""
    kind = getattr(part, "model_type", None)
    named = getattr(part, "config_class", part)
    if isinstance(named, type) and issubclass(named, PreTrainedConfig):
        return named
    return CONFIG_MAPPING[kind] if kind else None
