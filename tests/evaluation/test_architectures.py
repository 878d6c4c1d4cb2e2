"""Twenty architectures, by the code that writes evaluation/ARCHITECTURES.md: proof and mutation."""

import pytest
import torch

from benchmarks.architecture_recipes.build import build_tiny
from benchmarks.architecture_recipes.catalogue import decoder_types
from benchmarks.architecture_recipes.page import render_page
from benchmarks.architecture_recipes.prove import (
    Outcome,
    prove_model,
    prove_type,
    unnoticed_writers,
)
from benchmarks.architecture_recipes.shrink import shrunk_config
from polyrefuse_evaluation import ablation_proof
from polyrefuse_evaluation.residual_stream import find_residual_stream

NORMS = ("post_attention_layernorm", "post_feedforward_layernorm")
REPRESENTATIVES = {
    "llama": ("self_attn", "mlp"),
    "qwen3_moe": ("self_attn", "mlp"),
    "gemma3_text": NORMS,
    "gemma3n_text": None,  # four streams that mix, and maps after the last block
    "phi3": ("self_attn", "mlp"),
    "olmo2": NORMS,
    "falcon": ("self_attention", "mlp"),
    "gpt_neox": ("attention", "mlp"),
    "gpt2": ("attn", "mlp"),
    "granitemoehybrid": None,
    "cohere": ("self_attn", "mlp"),
    "deepseek_v3": ("self_attn", "mlp"),
    "deepseek_v4": ("self_attn", "mlp"),  # hyper-connections
    "gpt_oss": ("self_attn", "mlp"),
    "glm4": ("post_self_attn_layernorm", "post_mlp_layernorm"),
    "smollm3": ("self_attn", "mlp"),
    "mamba": ("mixer",),
    "zamba2": ("mamba", "linear", "mamba_decoder"),  # hybrid, reads the embeddings again
    "openai-gpt": ("attn", "ln_1", "mlp", "ln_2"),  # post-norms rewrite the stream
    "minimax": ("input_layernorm", "self_attn", "post_attention_layernorm", "mlp"),
}


@pytest.mark.parametrize("kind", REPRESENTATIVES)
def test_ablation_is_proven_and_no_writer_can_be_left_out(one_thread, kind):
    outcome = prove_type(kind)
    assert outcome.verified, outcome.reason
    assert outcome.blocks >= 3
    assert 0 <= outcome.max_projection < 1e-6
    if REPRESENTATIVES[kind] is not None:
        assert set(outcome.names) == set(REPRESENTATIVES[kind])


def test_a_proof_that_cannot_fail_would_be_noticed(one_thread, monkeypatch):
    model = build_tiny("llama")
    find_residual_stream(model)
    monkeypatch.setattr(ablation_proof, "BOUNDS", {torch.float32: 1.0})
    assert len(unnoticed_writers(model)) == 6
    outcome = prove_model("llama", model)
    assert not outcome.verified
    assert outcome.reason.startswith("the proof passes without model.layers.0.self_attn, ")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("doge", "scales or mixes the stream's channels"),
        ("gpt_neox_japanese", "writes to it outside its modules"),
        ("cpmant", "reads tokens that come later"),
        ("hrm_text", "two stacks of blocks"),
        ("gemma4_assistant", "a drafter: it reads the keys and values of another model"),
    ],
)
def test_what_cannot_be_proven_has_a_reason(one_thread, kind, reason):
    outcome = prove_type(kind)
    assert not outcome.verified
    assert reason in outcome.reason
    assert "\n" not in outcome.reason


def test_every_causal_type_is_listed_and_encoder_decoders_are_not():
    kinds = decoder_types()
    assert {"llama", "mamba", "gpt2", *REPRESENTATIVES} <= set(kinds)
    assert not {"bart", "bert", "t5", "marian"} & set(kinds)


def test_a_shrunk_configuration_is_small_in_every_part():
    config = shrunk_config("gemma3")
    assert config.text_config.hidden_size == config.vision_config.hidden_size == 32
    assert config.text_config.num_hidden_layers == 3
    assert config.text_config.vocab_size == 160


def test_the_page_counts_and_gives_every_reason():
    good = Outcome("llama", True, "", 3, 6, ("self_attn", "mlp"), 7.5e-8, 1000)
    bad = Outcome("doge", False, "channels | scaled")
    versions = {"torch": "1", "transformers": "2", "date": "2026-11-01"}
    page = render_page([good.to_dict(), bad.to_dict()], versions)
    assert "2026-11-01: torch 1, transformers 2. Of 2 decoder-only" in page
    assert "**1 are verified**, 1 are not" in page
    assert "| llama | 3 | 6 | 7.5e-08 | `self_attn`, `mlp` |" in page
    assert "| doge | channels \\| scaled |" in page
