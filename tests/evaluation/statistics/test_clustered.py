"""Averages over languages: coverage on correlated languages, and plain cases by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from polyrefuse.languages import LANGUAGE_CODES
from polyrefuse_evaluation.statistics import clustered
from polyrefuse_evaluation.statistics.clustered import (
    average_difference,
    average_matrix,
    average_over_languages,
    resample_counts,
)
from polyrefuse_evaluation.statistics.paired import paired_difference
from polyrefuse_evaluation.statistics.proportions import wilson_interval

SAMPLES = 1000
LIKE_PAPERS = np.array([0.05] + [0.97] * 13)  # one unaligned language
RATES = {
    "rare": np.full(14, 0.02),
    "some": np.full(14, 0.1),
    "half": np.full(14, 0.5),
    "one unaligned": LIKE_PAPERS,
    "all kinds": np.linspace(0.02, 0.98, 14),
    "two languages": np.array([0.2, 0.6]),
}


def correlated(rng, prompts, rates, correlation, samples=SAMPLES):
    """Answers (samples, prompts, languages): a latent normal a prompt, shared by all languages."""
    shared = rng.standard_normal((samples, prompts, 1))
    own = rng.standard_normal((samples, prompts, len(rates)))
    return np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own < norm.ppf(rates)


def as_values(answers):
    return {
        f"p{i:03}": {LANGUAGE_CODES[j]: float(x) for j, x in enumerate(row)}
        for i, row in enumerate(answers)
    }


def coverage(interval, prompts, rates, correlation, seed=0):
    rng = np.random.default_rng(seed)
    truth = rates.mean()
    hits = 0
    for answers in correlated(rng, prompts, rates, correlation):
        low, high = interval(answers)
        hits += low <= truth <= high
    return hits / SAMPLES


def ours(answers):
    found = average_matrix(answers.astype(float), seed=0, resamples=500)
    return found.low, found.high


def percentile(answers):
    drawn = resample_counts(len(answers), 0, 500)
    return np.quantile(np.einsum("ri,i->r", drawn, answers.mean(1) / len(answers)), [0.025, 0.975])


def independent(answers):
    return wilson_interval(answers.sum(), answers.size)


def check_coverage(interval, rates, correlation, prompts=100):
    # 92-97%; 1000 samples of a coverage have a standard error of 0.7 points.
    found = coverage(interval, prompts, rates, correlation)
    assert 0.92 - 0.007 <= found <= 0.97 + 0.007, found
    return found


@pytest.mark.parametrize("correlation", [0.2, 0.6])
@pytest.mark.parametrize("name", RATES)
def test_coverage_at_100_prompts(name, correlation):
    check_coverage(ours, RATES[name], correlation)


@pytest.mark.parametrize("mutant", [percentile, independent])
def test_other_intervals_in_its_place_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_coverage(mutant, RATES["rare"], 0.6)


def test_without_trust_in_few_prompts_it_is_caught(monkeypatch):
    monkeypatch.setattr(clustered, "FEW_INFORMATIVE", 1e-9)
    monkeypatch.setattr(clustered, "_average_correlation", lambda *_: 0.0)
    with pytest.raises(AssertionError):
        check_coverage(ours, RATES["half"], 0.6)


def test_differences_of_averages_cover():
    rng = np.random.default_rng(7)
    before, after = np.full(14, 0.9), np.linspace(0.05, 0.9, 14)
    truth, hits = float((after - before).mean()), 0
    both = correlated(rng, 100, np.concatenate([before, after]), 0.4, samples=200)
    for answers in both:
        one, other = (
            {
                x: {str(i): bool(v) for i, v in enumerate(side[:, j])}
                for j, x in enumerate(LANGUAGE_CODES)
            }
            for side in (answers[:, :14], answers[:, 14:])
        )
        found = average_difference(one, other, seed=0, resamples=500)
        hits += found.low <= truth <= found.high
    assert 0.90 <= hits / 200 <= 0.995


def test_one_language_gives_wilson_and_newcombe():
    answers = [True] * 20 + [False] * 12
    values = {str(i): {"th": float(x)} for i, x in enumerate(answers)}
    found = average_over_languages(values, seed=0)
    assert (found.low, found.high) == pytest.approx(wilson_interval(20, 32))
    ids = [str(i) for i in range(32)]
    later = [False] * 31 + [True]
    change = average_difference(
        {"th": dict(zip(ids, answers, strict=True))}, {"th": dict(zip(ids, later, strict=True))}, 0
    )
    assert (change.value, change.low, change.high) == pytest.approx(
        paired_difference(answers, later)
    )


def test_languages_that_always_agree_add_nothing():
    answers = np.repeat(np.arange(100)[:, None] < 30, 14, axis=1)
    found = average_over_languages(as_values(answers), seed=0)
    assert found.correlation == pytest.approx(1)
    assert (found.low, found.high) == pytest.approx(wilson_interval(30, 100))


def test_all_refused_everywhere_still_has_width():
    found = average_over_languages(as_values(np.ones((32, 14))), seed=0)
    assert (found.value, found.high) == (1, 1)
    assert found.low == pytest.approx(wilson_interval(32, 32)[0])
    assert not found.reliable


@settings(deadline=None)
@given(st.data())
def test_bounds_enclose_the_mean_and_stay_in_range(data):
    shape = st.tuples(st.integers(1, 12), st.integers(1, 5))
    prompts, languages = data.draw(shape)
    answers = data.draw(
        st.lists(
            st.lists(st.sampled_from([0.0, 1.0]), min_size=languages, max_size=languages),
            min_size=prompts,
            max_size=prompts,
        )
    )
    found = average_over_languages(as_values(answers), seed=0, resamples=50)
    assert -1e-12 <= found.low <= found.value <= found.high <= 1 + 1e-12
    assert 0 <= found.correlation <= 1


def test_every_language_weighs_alike_also_where_answers_are_missing():
    values = {str(i): {"en": 1.0} | ({"th": 0.0} if i < 4 else {}) for i in range(40)}
    assert average_over_languages(values, seed=0).value == pytest.approx(0.5)


def test_the_bootstrap_agrees_with_the_closed_form_of_its_variance():
    rng = np.random.default_rng(2)
    (answers,) = correlated(rng, 150, np.full(14, 0.4), 0.5, samples=1).astype(float)
    found = clustered.bootstrap_rates(answers, seed=0, resamples=20_000).mean(1).var()
    assert found == pytest.approx(answers.mean(1).var() / 150, rel=0.04)


def test_it_is_seeded_and_marked_below_100_prompts():
    rng = np.random.default_rng(4)
    (answers,) = correlated(rng, 100, np.full(14, 0.3), 0.5, samples=1)
    values = as_values(answers)
    one, same, other = (average_over_languages(values, seed=s, resamples=50) for s in (1, 1, 2))
    assert one == same
    assert one != other
    assert one.reliable
    del values["p000"]
    assert not average_over_languages(values, seed=1).reliable


def test_nothing_to_average_is_refused():
    with pytest.raises(ValueError, match="no prompts"):
        average_over_languages({}, seed=0)
    with pytest.raises(ValueError, match="no prompts"):
        average_difference({"en": {"a": True}}, {"en": {"b": True}}, seed=0)
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        average_over_languages({"a": {"en": 1.5}}, seed=0)


@pytest.mark.parametrize("prompts", [40, 2500])
def test_samples_drawn_in_blocks_and_kept_as_bytes_are_those_drawn_at_once(prompts):
    """Above `MOST_KEPT` prompts counts are bytes: neither that nor the blocks change a bit."""
    rng = np.random.default_rng(3)
    matrix = (rng.random((prompts, 3)) < 0.7).astype(float)
    matrix[rng.random(matrix.shape) < 0.02] = np.nan
    drawn = np.random.default_rng(1).multinomial(prompts, np.full(prompts, 1 / prompts), size=300)
    kept = clustered.resample_counts(prompts, 1, 300)
    assert np.array_equal(kept, drawn)
    assert kept.itemsize == (1 if prompts > clustered.MOST_KEPT else 8)
    answered = (~np.isnan(matrix)).astype(float)
    totals = np.einsum("ri,il->rl", drawn.astype(float), np.nan_to_num(matrix))
    sizes = np.einsum("ri,il->rl", drawn.astype(float), answered)
    assert np.array_equal(clustered.bootstrap_rates(matrix, 1, 300), totals / sizes)
    other = clustered.bootstrap_rates(matrix, 2, 300)
    assert not np.array_equal(other, totals / sizes), "the mutation: blocks with seeds of their own"


def test_one_language_needs_no_samples(monkeypatch):
    matrix = (np.random.default_rng(0).random((50, 1)) < 0.8).astype(float)
    found = clustered.average_matrix(matrix, seed=0)
    rates = clustered.bootstrap_rates(matrix, 0, 2000)
    assert found.correlation == clustered._average_correlation(rates, int((matrix == 0).sum()))

    def refuse(*_):
        raise AssertionError("samples were drawn")

    monkeypatch.setattr(clustered, "bootstrap_rates", refuse)
    assert clustered.average_matrix(matrix, seed=0) == found
    with pytest.raises(AssertionError, match="drawn"):
        clustered.average_matrix(np.hstack([matrix, matrix]), seed=0)
