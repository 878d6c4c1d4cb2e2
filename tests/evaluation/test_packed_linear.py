"""Packed linear maps compute what plain ones do, and never hide a changed weight."""

import pytest
import torch
from torch import nn

from polyrefuse_evaluation import ablation, packed_linear
from polyrefuse_evaluation.ablation import ablate
from polyrefuse_evaluation.ablation_proof import check_ablation
from polyrefuse_evaluation.directions import random_direction
from polyrefuse_evaluation.packed_linear import is_packed, packed_linears, plainly

PROMPTS = [[1, 7, 9, 30, 31], [1, 7, 40]]


def linears(model):
    return [module for module in model.modules() if type(module) is nn.Linear]


def close(a, b):
    return bool((a - b).abs().max() <= 1e-4 * a.abs().max())


@pytest.fixture
def marked(monkeypatch):
    """oneDNN's product, made wrong: what comes out of it is recognised."""
    plain = torch.ops.mkldnn._linear_pointwise
    monkeypatch.setattr(packed_linear, "_agrees", lambda linear, packed: True)
    monkeypatch.setattr(
        torch.ops.mkldnn, "_linear_pointwise", lambda *args: 1000 + plain(*args), raising=False
    )


@pytest.mark.parametrize("architecture", ["llama", "gemma2", "gpt_oss", "qwen3_moe", "phi3"])
def test_the_logits_are_those_of_plain_maps(make_loaded, architecture):
    loaded = make_loaded(architecture)
    expected = loaded.last_logits(PROMPTS)
    with packed_linears(loaded.model) as count:
        assert count == sum(is_packed(module) for module in linears(loaded.model)) > 3
        assert close(expected, loaded.last_logits(PROMPTS))
    assert torch.equal(expected, loaded.last_logits(PROMPTS))


def test_packed_maps_are_really_used(make_loaded, marked):
    loaded = make_loaded()
    expected = loaded.last_logits(PROMPTS)
    with packed_linears(loaded.model):
        assert not close(expected, loaded.last_logits(PROMPTS))


def test_a_map_whose_packed_form_computes_otherwise_stays_plain(make_loaded, monkeypatch):
    loaded = make_loaded()
    plain = torch.ops.mkldnn._linear_pointwise
    wrong = lambda *args: plain(*args) * (1 + 1e-4)  # noqa: E731
    monkeypatch.setattr(torch.ops.mkldnn, "_linear_pointwise", wrong, raising=False)
    with packed_linears(loaded.model) as count:
        assert count == 0


def test_a_broken_weight_stays_plain(make_loaded):
    loaded = make_loaded()
    linears(loaded.model)[0].weight.data[0, 0] = float("nan")
    with packed_linears(loaded.model) as count:
        assert count == len(linears(loaded.model)) - 1


def test_all_is_undone_after_an_error(make_loaded):
    loaded = make_loaded()
    with pytest.raises(ZeroDivisionError), packed_linears(loaded.model):
        raise ZeroDivisionError
    assert not any("forward" in module.__dict__ for module in loaded.model.modules())


@pytest.mark.parametrize("way", ["plainly", "gradients"])
def test_plain_maps_can_be_had_inside(make_loaded, marked, way):
    loaded = make_loaded()
    expected = loaded.last_logits(PROMPTS)
    with packed_linears(loaded.model):
        if way == "plainly":
            with plainly():
                assert torch.equal(expected, loaded.last_logits(PROMPTS))
            assert not close(expected, loaded.last_logits(PROMPTS))
        else:
            logits = loaded.model(**loaded.inputs(PROMPTS), use_cache=False).logits
            assert logits.requires_grad
            assert close(expected, logits[:, -1])


def test_hooks_on_a_packed_map_run(make_loaded):
    loaded = make_loaded()
    seen = []
    linears(loaded.model)[0].register_forward_hook(lambda *args: seen.append(args))
    with packed_linears(loaded.model):
        loaded.last_logits(PROMPTS)
    assert len(seen) == 1


@pytest.mark.parametrize("order", ["ablated, then packed", "packed, then ablated"])
def test_projected_weights_are_seen_whatever_comes_first(make_loaded, order):
    loaded = make_loaded()
    direction = random_direction(32, 0)
    with ablate(loaded.model, direction, method="hooks"):
        expected = loaded.last_logits(PROMPTS)
    contexts = [
        lambda: ablate(loaded.model, direction, method="weights"),
        lambda: packed_linears(loaded.model),
    ]
    outer, inner = contexts if order.startswith("ablated") else contexts[::-1]
    with outer(), inner():
        assert close(expected, loaded.last_logits(PROMPTS))


def test_a_projection_behind_a_packed_copy_would_be_seen(make_loaded, monkeypatch):
    monkeypatch.setattr(ablation, "is_packed", lambda linear: False)
    loaded = make_loaded()
    direction = random_direction(32, 0)
    with ablate(loaded.model, direction, method="hooks"):
        expected = loaded.last_logits(PROMPTS)
    with packed_linears(loaded.model), ablate(loaded.model, direction, method="weights"):
        assert not close(expected, loaded.last_logits(PROMPTS))


def test_ablation_is_proven_on_packed_maps(make_model):
    model = make_model("gemma2")
    with packed_linears(model) as count:
        assert count
        assert check_ablation(model).verified


def test_without_room_for_copies_or_in_half_precision_maps_stay_plain(make_loaded, monkeypatch):
    loaded = make_loaded()
    with packed_linears(make_loaded().model.to(torch.bfloat16)) as count:
        assert count == 0
    monkeypatch.setattr(packed_linear, "MOST_OF_MEMORY", 0.0)
    with packed_linears(loaded.model) as count:
        assert count == 0


def test_a_forward_that_someone_else_put_there_is_left_alone(make_loaded):
    loaded = make_loaded()
    first = linears(loaded.model)[0]
    own = first.forward
    first.forward = own
    with packed_linears(loaded.model) as count, packed_linears(loaded.model) as again:
        assert (count, again) == (len(linears(loaded.model)) - 1, 0)
        assert first.__dict__["forward"] is own
