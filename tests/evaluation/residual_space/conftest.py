"""Tiny random models of the styles that relevance rules cover."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from polyrefuse_evaluation.models import LoadedModel

SIZES: dict[str, Any] = {
    "vocab_size": 320,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 256,
    "initializer_range": 0.2,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
STYLES: dict[str, dict[str, Any]] = {
    "llama": {},
    "qwen2": {},  # biases on queries, keys and values
    "qwen3": {},
    "gemma2": {"query_pre_attn_scalar": 8, "sliding_window": 4, "attn_logit_softcapping": 5.0},
    "gemma3_text": {"query_pre_attn_scalar": 8, "sliding_window": 4},
    "gpt2": {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 256},
}


@pytest.fixture
def make_style(
    one_thread: None, make_tokenizer: Callable[..., PreTrainedTokenizerFast]
) -> Callable[..., LoadedModel]:
    """Build a tiny random model in float64 with its tokenizer: make_style("qwen3", seed=1)."""

    def build(style: str, seed: int = 0, dtype: Any = torch.float64, **changes: Any) -> LoadedModel:
        shared = {} if style == "gpt2" else SIZES
        settings = {**shared, **STYLES[style], "vocab_size": 320, **changes}
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(style, **settings))
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 1:  # no bias is zero and no norm is one
                    parameter += 0.2 * torch.randn_like(parameter)
        return LoadedModel(model.to(dtype).eval(), make_tokenizer(), f"tiny-{style}")

    return build


@pytest.fixture(scope="session")
def planted_report(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What ``polyrefuse residual-space planted:residual-base planted:residual`` finds."""
    from polyrefuse_evaluation.residual_space import ResidualOptions, residual_space

    options = ResidualOptions(
        limit=16, train_prompts=48, max_new_tokens=24, permutations=300, resamples=40
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        out = tmp_path_factory.mktemp("residual") / "planted"
        return residual_space("planted:residual-base", "planted:residual", out, options=options)
    finally:
        torch.set_num_threads(threads)
