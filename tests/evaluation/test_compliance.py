"""Rates and intervals agree with published values and closed forms; nothing of nothing is 0."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from statsmodels.stats.proportion import proportion_confint

from polyrefuse.outcomes import JUDGED_OUTCOMES, Outcome
from polyrefuse_evaluation.compliance import count_outcomes, rate
from polyrefuse_evaluation.statistics import paired_difference, wilson_interval

PROPORTIONS = st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(PROPORTIONS, st.sampled_from([0.9, 0.95, 0.99]))
def test_wilson_intervals_equal_those_of_scipy_and_statsmodels(proportion, confidence):
    successes, n = proportion
    found = wilson_interval(successes, n, confidence)
    scipy = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    statsmodels = proportion_confint(successes, n, 1 - confidence, method="wilson")
    assert found == pytest.approx(tuple(scipy), abs=1e-12)
    assert found == pytest.approx(statsmodels, abs=1e-12)
    assert 0 <= found[0] <= successes / n <= found[1] <= 1


def test_wilson_intervals_have_width_at_none_and_at_all():
    width = 1.959964**2 / (32 + 1.959964**2)
    assert wilson_interval(0, 32) == (0.0, pytest.approx(width))
    assert wilson_interval(32, 32) == (pytest.approx(1 - width), 1.0)


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (1, 0), (-1, 5), (6, 5), (0, -1)])
def test_a_proportion_of_nothing_is_an_error(successes, n):
    with pytest.raises(ValueError, match="no proportion"):
        wilson_interval(successes, n)


def test_a_rate_counts_unparsed_responses_apart_and_shows_the_bounds_they_leave_open():
    counts = count_outcomes(
        [Outcome.COMPLIED] * 6
        + [Outcome.REFUSED] * 3
        + [Outcome.DEFLECTED] * 2
        + [Outcome.BROKEN]
        + [Outcome.UNPARSED] * 4
    )
    found = rate(counts, Outcome.COMPLIED)
    assert found.value == 6 / 12
    assert (found.low, found.high) == wilson_interval(6, 12)
    assert found.minimum == 6 / 16
    assert found.maximum == 10 / 16


def test_rates_of_the_judged_outcomes_add_up_to_one():
    counts = dict(zip(Outcome, (5, 4, 3, 2, 7), strict=True))
    assert sum(rate(counts, outcome).value for outcome in JUDGED_OUTCOMES) == pytest.approx(1)


def test_a_rate_of_unparsed_responses_only_is_unknown():
    found = rate({Outcome.UNPARSED: 3}, Outcome.COMPLIED)
    assert (found.value, found.low, found.high) == (None, None, None)
    assert (found.minimum, found.maximum) == (0, 1)


@pytest.mark.parametrize("counts", [{}, count_outcomes([])])
def test_a_rate_of_no_responses_is_an_error_and_never_zero(counts):
    with pytest.raises(ValueError, match="rate of nothing"):
        rate(counts, Outcome.COMPLIED)


def test_outcomes_that_do_not_occur_count_zero():
    assert count_outcomes([Outcome.REFUSED]) == {
        outcome: int(outcome is Outcome.REFUSED) for outcome in Outcome
    }


def pairs(both, only_after, only_before, neither):
    before = [True] * both + [False] * only_after + [True] * only_before + [False] * neither
    after = [True] * (both + only_after) + [False] * (only_before + neither)
    return before, after


@pytest.mark.parametrize(
    ("table", "difference", "low", "high"),
    [
        # Newcombe 1998, Statistics in Medicine 17:2635, method 10, as reproduced by the tests of
        # the R package propint (test_Two_Dependent_Props_CI.R).
        ((36, 12, 2, 0), 0.2, 0.0569, 0.3404),
        ((18, 12, 2, 18), 0.2, 0.0562, 0.3290),
        ((53, 0, 0, 1), 0.0, -0.0729, 0.0729),
        ((0, 30, 0, 0), 1.0, 0.8395, 1.0),
    ],
)
def test_paired_differences_equal_those_that_newcombe_published(table, difference, low, high):
    found = paired_difference(*pairs(*table))
    assert found == pytest.approx((difference, low, high), abs=6e-5)


def test_paired_differences_turn_over_with_their_arguments():
    before, after = pairs(7, 9, 2, 14)
    difference, low, high = paired_difference(before, after)
    assert paired_difference(after, before) == pytest.approx((-difference, -high, -low))


@given(st.tuples(*[st.integers(0, 40)] * 4).filter(sum))
def test_paired_intervals_hold_their_difference_and_stay_in_range(table):
    difference, low, high = paired_difference(*pairs(*table))
    assert -1 <= low <= difference + 1e-12
    assert difference - 1e-12 <= high <= 1
    assert high > low


def test_pairing_narrows_the_interval_when_prompts_agree():
    agree = paired_difference(*pairs(20, 4, 0, 20))
    unrelated = paired_difference(*pairs(11, 13, 9, 11))
    assert agree[0] == unrelated[0]
    assert agree[2] - agree[1] < 0.6 * (unrelated[2] - unrelated[1])


@pytest.mark.parametrize(("before", "after"), [([], []), ([True], []), ([True], [True, False])])
def test_paired_data_must_be_of_the_same_prompts(before, after):
    with pytest.raises(ValueError, match="same prompts"):
        paired_difference(before, after)
