"""The proof passes on correct hooks, and fails whenever anything that writes is left out."""

import json
from collections import OrderedDict
from dataclasses import replace

import pytest
import torch
from torch.utils.hooks import RemovableHandle

from polyrefuse_evaluation import ablation, ablation_proof
from polyrefuse_evaluation.ablation_proof import (
    BOUNDS,
    AblationProof,
    Leak,
    check_ablation,
    describe,
)
from polyrefuse_evaluation.residual_stream import find_residual_stream, trace_ids

WIDE = {"hidden_size": 512, "intermediate_size": 768, "initializer_range": 0.02}
WRITERS = {
    "llama": ("self_attn", "mlp"),
    "gemma2": ("post_attention_layernorm", "post_feedforward_layernorm"),
    "falcon": ("self_attention", "mlp"),
    "bloom": ("self_attention.dense", "mlp.dense_4h_to_h"),
    "gpt2": ("attn", "mlp"),
}
BLOCKS = {"falcon": "transformer.h", "bloom": "transformer.h", "gpt2": "transformer.h"}


def every_writer(*architectures):
    return [
        pytest.param(name, f"{BLOCKS.get(name, 'model.layers')}.{index}.{writer}")
        for name in architectures
        for index in range(3)
        for writer in WRITERS[name]
    ]


@pytest.mark.parametrize(
    "architecture", ["llama", "gemma2", "gpt2", "falcon", "qwen3_moe", "bloom"]
)
@pytest.mark.parametrize("method", ["hooks", "weights"])
def test_correct_ablation_is_verified_in_single_precision(make_model, architecture, method):
    proof = check_ablation(make_model(architecture), method=method)
    assert proof.verified
    assert proof.bound == 1e-5
    assert proof.max_projection < 1e-6
    readers = 6 if architecture != "falcon" else 3  # its attention and MLP read one norm
    assert proof.sites == 3 + 1 + readers
    assert proof.directions == 1 + 6 + 3
    assert proof.suspect is None


@pytest.mark.parametrize("architecture", ["llama", "gemma2"])
@pytest.mark.parametrize("method", ["hooks", "weights"])
@pytest.mark.parametrize("sizes", [{}, WIDE])
def test_correct_ablation_is_verified_in_half_precision(make_model, architecture, method, sizes):
    proof = check_ablation(make_model(architecture, **sizes).to(torch.bfloat16), method=method)
    assert proof.verified, describe(proof)
    assert proof.bound == 5e-3
    assert 1e-6 < proof.max_projection < 5e-3


@pytest.mark.parametrize(("architecture", "name"), every_writer(*WRITERS))
def test_leaving_out_any_one_writer_is_caught_and_named(make_model, architecture, name):
    model = make_model(architecture)
    stream = find_residual_stream(model).without(name)
    assert len(stream.writers) == 5
    proof = check_ablation(model, stream=stream)
    assert not proof.verified
    assert proof.max_projection > 1e-3
    assert name not in proof.writers
    assert f"top output of {name}" in [leak.direction for leak in proof.leaks]
    worst = max(proof.leaks, key=lambda leak: leak.projection)
    assert worst.site in proof.suspect
    assert f"{worst.projection:.1e}" in describe(proof)


@pytest.mark.parametrize(("architecture", "name"), every_writer("llama", "gemma2"))
def test_leaving_out_any_one_writer_of_a_wide_model_is_caught_in_half_precision(
    make_model, architecture, name
):
    model = make_model(architecture, **WIDE).to(torch.bfloat16)
    proof = check_ablation(model, stream=find_residual_stream(model).without(name))
    assert not proof.verified
    assert f"top output of {name}" in [leak.direction for leak in proof.leaks]


@pytest.mark.parametrize("architecture", ["llama", "gemma2"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_leaving_out_the_embedding_is_caught(make_model, architecture, dtype, monkeypatch):
    model = make_model(architecture).to(dtype)
    stream = replace(find_residual_stream(model), origin=None)
    no_hook = RemovableHandle(OrderedDict())
    monkeypatch.setattr(ablation, "hook_input", lambda block, change: no_hook)
    proof = check_ablation(model, stream=stream)
    assert not proof.verified
    assert "model.layers.0" in [leak.site for leak in proof.leaks]
    assert "random" in [leak.direction for leak in proof.leaks]


def test_a_direction_that_is_all_of_an_embedding_does_not_condemn_correct_hooks(make_model):
    """Nothing of that token is left; its size is what the embedding meant to write."""
    model = make_model("llama")
    stream = find_residual_stream(model)
    ids = trace_ids(model)
    direction = model.model.embed_tokens.weight[ids[0, 4]].detach()
    direction = direction / direction.norm()
    with torch.no_grad(), ablation.ablate(model, direction):
        _, projection = ablation_proof._largest_projection(model, stream, ids, direction)
    assert projection < 1e-6


def test_a_norm_that_reads_an_unablated_stream_inside_a_block_is_a_leak(make_model):
    """The end of the block is clean, its middle is not: only the norm that reads it tells."""
    model = make_model("llama")
    stream = find_residual_stream(model)
    inside = [name for name, _ in stream.readers]
    assert inside[:2] == [
        "model.layers.0.input_layernorm",
        "model.layers.0.post_attention_layernorm",
    ]
    late = replace(stream, writers=tuple(w for w in stream.writers if "self_attn" not in w.name))
    project = ablation._Projection(ablation.as_basis(torch.eye(32)[:1], 32))
    hooks = [block.register_forward_hook(lambda m, a, out: project(out)) for block in stream.blocks]
    try:
        with torch.no_grad(), ablation.ablate(model, torch.eye(32)[0], stream=late):
            site, projection = ablation_proof._largest_projection(
                model, stream, trace_ids(model), torch.eye(32)[0]
            )
    finally:
        for hook in hooks:
            hook.remove()
    assert projection > 1e-3
    assert site.endswith("post_attention_layernorm")


def test_projecting_weights_but_not_biases_is_caught(make_model, monkeypatch):
    model = make_model("gpt2")
    find_residual_stream(model)
    for block in model.transformer.h:  # biases that no projection of the weights takes away
        for linear in (block.attn.c_proj, block.mlp.c_proj):
            bias = linear.bias
            del linear.bias
            linear.register_module("elsewhere", torch.nn.ParameterList([bias]))
            monkeypatch.setattr(
                linear, "forward", lambda x, w=linear.weight, b=bias: x @ w + b, raising=False
            )
    assert check_ablation(model).verified
    assert not check_ablation(model, method="weights").verified


def test_hooks_that_project_only_the_last_token_are_caught(make_model, monkeypatch):
    whole = ablation._Projection.__call__

    def last_only(self, x):
        return torch.cat([x[:, :-1], whole(self, x[:, -1:])], dim=1)

    monkeypatch.setattr(ablation._Projection, "__call__", last_only)
    assert not check_ablation(make_model("llama")).verified


def test_massive_activations_that_cancel_do_not_condemn_correct_hooks(make_model, monkeypatch):
    """One MLP writes ten thousand times the stream, the next takes it away again."""
    model = make_model("llama", num_hidden_layers=4, mlp_bias=True)
    with torch.no_grad():
        massive = 1e4 * torch.randn(32, generator=torch.Generator().manual_seed(0))
        model.model.layers[1].mlp.down_proj.bias.copy_(massive)
        model.model.layers[2].mlp.down_proj.bias.copy_(-massive)
    stream = find_residual_stream(model)
    assert check_ablation(model).verified
    assert not check_ablation(model, stream=stream.without("model.layers.3.self_attn")).verified
    # The fault: measuring against the norm of the moment, after the massive values have gone.
    monkeypatch.setattr(torch, "maximum", lambda largest, norm: norm)
    assert not check_ablation(model).verified


def test_a_tokenizer_gives_the_text_to_run(make_model, make_tokenizer):
    model, tokenizer = make_model("llama"), make_tokenizer()
    lengths = set()
    model.model.embed_tokens.register_forward_pre_hook(
        lambda _, args: lengths.add(args[0].shape[1])
    )
    assert check_ablation(model, tokenizer).verified
    text = "Tell me about the weather in the mountains."
    assert len(tokenizer(text, add_special_tokens=False)["input_ids"]) in lengths


def test_the_check_leaves_no_hook_behind(make_model):
    model = make_model("gemma2")
    check_ablation(model)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_the_proof_has_a_json_form_that_names_the_suspect(make_model):
    model = make_model("llama")
    stream = find_residual_stream(model).without("model.layers.2.mlp")
    content = json.loads(check_ablation(model, stream=stream).to_json())
    assert content["verified"] is False
    assert content["bound"] == BOUNDS[torch.float32]
    assert len(content["writers"]) == 5
    assert content["leaks"][0].keys() == {"direction", "site", "projection"}
    assert "final norm" in content["suspect"]
    assert content["max_projection"] == max(leak["projection"] for leak in content["leaks"])


def test_a_projection_that_is_not_finite_is_a_leak_and_null_in_json(make_model, monkeypatch):
    whole = ablation._Projection.__call__
    monkeypatch.setattr(
        ablation._Projection, "__call__", lambda self, x: whole(self, x) * torch.nan
    )
    proof = check_ablation(make_model("llama"))
    assert not proof.verified
    content = json.loads(proof.to_json(), parse_constant=pytest.fail)
    assert content["max_projection"] is None


def test_a_proof_is_described_in_plain_lines():
    leak = Leak("random", "final norm", 0.5)
    proof = AblationProof(False, 0.5, 1e-5, 4, 10, ("a",), (leak,))
    assert describe(proof).splitlines() == [
        "Ablation NOT verified: largest projection 5.0e-01, bound 1e-05.",
        "10 directions x 4 sites, 1 writers.",
        "leak: random survives at final norm (5.0e-01)",
    ]
