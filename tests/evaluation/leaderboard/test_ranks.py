"""Rank ranges: models with equal rates share one, models that differ do not."""

import time

import numpy as np
import pytest

from polyrefuse_evaluation.leaderboard.columns import Figure, simultaneous
from polyrefuse_evaluation.leaderboard.pair_counts import count_pairs
from polyrefuse_evaluation.leaderboard.ranks import (
    RankRange,
    higher,
    pair_intervals,
    ranges_from_intervals,
    rank_ranges,
)
from polyrefuse_evaluation.statistics import average_difference


def answers(rates, prompts=150, languages=6, seed=0, shared=0.7):
    """Draw (models, prompts, languages): prompts are hard or easy for all models and languages."""
    rng = np.random.default_rng(seed)
    hard = rng.normal(size=(1, prompts, 1))
    own = rng.normal(size=(len(rates), prompts, languages))
    from scipy.special import ndtri

    latent = shared**0.5 * hard + (1 - shared) ** 0.5 * own
    return (latent < ndtri(np.asarray(rates))[:, None, None]).astype(float)


def test_models_with_equal_rates_share_a_rank_range_in_95_percent_of_leaderboards():
    boards, models = 200, 6
    wrong = sum(
        any(r != RankRange(1, models) for r in rank_ranges(answers([0.9] * models, seed=seed)))
        for seed in range(boards)
    )
    # 95% simultaneous: at most 10 expected; the sum is below 19 with probability 0.998.
    assert wrong < 19


def test_without_correction_equal_models_would_be_told_apart():
    """The mutation: every pair at 95% of its own tells apart what is not."""
    boards, wrong = 60, 0
    for seed in range(boards):
        low, high = pair_intervals(count_pairs(answers([0.9] * 10, seed=seed)), 0.95)
        wrong += bool(((low > 0) | (high < 0)).any())
    assert wrong > 0.3 * boards


def test_differences_beyond_the_interval_give_ranks_of_their_own():
    ranges = rank_ranges(answers([0.98, 0.5, 0.1]))
    assert ranges == [RankRange(1, 1), RankRange(2, 2), RankRange(3, 3)]
    assert rank_ranges(answers([0.98, 0.5, 0.1]), higher_is_better=False) == ranges[::-1]


def test_true_ranks_lie_in_their_ranges_in_95_percent_of_leaderboards():
    rates = [0.97, 0.95, 0.93, 0.9, 0.85, 0.7]
    boards, missed = 150, 0
    for seed in range(boards):
        ranges = rank_ranges(answers(rates, seed=seed))
        missed += any(not r.best <= at <= r.worst for at, r in enumerate(ranges, start=1))
    assert missed < 16


def test_two_that_tie_share_places_and_the_third_has_its_own():
    ranges = rank_ranges(answers([0.9, 0.9, 0.2], seed=3))
    assert ranges == [RankRange(1, 2), RankRange(1, 2), RankRange(3, 3)]


def test_the_interval_of_a_pair_is_that_of_the_statistics_package():
    happened = answers([0.9, 0.8], prompts=120, languages=4, seed=1)
    happened[0, :7, 1] = np.nan
    low, high = pair_intervals(count_pairs(happened), 0.95)
    verdicts = [
        {
            str(code): {str(at): bool(v) for at, v in enumerate(model[:, code]) if v == v}
            for code in range(4)
        }
        for model in happened
    ]
    known = average_difference(verdicts[0], verdicts[1], seed=0)
    assert (low[0], high[0]) == pytest.approx((known.low, known.high), abs=0.004)


def test_a_model_that_always_refuses_is_above_one_that_never_does():
    happened = np.stack([np.zeros((30, 3)), np.ones((30, 3))])
    assert rank_ranges(happened) == [RankRange(2, 2), RankRange(1, 1)]


@pytest.mark.parametrize("models", [1, 2, 5])
def test_equal_models_and_a_single_one(models):
    assert rank_ranges(np.ones((models, 20, 2))) == [RankRange(1, models)] * models


def test_models_that_share_no_judged_prompt_tie():
    happened = np.full((2, 40, 2), np.nan)
    happened[0, :20], happened[1, 20:] = 1.0, 0.0
    assert rank_ranges(happened) == [RankRange(1, 2)] * 2


def test_no_models_are_no_ranking():
    with pytest.raises(ValueError, match="models, prompts and languages"):
        rank_ranges(np.zeros((0, 3, 2)))


def test_who_is_higher_is_never_mutual():
    above = higher(answers(np.linspace(0.2, 0.95, 12), seed=5))
    assert not (above & above.T).any()
    assert not above.diagonal().any()


def test_ranks_from_intervals_err_towards_ties_and_widen_with_the_number_of_models():
    one, other = Figure(0.9, 0.85, 0.95), Figure(0.8, 0.76, 0.84)
    low, high = simultaneous([one, other])
    assert low[0] < one.low
    assert high[1] > other.high
    ranges = ranges_from_intervals(*simultaneous([one, other]))
    assert ranges == [RankRange(1, 2), RankRange(1, 2)]
    assert ranges_from_intervals(np.array([0.8, 0.1]), np.array([0.9, 0.2])) == [
        RankRange(1, 1), RankRange(2, 2),
    ]  # fmt: skip


@pytest.mark.slow
def test_500_models_are_ranked_within_a_minute():
    rates = np.linspace(0.3, 0.99, 500)
    happened = answers(rates, prompts=200, languages=14)
    started = time.process_time()
    ranges = rank_ranges(happened)
    assert time.process_time() - started < 60
    assert ranges[0].worst > ranges[0].best > 400
