"""Lazy and full selection pick the same winner: on score tables, and on random models."""

import math
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from hypothesis import event, given, settings
from hypothesis import strategies as st

from polyrefuse_evaluation import selection
from polyrefuse_evaluation.ablation import ablate, add
from polyrefuse_evaluation.activations import record
from polyrefuse_evaluation.candidate_scores import (
    ValidationPrompts,
    logits_of,
    make_scorer,
    select_candidate,
)
from polyrefuse_evaluation.chat import render
from polyrefuse_evaluation.directions import DifferenceInMeansFitter
from polyrefuse_evaluation.forward_work import count_work
from polyrefuse_evaluation.refusal_score import kl_divergence, refusal_score
from polyrefuse_evaluation.selection import (
    NO_DIRECTION,
    RUNGS,
    Scorer,
    Scores,
    select_full,
    select_lazy,
)

NAN, INF = math.nan, math.inf
LAYERS = 5
CANDIDATES = [(position, layer) for position in (-2, -1) for layer in range(LAYERS)]


def scorer_of(table):
    """Return a scorer that reads {(position, layer): (bypass, induce, kl)}."""
    return Scorer(
        lambda candidates: [table[candidate][0] for candidate in candidates],
        lambda candidates: [table[candidate][1] for candidate in candidates],
        lambda candidates: [table[candidate][2] for candidate in candidates],
    )


def by_the_book(table, layers):
    """The published procedure, written once more: rung by rung, all filters at once."""
    rungs = (("published", 0.1, True), ("kl_0.2", 0.2, True), ("no_induce_filter", 0.2, False))
    for name, limit, needs_induce in rungs:
        passing = [
            (bypass, layer, position)
            for (position, layer), (bypass, induce, kl) in table.items()
            if layer < int(0.8 * layers)
            and math.isfinite(bypass)
            and not math.isnan(induce)
            and not math.isnan(kl)
            and kl <= limit
            and (induce >= 0 or not needs_induce)
        ]
        if passing:
            _, layer, position = min(passing)
            return (position, layer), name
    return None, NO_DIRECTION


def winner_of(found):
    return found.winner and (found.winner.position, found.winner.layer), found.rung


def numbers(scores):
    return [] if scores is None else [scores.bypass, scores.induce, scores.kl]


def row(bypass=0.0, induce=1.0, kl=0.05):
    return bypass, induce, kl


VALUES = {
    "bypass": st.sampled_from([-3.0, -1.0, 0.0, 2.0, NAN, INF, -INF]),
    "induce": st.sampled_from([-2.0, -0.0, 0.0, 1.0, NAN, INF, -INF]),
    "kl": st.sampled_from([0.0, 0.1, 0.1000001, 0.2, 0.3, NAN, INF]),
}
TABLES = st.lists(st.tuples(*VALUES.values()), min_size=10, max_size=10).map(
    lambda rows: dict(zip(CANDIDATES, rows, strict=True))
)
# Mostly hopeless tables, so that the lower rungs come up too.
POOR = st.lists(
    st.tuples(VALUES["bypass"], st.sampled_from([-2.0, -1.0, NAN]), VALUES["kl"]),
    min_size=10,
    max_size=10,
).map(lambda rows: dict(zip(CANDIDATES, rows, strict=True)))


@settings(max_examples=400, deadline=None)
@given(st.one_of(TABLES, POOR), st.randoms(use_true_random=False))
def test_lazy_full_and_the_published_rules_agree_on_any_table(table, order):
    candidates = [*CANDIDATES]
    order.shuffle(candidates)
    full = select_full(candidates, LAYERS, scorer_of(table))
    lazy = select_lazy(candidates, LAYERS, scorer_of(table))
    event(full.rung)
    assert winner_of(full) == winner_of(lazy) == by_the_book(table, LAYERS)
    assert full.winner == lazy.winner
    assert full.winner is None or full.winner.layer < 4
    for kind in ("bypass", "induce", "kl"):
        assert lazy.passes[kind] <= full.passes[kind]


@pytest.mark.parametrize("select", [select_full, select_lazy])
@pytest.mark.parametrize(
    ("rows", "winner", "rung"),
    [
        ({(-1, 2): row(-5), (-2, 1): row(-4)}, (-1, 2), "published"),
        ({(-1, 2): row(-5, kl=0.15), (-2, 1): row(-4)}, (-2, 1), "published"),
        ({(-1, 2): row(-5, kl=0.15), (-2, 1): row(-4, induce=-1)}, (-1, 2), "kl_0.2"),
        ({(-1, 2): row(-5, kl=0.25), (-2, 1): row(-4, induce=-1)}, (-2, 1), "no_induce_filter"),
        ({(-1, 2): row(-5, induce=NAN), (-2, 1): row(-4, kl=0.3)}, None, NO_DIRECTION),
        ({(-1, 2): row(NAN), (-2, 1): row(INF)}, None, NO_DIRECTION),
        ({(-1, 4): row(-9), (-1, 3): row(-1)}, (-1, 3), "published"),
        ({(-1, 4): row(-9), (-2, 4): row(-8)}, None, NO_DIRECTION),
        ({(-1, 2): row(-5), (-1, 1): row(-5), (-2, 1): row(-5)}, (-2, 1), "published"),
        ({(-1, 1): row(-5, induce=0.0, kl=0.1)}, (-1, 1), "published"),
        ({}, None, NO_DIRECTION),
    ],
)
def test_every_rung_is_reached_and_recorded(rows, winner, rung, select):
    found = select([*rows], LAYERS, scorer_of(rows))
    assert winner_of(found) == (winner, rung)
    assert rung in [*(r.name for r in RUNGS), NO_DIRECTION]


@pytest.mark.parametrize(
    ("fault", "table"),
    [
        ({"LATE_LAYERS": 1.0}, {(-1, 4): row(-9), (-1, 1): row(-1)}),
        ({"RUNGS": RUNGS[1:]}, {(-1, 1): row(-5, kl=0.15), (-1, 2): row(-4)}),
        ({"RUNGS": (replace(RUNGS[0], needs_induce=False),)}, {(-1, 1): row(-5, induce=-1)}),
    ],
)
def test_a_changed_rule_is_noticed_by_the_comparison(fault, table, monkeypatch):
    assert winner_of(select_lazy([*table], LAYERS, scorer_of(table))) == by_the_book(table, LAYERS)
    for name, value in fault.items():
        monkeypatch.setattr(selection, name, value)
    assert winner_of(select_lazy([*table], LAYERS, scorer_of(table))) != by_the_book(table, LAYERS)


def test_lazy_selection_stops_at_the_first_that_passes():
    table = {(-1, layer): row(float(layer)) for layer in range(50)}
    full = select_full([*table], 50, scorer_of(table))
    lazy = select_lazy([*table], 50, scorer_of(table))
    assert full.passes == {"bypass": 50, "induce": 50, "kl": 50}
    assert lazy.passes == {"bypass": 40, "induce": 1, "kl": 1}
    # Against scoring all layers in full, as published: under a third.
    assert sum(lazy.passes.values()) < 3 * len(table) / 3


def test_lazy_selection_scores_nothing_twice_on_its_way_down_the_ladder():
    table = {(-1, layer): row(layer, induce=-1, kl=0.15) for layer in range(4)}
    calls = []

    def counted(kind, index):
        def score(candidates):
            calls.extend((kind, candidate) for candidate in candidates)
            return [table[candidate][index] for candidate in candidates]

        return score

    scorer = Scorer(counted("bypass", 0), counted("induce", 1), counted("kl", 2))
    found = select_lazy([*table], LAYERS, scorer)
    assert found.rung == "no_induce_filter"
    assert len(calls) == len(set(calls)) == sum(found.passes.values())


def test_full_selection_scores_late_layers_and_never_picks_them():
    table = {(-1, 1): row(-1), (-1, 4): row(-9), (-2, 4): row(-8, kl=0.3)}
    full = select_full([*table], LAYERS, scorer_of(table))
    assert winner_of(full) == ((-1, 1), "published")
    assert [(s.position, s.layer) for s in full.scores] == [(-1, 1), (-2, 4), (-1, 4)]
    assert all(numbers(s) == [*table[s.position, s.layer]] for s in full.scores)


def test_full_selection_keeps_all_scores_in_order_and_lazy_says_what_it_skipped():
    table = {(-1, 1): row(-5), (-2, 1): row(-1), (-2, 0): row(NAN)}
    full = select_full([*table], LAYERS, scorer_of(table))
    assert [(s.layer, s.position) for s in full.scores] == [(0, -2), (1, -2), (1, -1)]
    assert all(s.kl is not None and s.induce is not None for s in full.scores)
    lazy = select_lazy([*table], LAYERS, scorer_of(table))
    assert lazy.scores[1] == Scores(-2, 1, -1.0, None, None)
    assert lazy.scores[2] == full.scores[2]


@pytest.fixture
def make_problem(make_loaded, texts):
    """A random model, candidates from its own activations, half of the vocabulary as refusals."""

    def build(seed, scale=0.1, architecture="llama", layers=6):
        loaded = make_loaded(
            architecture, seed=seed, num_hidden_layers=layers, initializer_range=scale
        )
        groups = [render(loaded.tokenizer, part, loaded.chat) for part in (texts[:3], texts[3:])]
        fitter = DifferenceInMeansFitter("en")
        for label, sequences in zip(("harmful", "harmless"), groups, strict=True):
            fitter.update(label, record(loaded, sequences)[0])
        candidates = fitter.fit()
        half = torch.randperm(320, generator=torch.Generator().manual_seed(seed))[:160].tolist()
        scorer = make_scorer(loaded, candidates, ValidationPrompts(*groups), half, 200)
        positions = len(loaded.chat.post_instruction)
        defined = [
            (position - positions, layer)
            for position, layer in candidates.defined.nonzero().tolist()
        ]
        return SimpleNamespace(
            loaded=loaded,
            harmful=groups[0],
            harmless=groups[1],
            candidates=candidates,
            half=half,
            scorer=scorer,
            defined=defined,
        )

    return build


def test_lazy_and_full_agree_on_random_models_on_which_some_candidates_pass_and_some_fail(
    make_problem,
):
    rungs, mixed, passes = set(), 0, Counter()
    for seed, scale in ((0, 0.1), (1, 0.1), (2, 0.1), (3, 0.05), (4, 0.3)):
        problem = make_problem(seed, scale)
        full = select_full(problem.defined, 6, problem.scorer)
        lazy = select_lazy(problem.defined, 6, problem.scorer)
        assert winner_of(full) == winner_of(lazy)
        assert numbers(full.winner) == pytest.approx(numbers(lazy.winner), abs=1e-4)
        assert full.winner is None or full.winner.layer < int(0.8 * 6)
        assert {score.layer for score in full.scores} == {1, 2, 3, 4, 5}
        verdicts = {RUNGS[0].passes(s.kl, s.induce) for s in full.scores}
        mixed += verdicts == {True, False}
        rungs.add(full.rung)
        passes["full"] += sum(full.passes.values())
        passes["lazy"] += sum(lazy.passes.values())
    assert mixed
    assert len(rungs) > 1
    assert passes["lazy"] < passes["full"]


def test_scores_are_those_of_the_model_with_the_direction_ablated_or_added(make_problem):
    problem = make_problem(0)
    loaded, scorer, chosen = problem.loaded, problem.scorer, problem.defined[-1]
    direction = problem.candidates.direction(*chosen)

    def one_by_one(sequences):
        return torch.cat([loaded.last_logits([sequence]) for sequence in sequences])

    base = one_by_one(problem.harmless)
    with ablate(loaded.model, direction.vector):
        bypass = refusal_score(one_by_one(problem.harmful), problem.half).mean()
        kl = kl_divergence(base, one_by_one(problem.harmless)).mean()
    with add(loaded.model, direction.raw, chosen[1]):
        induce = refusal_score(one_by_one(problem.harmless), problem.half).mean()
    for several in ([chosen], [problem.defined[0], chosen, problem.defined[3]]):
        which = several.index(chosen)
        assert scorer.bypass(several)[which] == pytest.approx(float(bypass), abs=1e-4)
        assert scorer.induce(several)[which] == pytest.approx(float(induce), abs=1e-4)
        assert scorer.kl(several)[which] == pytest.approx(float(kl), abs=1e-4)
    assert kl > 1e-3
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in loaded.model.modules())


def test_logits_come_back_in_the_order_of_the_prompts_whatever_the_batches(make_loaded, texts):
    loaded = make_loaded("llama")
    sequences = render(loaded.tokenizer, texts, loaded.chat)
    expected = torch.cat([loaded.last_logits([sequence]) for sequence in sequences])
    for batch_tokens in (1, 70, 10_000):
        logits = logits_of(loaded, sequences, batch_tokens)
        torch.testing.assert_close(logits, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("architecture", ["llama", "gemma2", "qwen3_moe", "gpt2"])
@pytest.mark.parametrize("full_scores", [False, True])
def test_winner_and_scores_do_not_depend_on_the_batches(make_problem, architecture, full_scores):
    problem = make_problem(1, 0.1, architecture, layers=4)
    prompts = ValidationPrompts(problem.harmful, problem.harmless)
    one, *others = (
        select_candidate(
            problem.loaded, problem.candidates, prompts, problem.half, budget, full_scores
        )
        for budget in (1, 64, 10_000)
    )
    assert len(one.scores) == sum(full_scores or layer < 3 for _, layer in problem.defined)
    for other in others:
        assert winner_of(other) == winner_of(one)
        for a, b in zip(one.scores, other.scores, strict=True):
            assert (a.position, a.layer) == (b.position, b.layer)
            assert [x is None for x in numbers(a)] == [x is None for x in numbers(b)]
            known = [x for x in numbers(a) if x is not None]
            assert known == pytest.approx([x for x in numbers(b) if x is not None], abs=1e-4)


def test_candidates_share_batches(make_problem):
    problem = make_problem(0)
    with count_work(problem.loaded.model) as work:
        problem.scorer.bypass(problem.defined)
    assert len(problem.defined) == 5 * len(problem.candidates.differences)
    assert work.passes < len(problem.defined)


@pytest.mark.parametrize("full_scores", [False, True])
def test_one_layer_one_position_and_one_prompt_are_enough(make_loaded, texts, full_scores):
    for layers, winner in ((1, None), (2, None), (3, (-1, 1))):
        loaded = make_loaded("llama", num_hidden_layers=layers)
        loaded.chat = replace(loaded.chat, post_instruction=loaded.chat.post_instruction[-1:])
        sequences = render(loaded.tokenizer, texts[:2], loaded.chat)
        fitter = DifferenceInMeansFitter("en")
        for label, sequence in zip(("harmful", "harmless"), sequences, strict=True):
            fitter.update(label, record(loaded, [sequence])[0])
        candidates = fitter.fit()
        assert candidates.differences.shape[:2] == (1, layers)
        prompts = ValidationPrompts(sequences[:1], sequences[1:])
        found = select_candidate(loaded, candidates, prompts, [*range(318)], 1, full_scores)
        scored = [(s.position, s.layer) for s in found.scores]
        everything = [(-1, layer) for layer in range(1, layers)]  # layer 0 has no direction
        assert scored == [c for c in everything if full_scores or c[1] < int(0.8 * layers)]
        assert found.winner is None or winner_of(found)[0] == winner


def test_a_candidate_whose_scores_are_nan_loses_and_the_others_stand(make_problem):
    """Adding a huge direction overflows; its induce score is NaN, and no other row's is."""
    problem = make_problem(0)
    candidates = problem.candidates
    candidates.differences[-1, 2] = 3e38
    candidates.differences[-2, 2] = torch.nan
    candidates.differences[-3, 2] = 0
    prompts = ValidationPrompts(problem.harmful, problem.harmless)
    found = select_candidate(problem.loaded, candidates, prompts, problem.half, 200, True)
    by_place = {(s.position, s.layer): s for s in found.scores}
    assert (-2, 2) not in by_place
    assert (-3, 2) not in by_place
    assert math.isnan(by_place[-1, 2].induce)
    rest = [s for place, s in by_place.items() if place != (-1, 2)]
    assert all(math.isfinite(x) for s in rest for x in numbers(s))
    assert found.winner is None or (found.winner.position, found.winner.layer) != (-1, 2)
