"""Blocks, writers and final norm are found by structure, in any precision, or an error says why."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
)

from polyrefuse.errors import ModelError
from polyrefuse_evaluation import additive_parts
from polyrefuse_evaluation.additive_parts import find_parts
from polyrefuse_evaluation.block_writers import Segment, complete_alike
from polyrefuse_evaluation.residual_stream import find_residual_stream

POST_NORMS = ("post_attention_layernorm", "post_feedforward_layernorm")
# architecture -> (blocks, writers within a block, those with a linear map to project, final norm)
FOUND = {
    "llama": ("model.layers", ("self_attn", "mlp"), ("self_attn", "mlp"), "model.norm"),
    "qwen2": ("model.layers", ("self_attn", "mlp"), ("self_attn", "mlp"), "model.norm"),
    "phi3": ("model.layers", ("self_attn", "mlp"), ("self_attn", "mlp"), "model.norm"),
    "granite": ("model.layers", ("self_attn", "mlp"), ("self_attn", "mlp"), "model.norm"),
    "qwen3_moe": ("model.layers", ("self_attn", "mlp"), ("self_attn",), "model.norm"),
    "mixtral": ("model.layers", ("self_attn", "mlp"), ("self_attn",), "model.norm"),
    "gpt_oss": ("model.layers", ("self_attn", "mlp"), ("self_attn",), "model.norm"),
    "gemma2": ("model.layers", POST_NORMS, (), "model.norm"),
    "gemma3_text": ("model.layers", POST_NORMS, (), "model.norm"),
    "gemma4_text": ("model.layers", (*POST_NORMS, "post_per_layer_input_norm"), (), "model.norm"),
    "olmo2": ("model.layers", POST_NORMS, (), "model.norm"),
    "gpt2": ("transformer.h", ("attn", "mlp"), ("attn", "mlp"), "transformer.ln_f"),
    "gpt_neox": (
        "gpt_neox.layers",
        ("attention", "mlp"),
        ("attention", "mlp"),
        "gpt_neox.final_layer_norm",
    ),
    "falcon": (
        "transformer.h",
        ("self_attention", "mlp"),
        ("self_attention", "mlp"),
        "transformer.ln_f",
    ),
    "bloom": (
        "transformer.h",
        ("self_attention.dense", "mlp.dense_4h_to_h"),
        ("self_attention.dense", "mlp.dense_4h_to_h"),
        "transformer.ln_f",
    ),
    "mpt": (
        "transformer.blocks",
        ("attn", "ffn.down_proj"),
        ("attn", "ffn.down_proj"),
        "transformer.norm_f",
    ),
    "opt": (
        "model.decoder.layers",
        ("self_attn", "fc2"),
        ("self_attn", "fc2"),
        "model.decoder.final_layer_norm",
    ),
}


def writer_names(stream):
    return [writer.name for writer in stream.writers]


@pytest.mark.parametrize("architecture", FOUND)
def test_blocks_writers_and_final_norm_are_found(make_model, architecture):
    blocks, writers, linear, norm = FOUND[architecture]
    model = make_model(architecture)
    stream = find_residual_stream(model)
    assert stream.block_names == tuple(f"{blocks}.{index}" for index in range(3))
    assert sorted(writer_names(stream)) == sorted(
        f"{b}.{w}" for b in stream.block_names for w in writers
    )
    with_linear = {w.name.removeprefix(f"{blocks}.{w.block}.") for w in stream.writers if w.linear}
    assert with_linear == set(linear)
    assert stream.final_norm is model.get_submodule(norm)
    assert stream.hidden_size == 32


def test_a_writers_linear_map_is_the_one_that_writes(make_model):
    model = make_model("llama")
    attention, mlp, *_ = find_residual_stream(model).writers
    assert attention.linear is model.model.layers[0].self_attn.o_proj
    assert mlp.linear is model.model.layers[0].mlp.down_proj


def massive(model):
    """Let one MLP write a value a thousand times larger than all else in one dimension."""
    with torch.no_grad():
        model.model.layers[1].mlp.down_proj.weight[7] *= 1000
    return model


@pytest.mark.parametrize("architecture", ["llama", "gemma2", "olmo2", "granite"])
@pytest.mark.parametrize("scale", [0.02, 0.2])
@pytest.mark.parametrize("change", [lambda model: model, massive])
def test_half_precision_and_massive_activations_do_not_mislead_the_search(
    make_model, architecture, scale, change
):
    model = change(make_model(architecture, hidden_size=128, initializer_range=scale))
    exact = writer_names(find_residual_stream(model))
    half = copy.deepcopy(model).to(torch.bfloat16)
    assert writer_names(find_residual_stream(half)) == exact
    assert len(exact) == 6


def parts_of(sizes, coefficients, dtype, seed):
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(12, 64, generator=generator).to(dtype)
    outputs = {
        f"part {i}": (size * torch.randn(12, 64, generator=generator)).to(dtype)
        for i, size in enumerate(sizes)
    }
    end = start
    for (_, output), coefficient in zip(outputs.items(), coefficients, strict=True):
        end = end + coefficient * output
    outputs["normalised start"] = (start / start.norm(dim=-1, keepdim=True) * 8).to(dtype)
    outputs["unrelated"] = torch.randn(12, 64, generator=generator).to(dtype)
    outputs["zero"] = torch.zeros_like(start)
    return start, end, outputs


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.floats(0.1, 10), min_size=1, max_size=3),
    coefficient=st.sampled_from([1.0, 0.22, 2.0]),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
    seed=st.integers(0, 1000),
)
def test_exactly_the_parts_that_were_added_are_found(sizes, coefficient, dtype, seed):
    start, end, outputs = parts_of(sizes, [coefficient] * len(sizes), dtype, seed)
    assert find_parts(start, end, outputs) == [f"part {i}" for i in range(len(sizes))]
    assert find_parts(start, 0.5 * end, outputs) == [f"part {i}" for i in range(len(sizes))]
    outputs.pop("part 0")  # the fault: one part is not among the candidates
    assert find_parts(start, end, outputs) == []


def test_without_asking_what_the_sum_needs_a_normalised_input_passes_for_a_part(
    make_model, monkeypatch
):
    model = make_model("olmo2", hidden_size=128, initializer_range=0.02).to(torch.bfloat16)
    monkeypatch.setattr(additive_parts, "SLACK", 0)
    assert len(find_residual_stream(model).writers) > 6


@pytest.mark.parametrize(
    ("auto", "architecture", "named"),
    [
        (AutoModelForCausalLM, "bert", "reads tokens that come later"),
        (AutoModelForMaskedLM, "bert", "reads tokens that come later"),
        (AutoModelForSeq2SeqLM, "t5", "encoder-decoder"),
        (AutoModelForCausalLM, "doge", r"model.layers.0 \(DogeDecoderLayer\).*do not add up"),
    ],
)
def test_models_without_a_decoder_or_its_stream_are_refused(auto, architecture, named):
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 50}
    if architecture == "t5":
        sizes = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "vocab_size": 50}
    torch.manual_seed(0)
    model = auto.from_config(AutoConfig.for_model(architecture, **sizes)).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # channels of the stream are scaled, not by one
            parameter += 0.2 * torch.randn_like(parameter)
    with pytest.raises(ModelError, match=named):
        find_residual_stream(model)


def test_a_decoder_that_normalises_its_stream_is_searched(make_model):
    config = AutoConfig.for_model(
        "bert", is_decoder=True, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        vocab_size=50, intermediate_size=48,
    )  # fmt: skip
    stream = find_residual_stream(AutoModelForCausalLM.from_config(config).eval())
    inside = [writer.name.removeprefix("bert.encoder.layer.0.") for writer in stream.writers[:4]]
    assert inside == ["attention", "attention.output.dense", "output", "output.dense"]
    assert [name.split(".", 3)[-1] for name, _ in stream.readers[:2]] == [
        "0.attention.output.LayerNorm",
        "0.output.LayerNorm",
    ]


def test_a_model_whose_forward_pass_fails_or_overflows_is_refused(make_model):
    broken = make_model("llama")
    broken.model.layers[1].mlp.down_proj = nn.Linear(7, 32)
    with pytest.raises(ModelError, match="forward pass on token ids failed"):
        find_residual_stream(broken)
    overflowing = make_model("llama")
    with torch.no_grad():
        overflowing.model.layers[1].mlp.down_proj.weight.fill_(torch.inf)
    with pytest.raises(ModelError, match=r"model.layers.1: its output is not finite.*bfloat16"):
        find_residual_stream(overflowing)


class Held(nn.Module):
    """Blocks under names of their own."""

    def __init__(self, blocks):
        super().__init__()
        for name, block in zip("abc", blocks, strict=True):
            setattr(self, name, block)

    def __getitem__(self, _):
        return [self.a, self.b, self.c]


def test_a_model_without_a_list_of_blocks_is_refused(make_model):
    model = make_model("llama")
    model.model.layers = Held(model.model.layers)
    with pytest.raises(ModelError, match="no list of 3 decoder blocks"):
        find_residual_stream(model)


def test_the_search_leaves_no_hook_and_restores_every_modules_mode(make_model):
    model = make_model("llama").train()
    model.model.layers[1].eval()
    before = [module.training for module in model.modules()]
    find_residual_stream(model)
    assert [module.training for module in model.modules()] == before
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_a_replaced_module_is_searched_for_again(make_model):
    model = make_model("llama")
    old = find_residual_stream(model)
    assert find_residual_stream(model) is old
    model.model.layers[2].mlp = copy.deepcopy(model.model.layers[2].mlp)
    assert find_residual_stream(model).writers[-1].module is model.model.layers[2].mlp


def test_a_stream_can_lack_one_writer_for_tests_of_the_proof(make_model):
    stream = find_residual_stream(make_model("llama"))
    name = "model.layers.1.mlp"
    assert set(writer_names(stream)) - set(writer_names(stream.without(name))) == {name}


@pytest.mark.parametrize("size", [1e-5, 1.0])
def test_a_writer_below_the_streams_rounding_is_known_from_blocks_alike(make_model, size):
    model = make_model("mixtral")
    with torch.no_grad():
        model.model.layers[1].mlp.experts.down_proj.mul_(size)
    half = model.to(torch.bfloat16)
    assert len(writer_names(find_residual_stream(half))) == 6


def test_what_few_blocks_alike_have_is_given_to_no_other():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.attn, self.mlp, self.extra = nn.Identity(), nn.Identity(), nn.Identity()

    model = nn.ModuleList(Block() for _ in range(3))
    x = torch.zeros(1)
    segments = [
        Segment(i, f"{i}", x, x, {n: m for n, m in model.named_modules() if n[:2] == f"{i}."}, {})
        for i in range(3)
    ]
    names = {0: ["0.attn", "0.mlp"], 1: ["1.mlp"], 2: ["2.attn", "2.extra", "2.mlp"]}
    assert complete_alike(model, segments, names) == {
        0: ["0.attn", "0.mlp"],
        1: ["1.mlp", "1.attn"],
        2: ["2.attn", "2.extra", "2.mlp"],
    }
    assert complete_alike(model, segments, {**names, 1: []})[1] == []
