"""Removal at chosen layers, trigger deletions and perplexity: exact on tiny models."""

import math

import pytest
import torch

from polyrefuse.errors import ModelError
from polyrefuse_evaluation.chat import render
from polyrefuse_evaluation.residual_space.components import find_components
from polyrefuse_evaluation.residual_space.dynamics import PromptTokens, user_spans
from polyrefuse_evaluation.residual_space.interventions import (
    HarmlessText,
    perplexity,
    plan_removals,
)
from polyrefuse_evaluation.residual_space.relevance import propagation
from polyrefuse_evaluation.residual_space.removal import remove
from polyrefuse_evaluation.residual_space.triggers import plan_deletions, top_tokens

pytestmark = pytest.mark.usefixtures("one_thread")


def basis(count=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(32, count, generator=generator).double()).Q.T


def stream_at(loaded, sequences, layer):
    seen = []
    block = loaded.stream.blocks[layer]
    handle = block.input_layernorm.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    loaded.last_logits(sequences)
    handle.remove()
    return seen[0]


@pytest.mark.parametrize("style", ["llama", "gemma2"])
def test_removal_takes_the_projection_out_where_asked_and_by_the_dose(make_style, texts, style):
    loaded = make_style(style)
    sequences = render(loaded.tokenizer, texts[:1], loaded.chat)
    own = {1: basis(1)[0], 2: basis(2, seed=3)}
    before = stream_at(loaded, sequences, 1)
    with remove(loaded.model, own):
        after, later = stream_at(loaded, sequences, 1), stream_at(loaded, sequences, 2)
        untouched = stream_at(loaded, sequences, 0)
    assert float((after @ own[1]).abs().max()) < 1e-6
    assert float((later @ own[2].T).abs().max()) < 1e-6
    torch.testing.assert_close(untouched, stream_at(loaded, sequences, 0))
    with remove(loaded.model, {1: own[1]}, dose=0.25):
        part = stream_at(loaded, sequences, 1)
    torch.testing.assert_close(part @ own[1], 0.75 * (before @ own[1]), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(stream_at(loaded, sequences, 1), before)  # restored


def test_a_model_under_removal_cannot_be_saved_and_wrong_shapes_are_errors(make_style, tmp_path):
    loaded = make_style("llama")
    with remove(loaded.model, {1: basis(1)[0]}), pytest.raises(ModelError, match="saved"):
        loaded.model.save_pretrained(tmp_path)
    for wrong in ({3: basis(1)[0]}, {1: torch.ones(31)}):
        with pytest.raises(ModelError), remove(loaded.model, wrong):
            pass
    assert not loaded.stream.blocks[1]._forward_pre_hooks


def test_removals_cover_components_rest_control_and_doses():
    rows = torch.randn(40, 32, generator=torch.Generator().manual_seed(0)).double()
    components = {layer: find_components(rows * (layer + 1), 5) for layer in (1, 2)}
    removals = plan_removals(components, {1: 3, 2: 0}, seed=0)
    assert [removal.name for removal in removals] == [
        "none", "component-0", "component-1", "component-2", "all-but-dominant", "control",
        "component-0", "component-0", "component-0",
    ]  # fmt: skip
    rest, control = removals[4], removals[5]
    assert [len(rest.directions[layer]) for layer in (1, 2)] == [2, 1]
    for layer, found in components.items():
        assert float((found.directions @ control.directions[layer]).abs().max()) < 1e-9
    assert [removal.dose for removal in removals[-3:]] == [0.25, 0.5, 0.75]


def test_perplexity_is_that_of_the_answer_s_tokens_whatever_the_batch(make_style, texts):
    loaded = make_style("qwen3")
    prompts = render(loaded.tokenizer, texts[:3], loaded.chat)
    answers = ((5, 9, 17), (40,), (7, 8))
    whole = [
        HarmlessText("en" if index else "de", (*prompt, *answer), len(prompt))
        for index, (prompt, answer) in enumerate(zip(prompts, answers, strict=True))
    ]
    losses = []
    for text in whole:
        logits = loaded.model(torch.tensor([text.tokens])).logits[0].double()
        logs = torch.log_softmax(logits, dim=-1)
        losses.append(
            [
                -float(logs[at - 1, text.tokens[at]].detach())
                for at in range(text.start, len(text.tokens))
            ]
        )
    for budget in (10, 10_000):
        found = perplexity(loaded, whole, budget)
        assert found["de"] == pytest.approx(math.exp(sum(losses[0]) / 3), rel=1e-5)
        every = [loss for row in losses for loss in row]
        assert found["all"] == pytest.approx(math.exp(sum(every) / len(every)), rel=1e-5)


def test_only_the_user_s_text_is_deleted_and_as_much_at_random(make_style, texts):
    loaded = make_style("llama")
    sequences = render(loaded.tokenizer, texts[:3], loaded.chat)
    spans = user_spans(loaded, sequences)
    for sequence, span, text in zip(sequences, spans, texts, strict=False):
        assert loaded.tokenizer.decode([sequence[place] for place in span]).strip() == text
    generator = torch.Generator().manual_seed(0)
    tokens = [
        PromptTokens(torch.randn(len(row), generator=generator), span)
        for row, span in zip(sequences, spans, strict=True)
    ]
    plans = plan_deletions(sequences, tokens, 2, seed=0)
    for plan, sequence, prompt in zip(plans, sequences, tokens, strict=True):
        assert len(plan.relevant) == len(plan.random) == len(sequence) - 2
        best = sorted(prompt.user, key=lambda place: -float(prompt.relevance[place]))[:2]
        assert top_tokens(prompt, 2) == best
        kept = [token for place, token in enumerate(sequence) if place not in best]
        assert plan.relevant == kept
        assert plan.random[: spans[0].start] == sequence[: spans[0].start]
    assert plan_deletions(sequences, tokens, 500, seed=0) == [None] * 3
    again = plan_deletions(sequences, tokens, 2, seed=0)
    assert [plan.random for plan in again] == [plan.random for plan in plans]


def test_a_propagation_under_removal_sees_the_changed_stream(make_style, texts):
    loaded = make_style("llama")
    sequences = render(loaded.tokenizer, texts[:1], loaded.chat)
    own = basis(1)
    with remove(loaded.model, {1: own[0]}), propagation(loaded, sequences, 2) as run:
        removed = run.coordinates(2, own)
    with propagation(loaded, sequences, 2) as run:
        whole = run.coordinates(2, own)
    assert not torch.allclose(removed, whole)


def test_a_first_word_that_swallows_the_template_s_line_break_is_still_the_user_s(make_style):
    """The fault it avoids: one prefix length for all prompts would leave that word out."""
    from tokenizers import AddedToken

    loaded = make_style("llama")
    loaded.tokenizer.add_tokens([AddedToken("velkorin", lstrip=True, normalized=False)])
    word = loaded.tokenizer.convert_tokens_to_ids("velkorin")
    sequences = render(loaded.tokenizer, ["velkorin bakes", "bakes velkorin"], loaded.chat)
    first, second = user_spans(loaded, sequences)
    assert sequences[0][first.start] == word
    assert first.start == second.start - 1
    assert sequences[1][second.stop - 1] == word
