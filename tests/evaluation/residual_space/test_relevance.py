"""Relevance propagation: conservation, agreement with finite differences, and faults it shows."""

import pytest
import torch
from torch import nn

from polyrefuse.errors import ModelError
from polyrefuse_evaluation.chat import render
from polyrefuse_evaluation.residual_space import relevance_rules as rules
from polyrefuse_evaluation.residual_space.relevance import (
    propagation,
    trace_edges,
    trace_tokens,
)

pytestmark = pytest.mark.usefixtures("one_thread")
STYLES = ["llama", "qwen2", "qwen3", "gemma2", "gemma3_text"]


def directions(count=3, hidden=32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(hidden, count, generator=generator).double()).Q.T


def sequences(loaded, texts):
    return render(loaded.tokenizer, texts[:3], loaded.chat)


@pytest.mark.parametrize("style", STYLES)
def test_relevance_is_conserved_exactly_under_cp_lrp(make_style, texts, style):
    loaded = make_style(style)
    for text in sequences(loaded, texts):
        with propagation(loaded, [text], 2, "cp-lrp") as run:
            tokens = trace_tokens(run, 2, directions()[0])
            edges = trace_edges(run, 2, directions(), directions(4, seed=1))
        assert tokens.conservation.relative <= 1e-6
        assert edges.conservation.relative <= 1e-6
        assert tokens.conservation.target > 0


@pytest.mark.parametrize("style", ["llama", "qwen3", "gemma2"])
def test_conservation_holds_to_a_thousandth_in_the_model_s_own_float32(make_style, texts, style):
    loaded = make_style(style, dtype=torch.float32)
    with propagation(loaded, sequences(loaded, texts), 2, "cp-lrp") as run:
        assert trace_tokens(run, 2, directions()[0]).conservation.relative <= 1e-3


@pytest.mark.parametrize("style", STYLES)
def test_attnlrp_leaks_at_the_softmax_and_says_how_much(make_style, texts, style):
    loaded = make_style(style)
    with propagation(loaded, sequences(loaded, texts), 2, "attnlrp") as run:
        kept = trace_tokens(run, 2, directions()[0]).conservation
    assert 1e-6 < kept.relative_to_absolute < 0.5


@pytest.mark.parametrize("fault", ["_norm_forward", "_gated_forward"])
def test_a_forgotten_rule_breaks_conservation(make_style, texts, monkeypatch, fault):
    """The mutations: a norm or a gate that keeps its own gradient is seen by the check."""
    loaded = make_style("qwen3")

    def kept(module, *_):
        return module.forward

    monkeypatch.setattr(rules, fault, kept)
    with propagation(loaded, sequences(loaded, texts), 2, "cp-lrp") as run:
        assert trace_tokens(run, 2, directions()[0]).conservation.relative > 1e-2


def test_biases_that_are_not_counted_break_conservation(make_style, texts):
    loaded = make_style("qwen2")
    with propagation(loaded, sequences(loaded, texts)[:1], 2, "cp-lrp") as run:
        assert [len(block) for block in run.biases] == [3, 3, 3]
        assert trace_tokens(run, 2, directions()[0]).conservation.relative <= 1e-6
        run.biases = []
        assert trace_tokens(run, 2, directions()[0]).conservation.relative > 1e-3


@pytest.mark.parametrize("rule", rules.RULES)
@pytest.mark.parametrize("style", STYLES)
def test_the_forward_pass_is_untouched_inside_and_everything_is_restored(
    make_style, texts, style, rule
):
    loaded = make_style(style, dtype=torch.float32)
    before = loaded.last_logits(sequences(loaded, texts))
    flags = [parameter.requires_grad for parameter in loaded.model.parameters()]
    attention = loaded.model.config._attn_implementation
    with rules.relevance_rules(loaded.model, rule):
        torch.testing.assert_close(loaded.last_logits(sequences(loaded, texts)), before)
    assert loaded.model.config._attn_implementation == attention
    assert [parameter.requires_grad for parameter in loaded.model.parameters()] == flags
    assert not any("forward" in module.__dict__ for module in loaded.model.modules())
    assert torch.equal(loaded.last_logits(sequences(loaded, texts)), before)


def test_everything_is_restored_after_an_error(make_style):
    loaded = make_style("llama")
    with pytest.raises(RuntimeError, match="stop"), rules.relevance_rules(loaded.model):
        raise RuntimeError("stop")
    assert loaded.model.config._attn_implementation == "sdpa"
    assert not any("forward" in module.__dict__ for module in loaded.model.modules())


def test_an_architecture_without_rules_is_an_error_that_names_the_module(make_style):
    loaded = make_style("gpt2")
    with (
        pytest.raises(ModelError, match=r"ln_1 \(LayerNorm\)|c_attn|LayerNorm"),
        rules.relevance_rules(loaded.model),
    ):
        pass


def heads(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator).double()


def finite_difference(function, point, direction, step=1e-6):
    return (function(point + step * direction) - function(point - step * direction)) / (2 * step)


@pytest.mark.parametrize("softcap", [None, 1.5])
def test_rules_are_known_parts_of_the_gradient_of_attention(softcap):
    """By finite differences: values get half of it, queries and keys a quarter (CP-LRP: all, 0)."""
    q, k, v = (heads(1, 2, 5, 4, seed=seed) for seed in range(3))
    mask = torch.full((5, 5), -torch.inf, dtype=torch.float64).triu(1)

    def plain(q, k, v):
        scores = q @ k.transpose(-1, -2) * 0.5
        scores = scores if softcap is None else softcap * torch.tanh(scores / softcap)
        return (torch.softmax(scores + mask, dim=-1) @ v).sin().sum()

    shares = {"attnlrp": (0.25, 0.25, 0.5), "cp-lrp": (0.0, 0.0, 1.0)}
    for rule, share in shares.items():
        inputs = [part.clone().requires_grad_(True) for part in (q, k, v)]
        output = rules.attend(*inputs, mask, 0.5, softcap, rule)
        grads = torch.autograd.grad(output.sin().sum(), inputs, allow_unused=True)
        for place, (grad, part) in enumerate(zip(grads, share, strict=True)):
            if softcap is not None and place < 2:
                continue  # the identity rule replaces the gradient of tanh
            direction = heads(1, 2, 5, 4, seed=9)

            def moved(x, place=place):
                return plain(*[x if i == place else y for i, y in enumerate((q, k, v))])

            expected = part * finite_difference(moved, (q, k, v)[place], direction)
            found = torch.zeros(()).double() if grad is None else (grad * direction).sum()
            torch.testing.assert_close(found, expected, atol=1e-7, rtol=1e-6)


def test_attention_of_one_token_and_linear_maps_reduce_to_the_gradient(make_style):
    """With one token attention is linear, so relevance is gradient x input of a frozen map."""
    loaded = make_style("llama")
    block = loaded.model.model.layers[0].self_attn
    x = heads(1, 1, 32, seed=3).requires_grad_(True)
    angles = (torch.ones(1, 1, 8).double(), torch.zeros(1, 1, 8).double())
    weight = heads(1, 1, 32, seed=4)
    with rules.relevance_rules(loaded.model, "cp-lrp"):
        output = block(x, position_embeddings=angles, attention_mask=None)[0]
        (grad,) = torch.autograd.grad((output * weight).sum(), x)
    direction = heads(1, 1, 32, seed=5)

    def plain(point):
        with torch.no_grad():
            return (block(point, position_embeddings=angles, attention_mask=None)[0] * weight).sum()

    expected = finite_difference(plain, x.detach(), direction)
    torch.testing.assert_close((grad * direction).sum(), expected, atol=1e-7, rtol=1e-6)


def test_the_identity_rule_divides_by_no_zero():
    x = torch.tensor([0.0, 2.0, -1e-30]).double().requires_grad_(True)
    y = rules.proportional(x, torch.tensor([1.0, 6.0, -3e-30]).double())
    y.sum().backward()
    assert x.grad.tolist() == pytest.approx([0.0, 3.0, 3.0])
    assert y.tolist() == pytest.approx([1.0, 6.0, -3e-30])


def test_edges_add_up_to_what_they_explain(make_style, texts):
    loaded = make_style("qwen3")
    with propagation(loaded, sequences(loaded, texts), 1, "cp-lrp") as run:
        edges = trace_edges(run, 1, directions(), directions(5, seed=2))
        whole = trace_edges(run, 1, directions(), torch.eye(32))
    assert edges.components.shape == (3, 3, 5)
    total = edges.components.sum(dim=-1) + edges.rest + edges.elsewhere
    torch.testing.assert_close(total, edges.targets)
    torch.testing.assert_close(whole.rest, torch.zeros_like(whole.rest), atol=1e-9, rtol=0)
    torch.testing.assert_close(whole.elsewhere, edges.elsewhere)


def test_an_edge_shows_a_planted_connection(make_style, texts):
    """A block whose writers are zeroed passes each coordinate on to itself alone."""
    loaded = make_style("llama")
    layer = loaded.stream.blocks[0]
    with torch.no_grad():
        layer.self_attn.o_proj.weight.zero_()
        layer.mlp.down_proj.weight.zero_()
    basis = directions(4)
    with propagation(loaded, sequences(loaded, texts), 1) as run:
        edges = trace_edges(run, 1, basis, basis)
    expected = torch.diag_embed(edges.targets)
    torch.testing.assert_close(edges.components, expected, atol=1e-9, rtol=0)
    torch.testing.assert_close(edges.elsewhere, torch.zeros_like(edges.rest))


def test_a_prompt_s_relevance_does_not_depend_on_its_batch(make_style, texts):
    loaded = make_style("gemma2")
    rows = sequences(loaded, texts)
    assert len({len(row) for row in rows}) > 1
    with propagation(loaded, rows, 2) as run:
        together = trace_tokens(run, 2, directions()[0])
    for index, row in enumerate(rows):
        with propagation(loaded, [row], 2) as run:
            alone = trace_tokens(run, 2, directions()[0])
        assert len(together.tokens[index]) == len(row)
        torch.testing.assert_close(together.tokens[index], alone.tokens[0])
        torch.testing.assert_close(together.targets[index], alone.targets[0])


def test_a_token_that_cannot_be_seen_has_no_relevance(make_style, texts):
    """Without attention's output only the last token itself feeds the last position."""
    loaded = make_style("llama")
    for layer in loaded.stream.blocks:
        nn.init.zeros_(layer.self_attn.o_proj.weight)
    with propagation(loaded, sequences(loaded, texts), 2) as run:
        found = trace_tokens(run, 2, directions()[0])
    for row in found.tokens:
        assert float(row[:-1].abs().max()) == 0
        assert float(row[-1].abs()) > 0


def test_layers_out_of_range_are_errors(make_style, texts):
    loaded = make_style("llama")
    with (
        pytest.raises(ModelError, match="layer 3"),
        propagation(loaded, sequences(loaded, texts), 3),
    ):
        pass
    with (
        propagation(loaded, sequences(loaded, texts), 1) as run,
        pytest.raises(ValueError, match="embeddings"),
    ):
        trace_edges(run, 0, directions(), directions())
