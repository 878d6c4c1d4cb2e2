"""Batch size and threads move logits by rounding only, and change no answer, in float32."""

import pytest
import torch

from polyrefuse_evaluation import load_model
from polyrefuse_evaluation.candidate_scores import logits_of
from polyrefuse_evaluation.generation import generate, plan_batches
from polyrefuse_evaluation.judges import get_judge
from polyrefuse_evaluation.judges.types import JudgeInput
from polyrefuse_evaluation.models import LoadedModel
from polyrefuse_evaluation.prompt_sets import read_prompt_sets
from polyrefuse_evaluation.select_directions import render_rows

TOLERANCE = 1e-5
"""Of a logit, relative to the largest: what docs/reproducibility.md promises in float32."""
SIZES = (256, 2048, 16_384)
NEW_TOKENS = 12


class WithoutMask(LoadedModel):
    """A planted fault: the attention mask is left out, so that padding is felt."""

    def inputs(self, sequences):
        batch = super().inputs(sequences)
        return {**batch, "attention_mask": torch.ones_like(batch["attention_mask"])}


@pytest.fixture(scope="module")
def rows():
    return read_prompt_sets(None, languages="en,th", source_languages=(), limit=3).test_prompts()


@pytest.fixture(params=["planted", "random"])
def loaded(request, make_loaded):
    return load_model("planted") if request.param == "planted" else make_loaded("llama", seed=3)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def look(loaded, rows, batch_tokens, threads):
    """Return (logits, tokens of all answers, labels)."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        sequences = render_rows(loaded, rows)
        logits = logits_of(loaded, sequences, batch_tokens)
        answers = {}
        for indices in plan_batches(sequences, batch_tokens, NEW_TOKENS):
            batch = generate(loaded, [sequences[i] for i in indices], NEW_TOKENS)
            answers |= dict(zip(indices, batch, strict=True))
    finally:
        torch.set_num_threads(before)
    answers = [answers[i] for i in range(len(rows))]
    inputs = [
        JudgeInput(row.language, answer.text, row.prompt, row.prompt_en)
        for row, answer in zip(rows, answers, strict=True)
    ]
    labels = [verdict.outcome for verdict in get_judge("keyword").judge(inputs)]
    return logits, [answer.tokens for answer in answers], labels


def gap(one, other):
    return float((one - other).abs().max() / one.abs().max())


def test_batch_size_changes_no_label_and_logits_by_rounding_only(loaded, rows):
    logits, tokens, labels = look(loaded, rows, 1, 1)  # each prompt alone
    assert len(set(map(tuple, tokens))) > 2
    for batch_tokens in SIZES:
        other = look(loaded, rows, batch_tokens, 1)
        assert gap(logits, other[0]) <= TOLERANCE, batch_tokens
        assert other[1:] == (tokens, labels), batch_tokens


def test_threads_change_logits_by_rounding_only(loaded, rows, two_threads):
    sequences = render_rows(loaded, rows)
    torch.set_num_threads(1)
    expected = logits_of(loaded, sequences, 16_384)
    torch.set_num_threads(2)
    assert gap(expected, logits_of(loaded, sequences, 16_384)) <= TOLERANCE


@pytest.mark.slow  # two threads wait long for each other where others compute, too
def test_threads_change_no_label(loaded, rows):
    one = look(loaded, rows, 1, 1)
    for batch_tokens in SIZES:
        assert look(loaded, rows, batch_tokens, 2)[1:] == one[1:], batch_tokens


def test_the_same_settings_give_the_same_bits(loaded, rows):
    one, other = (look(loaded, rows, 2048, 1) for _ in range(2))
    assert torch.equal(one[0], other[0])
    assert one[1:] == other[1:]


def test_padding_that_is_felt_is_caught(loaded, rows, monkeypatch):
    monkeypatch.setattr("polyrefuse_evaluation.padding.ignores_padding", lambda _: True)
    faulty = WithoutMask(loaded.model, loaded.tokenizer, "padding is felt")
    alone, together = (look(faulty, rows, size, 1) for size in (1, 16_384))
    assert gap(alone[0], together[0]) > 100 * TOLERANCE
    assert alone[1] != together[1]
