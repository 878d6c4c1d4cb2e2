"""However candidates share passes, their scores are those of one at a time; a fault is caught."""

import pytest
import torch

from polyrefuse_evaluation import ablated_scores, shared_opening
from polyrefuse_evaluation.ablated_scores import AblatedScores
from polyrefuse_evaluation.activations import batches
from polyrefuse_evaluation.chat import render
from polyrefuse_evaluation.forward_work import count_work
from polyrefuse_evaluation.padding import ignores_padding
from polyrefuse_evaluation.refusal_score import refusal_score
from polyrefuse_evaluation.shared_opening import opening_length

TOKENS = [*range(0, 320, 2)]
OPENING = "You are asked by somebody who wants to know: "


def score(logits, _):
    return refusal_score(logits, TOKENS)


def units(n, seed=0):
    rows = torch.randn(n, 32, generator=torch.Generator().manual_seed(seed))
    return rows / rows.norm(dim=1, keepdim=True)


def prompts(loaded, texts, opening=OPENING):
    return render(loaded.tokenizer, [opening + text for text in texts], loaded.chat)


def scored(loaded, sequences, way=None, batch_tokens=300, n=5):
    scores = AblatedScores(loaded, sequences, batch_tokens)
    scores.way = way
    return torch.tensor(scores.means(units(n), sequences, score)), scores


@pytest.mark.parametrize(
    ("architecture", "way"),
    [
        ("bloom", "openings"),
        ("falcon", "openings"),
        ("gemma2", "openings"),  # a sliding window of 4 tokens
        ("gemma4_text", "openings"),
        ("gpt2", "openings"),
        ("gpt_oss", "openings"),
        ("llama", "openings"),
        ("mixtral", "openings"),
        ("mpt", "openings"),
        ("opt", "openings"),
        ("qwen3_moe", "openings"),
    ],
)
def test_all_ways_give_the_same_scores_and_the_fastest_is_proven(
    make_loaded, texts, architecture, way
):
    loaded = make_loaded(architecture)
    sequences = prompts(loaded, texts)
    alone, _ = scored(loaded, sequences, "alone")
    assert alone.std() > 1e-3
    found, scores = scored(loaded, sequences)
    assert scores.way == way
    torch.testing.assert_close(found, alone, atol=1e-4, rtol=0)
    for other in ("rows", way):
        torch.testing.assert_close(scored(loaded, sequences, other)[0], alone, atol=1e-4, rtol=0)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in loaded.model.modules())


@pytest.mark.parametrize("batch_tokens", [1, 20, 97, 10_000])
def test_scores_do_not_depend_on_the_budget(make_loaded, texts, batch_tokens):
    loaded = make_loaded("llama")
    sequences = prompts(loaded, texts)
    alone, _ = scored(loaded, sequences, "alone")
    found, scores = scored(loaded, sequences, batch_tokens=batch_tokens)
    assert scores.way == "openings"
    torch.testing.assert_close(found, alone, atol=1e-4, rtol=0)


def test_the_opening_is_run_once_a_direction(make_loaded, texts):
    loaded = make_loaded("llama")
    sequences = prompts(loaded, texts)
    opening = opening_length(sequences)
    assert opening > 20
    assert ignores_padding(loaded)  # asked once a model
    with count_work(loaded.model) as work:
        scored(loaded, sequences, "openings", batch_tokens=10_000)
    rest = sum(len(sequence) - opening for sequence in sequences)
    assert work.token_layers == 3 * 5 * (opening + rest)
    with count_work(loaded.model) as whole:
        scored(loaded, sequences, "rows", batch_tokens=10_000)
    assert whole.token_layers == 3 * 5 * sum(len(sequence) for sequence in sequences)


def test_the_opening_leaves_every_prompt_a_token_of_its_own():
    assert opening_length([[1, 2, 3], [1, 2, 4], [1, 2, 3, 4]]) == 2
    assert opening_length([[1, 2], [1, 2, 3]]) == 1
    assert opening_length([[1, 2, 3]]) == 2
    assert opening_length([[1], [1, 2]]) == 0
    assert opening_length([[1, 2], [3, 2]]) == 0


def test_batches_of_one_length_cover_everything_once_within_the_budget():
    sequences = [[0] * n for n in (5, 3, 5, 4, 5, 3, 9)]
    found = [*batches(sequences, 10, one_length=True)]
    assert sorted(index for batch in found for index in batch) == [*range(7)]
    for batch in found:
        assert len({len(sequences[index]) for index in batch}) == 1
        assert len(batch) * len(sequences[batch[0]]) <= 10
    assert [*batches(sequences, 10)][2] == [4, 3]  # without, they are padded


def roll_rows(monkeypatch):
    ablate_rows = ablated_scores.ablate_rows

    def rolled(model, rows, **options):
        return ablate_rows(model, rows.roll(1, 0), **options)

    monkeypatch.setattr("polyrefuse_evaluation.row_ablation.ablate_rows", rolled)
    monkeypatch.setattr(shared_opening, "ablate_rows", rolled)


def one_opening_for_all(monkeypatch):
    whole = ablated_scores.logits_after

    def first(loaded, openings, which, sequences):
        openings.cache.reorder_cache(torch.zeros(len(openings.units), dtype=torch.long))
        return whole(loaded, openings, which, sequences)

    monkeypatch.setattr(ablated_scores, "logits_after", first)


def no_cache(monkeypatch):
    def fail(*_):
        raise AttributeError("this model has no cache")

    monkeypatch.setattr(ablated_scores, "run_openings", fail)


@pytest.mark.parametrize(
    ("fault", "way"), [(roll_rows, "alone"), (one_opening_for_all, "rows"), (no_cache, "rows")]
)
def test_a_way_that_would_be_wrong_is_not_taken(make_loaded, texts, monkeypatch, fault, way):
    loaded = make_loaded("llama")
    sequences = prompts(loaded, texts)
    alone, _ = scored(loaded, sequences, "alone")
    with monkeypatch.context() as patch:
        fault(patch)
        found, scores = scored(loaded, sequences)
    assert scores.way == way
    torch.testing.assert_close(found, alone, atol=1e-4, rtol=0)


def test_without_its_proof_a_wrong_way_would_change_the_scores(make_loaded, texts, monkeypatch):
    loaded = make_loaded("llama")
    sequences = prompts(loaded, texts)
    alone, _ = scored(loaded, sequences, "alone")
    one_opening_for_all(monkeypatch)
    wrong, _ = scored(loaded, sequences, "openings")
    assert (wrong - alone).abs().max() > 1e-3


def test_memory_that_runs_out_in_a_proof_leaves_a_way_that_needs_less(
    make_loaded, texts, monkeypatch
):
    def run_out(*_):
        raise torch.OutOfMemoryError("out of memory")

    loaded = make_loaded("llama")
    sequences = prompts(loaded, texts)
    alone, _ = scored(loaded, sequences, "alone")
    monkeypatch.setattr(ablated_scores, "run_openings", run_out)
    found, scores = scored(loaded, sequences)
    assert scores.way == "rows"
    torch.testing.assert_close(found, alone, atol=1e-4, rtol=0)
    monkeypatch.setattr(ablated_scores, "ablated_by_rows", run_out)
    assert scored(loaded, sequences)[1].way == "alone"
