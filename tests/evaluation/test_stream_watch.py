"""The stream is seen by token in every layout, and the probe tells maps, norms and leaks apart."""

import pytest
import torch
from torch import nn

from polyrefuse_evaluation.forward_trace import trace_forward, with_first
from polyrefuse_evaluation.residual_stream import find_residual_stream, trace_ids
from polyrefuse_evaluation.stream_probe import StreamProbe, is_map, is_norm, random_basis
from polyrefuse_evaluation.stream_watch import Visit, Watch, by_token

T, D = 5, 8


@pytest.mark.parametrize(
    ("shape", "streams"),
    [((1, T, D), 1), ((T, D), 1), ((T, 1, D), 1), ((1, T, 4, D), 4), ((4, 1, T, D), 4)],
)
def test_every_layout_is_brought_to_tokens_streams_hidden(shape, streams):
    x = torch.randn(shape)
    found = by_token(x, T)
    assert found.shape == (T, streams, D)
    axis = shape.index(T)
    for token in range(T):
        assert torch.equal(found[token].flatten(), x.select(axis, token).flatten())


def test_a_projection_is_relative_to_the_largest_norm_so_far_of_its_token():
    seen = Watch(2)
    seen.grow(torch.tensor([[[10.0, 0.0]], [[1.0, 0.0]]]))
    x = torch.tensor([[[0.0, 1.0]], [[0.0, 0.5]]])
    visit = Visit("here", x, seen.grow(x))
    assert visit.projection(torch.tensor([[0.0, 1.0]])) == pytest.approx(0.5)  # 1/10 and 0.5/1
    assert visit.projection(torch.tensor([[1.0, 0.0]])) == 0
    odd = Visit("here", x * torch.nan, visit.largest)
    assert odd.projection(torch.tensor([[0.0, 1.0]])) == torch.inf


def test_norms_have_only_vectors_and_maps_hold_matrices():
    assert is_norm(nn.LayerNorm(4))
    assert not is_norm(nn.Linear(4, 4))
    assert not is_norm(nn.Dropout())
    assert not is_norm(nn.Sequential(nn.LayerNorm(4)))
    assert is_map(nn.Linear(4, 4))
    assert not is_map(nn.LayerNorm(4))
    assert not is_map(nn.Sequential(nn.Linear(4, 4)))  # its part is the map


def test_a_silent_module_writes_zeros_and_keeps_the_rest_of_its_output(make_model):
    model = make_model("llama")
    silent = [model.model.layers[0].mlp]
    trace = trace_forward(model, trace_ids(model), silent=silent)
    assert not trace.outputs["model.layers.0.mlp"].any()
    assert trace.outputs["model.layers.1.mlp"].any()
    assert not silent[0]._forward_hooks
    assert with_first((torch.ones(2), "cache"), torch.zeros_like)[1] == "cache"
    assert with_first({"no": "tensor"}, torch.zeros_like) == {"no": "tensor"}


def test_the_probe_sees_a_missing_writer_behind_it_and_not_before_it(make_model):
    model = make_model("llama")
    stream = find_residual_stream(model)
    probe = StreamProbe(model, trace_ids(model), stream.blocks[0], stream.origin, 32)
    sites = [*stream.readers, ("end", stream.final_norm)]
    writers = [(w.name, w.module) for w in stream.writers]
    assert max(probe.leaks(writers, sites).values()) < 1e-6
    missing = [named for named in writers if named[0] != "model.layers.1.mlp"]
    leaks = probe.leaks(missing, sites)
    assert leaks["model.layers.1.post_attention_layernorm"] < 1e-6
    assert leaks["model.layers.2.input_layernorm"] > 1e-3
    assert leaks["end"] > 1e-3


def test_probing_directions_are_orthonormal():
    torch.testing.assert_close(random_basis(32) @ random_basis(32).T, torch.eye(3))


def test_the_origin_of_a_stream_is_the_module_that_makes_it(make_model):
    model = make_model("bloom")
    assert find_residual_stream(model).origin is model.transformer.word_embeddings_layernorm
    model = make_model("gpt2")  # token and position embeddings are added outside; dropout passes
    assert find_residual_stream(model).origin is model.transformer.drop
