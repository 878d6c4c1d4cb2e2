"""What single model types need beyond the common table of sizes."""

from typing import Any

ALL_HEADS = {"num_key_value_heads": 4}

HYBRIDS = {"num_hidden_layers": 4, "layers_block_type": ["linear_attention", "hybrid"] * 2}

OVERRIDES: dict[str, dict[str, Any]] = {
    "bert-generation": {"is_decoder": True},
    "blt_local_encoder": {"hidden_size_global": 32},
    "blt_local_decoder": {"hidden_size_global": 32},
    "blt": {"encoder_hash_byte_group_vocab": 50},
    "cohere_compass_text": {
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        "rope_parameters": {
            kind: {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]}
            for kind in ("sliding_attention", "full_attention")
        },
    },
    "dbrx": {"attn_config": {"rope_theta": 10000.0, "clip_qkv": 8}},
    "dots3_note_text": ALL_HEADS,
    "dots3_note_vision_encoder": {
        "mlp_layer_types": ["dense"] * 3,
        "adapter_in_dim": 32,
        "adapter_out_dim": 32,
    },
    "dots3_note_audio_encoder": {"adapter_input_size": 32, "adapter_out_dim": 32},
    "encodec": {"hidden_size": 128},
    "gemma3n_text": {"num_kv_shared_layers": 0},
    "gemma4_assistant": {
        "text_config": {"hidden_size_per_layer_input": 0, "vocab_size_per_layer_input": 0}
    },
    "gemma4_unified_assistant": {},
    "gpt_neo": {"attention_types": [[["global", "local", "global"], 1]]},
    "mamba2": {"num_heads": 8},
    "mpt": {"attn_config": {"attn_pdrop": 0}},
    "longcat_flash": {"num_key_value_heads": 4},
    "lfm2_moe": {"layer_types": ["conv", "full_attention", "conv"]},
    "xlnet": {"attn_type": "uni"},
    "zaya": {"num_experts_per_tok": 1},
    "zamba": HYBRIDS,
    "zamba2": HYBRIDS,
}

NOT_STANDALONE: dict[str, str] = {
    "gemma4_assistant": "a drafter: it reads the keys and values of another model",
    "gemma4_unified_assistant": "a drafter: it reads the keys and values of another model",
    "musicgen": "an encoder-decoder composite; transformers builds it from the decoder's part only",
    "musicgen_melody": "an encoder-decoder composite; transformers builds it from the decoder's "
    "part only",
}
"""Why a type cannot be built from its configuration alone."""
