"""Selection picks what the published procedure picks, for less than a third of its work."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from benchmarks.bench_models import Bench
from benchmarks.compare_selection import Cost, SelectionComparison, compare_selection
from benchmarks.pipeline import selection_faults
from polyrefuse_evaluation import ablated_scores, base_pass, candidate_scores, row_ablation
from polyrefuse_evaluation.candidate_scores import ValidationPrompts
from polyrefuse_evaluation.chat import render
from polyrefuse_evaluation.padding import ignores_padding


@pytest.fixture
def bench(make_loaded, texts):
    """A tiny random Llama, with refusal tokens such that some candidates pass and some fail."""
    loaded = make_loaded("llama", num_hidden_layers=6, initializer_range=0.1)
    assert ignores_padding(loaded)  # asked once a model
    more = [f"{text} {extra}" for text in texts for extra in ("now", "and then, please")]
    sequences = render(loaded.tokenizer, more, loaded.chat)
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randperm(320, generator=generator)[:160].tolist()
    rows = [SimpleNamespace(id="1", language="en", prompt=text) for text in more]
    return Bench(
        loaded,
        {"harmful": rows[:5], "harmless": rows[5:]},
        ValidationPrompts(sequences[:5], sequences[5:]),
        tokens,
    )


def test_winner_and_scores_are_those_of_the_published_procedure(bench):
    found = compare_selection(bench, rounds=1, batch_tokens=400)
    assert [*selection_faults(found, timed=False)] == []
    assert found.extraction[0].token_layers == found.extraction[1].token_layers


def test_full_scores_are_those_of_the_published_procedure_also_in_late_layers(bench):
    found = compare_selection(bench, rounds=1, batch_tokens=400, full_scores=True)
    positions = len(bench.loaded.chat.post_instruction)
    assert found.compared == 3 * positions * 5  # all layers but the first, which has no direction
    assert found.difference <= 1e-4
    assert found.winners[0] == found.winners[1]


def rolled_units(monkeypatch):
    units = row_ablation._units
    monkeypatch.setattr(row_ablation, "_units", lambda *args: units(*args).roll(1, 0))


def halved_addition(monkeypatch):
    resumed = base_pass.Resumer._resumed

    def half(self, batch, layer, directions):
        return resumed(self, batch, layer, directions / 2)

    monkeypatch.setattr(base_pass.Resumer, "_resumed", half)
    monkeypatch.setattr(base_pass, "close_logits", lambda *_: True)


def scores_of_other_prompts(monkeypatch):
    score = ablated_scores.score_in_parts
    for module in (ablated_scores, candidate_scores):
        monkeypatch.setattr(module, "score_in_parts", lambda *args: score(*args).roll(1, 0))


@pytest.mark.parametrize("way", ["openings", "rows"])
@pytest.mark.parametrize("fault", [rolled_units, halved_addition, scores_of_other_prompts])
def test_a_planted_fault_is_noticed(bench, monkeypatch, fault, way):
    """With its own proofs silenced, the comparison with the reference still sees the fault."""
    fault(monkeypatch)
    monkeypatch.setattr(ablated_scores.AblatedScores, "_proven", lambda *_: way)
    found = compare_selection(bench, rounds=1, batch_tokens=400)
    assert any("scores differ" in text for text in selection_faults(found, timed=False))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"winners": ((-1, 2), (-1, 3))}, "winners differ"),
        ({"winners": (None, None)}, "winners differ"),
        ({"passing": (30, 30)}, "all candidates pass"),
        ({"passing": (0, 30)}, "or none"),
        ({"difference": 2e-4}, "scores differ"),
        ({"difference": float("nan")}, "scores differ"),
        ({"selection": (Cost(31, 1.0), Cost(100, 6.0))}, "token-layers"),
        ({"selection": (Cost(25, 1.0), Cost(100, 4.9))}, "times faster"),
    ],
)
def test_each_bound_that_is_missed_is_named(change, named):
    costs = (Cost(25, 1.0), Cost(100, 6.0))
    good = SelectionComparison("tiny", costs, costs, ((-1, 2), (-1, 2)), (20, 30), 1e-6, 40)
    assert [*selection_faults(good, timed=True)] == []
    missed = [*selection_faults(replace(good, **change), timed=True)]
    assert len(missed) == 1
    assert named in missed[0]
