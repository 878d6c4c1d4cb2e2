"""Cosines of differences in means: closed forms, and coverage where the truth is known."""

import numpy as np
import pytest

from polyrefuse_evaluation.geometry.contrasts import concatenate, contrast
from polyrefuse_evaluation.geometry.cosines import cosines
from polyrefuse_evaluation.geometry.groups import PromptKey, group_prompts
from tests.evaluation.geometry.worlds import World, two_differences

RESAMPLES = 200


def draw_cosines(world: World, rng: np.random.Generator):
    samples, groups = world.draw(rng)
    found = contrast(samples, groups)
    return cosines(found, found, groups.draw(RESAMPLES, int(rng.integers(1 << 30))))


def coverage(truth: float, tries: int, **world) -> tuple[float, float]:
    """Return how often the interval holds the truth, and how often a percentile one would."""
    rng = np.random.default_rng(0)
    made = World(two_differences(truth, 48, world.pop("signal"), world["n"]), **world)
    held = percentile = 0
    for _ in range(tries):
        found = draw_cosines(made, rng)
        held += found.low[0, 1] <= truth <= found.high[0, 1]
        low, high = np.quantile(found.resampled.plain[:, 0, 1], [0.025, 0.975])
        percentile += low <= truth <= high
    return held / tries, percentile / tries


@pytest.mark.parametrize("truth", [0.0, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("twins", [False, True])
def test_intervals_hold_the_true_cosine(truth, twins):
    held, percentile = coverage(truth, 100, n=32, signal=20, twins=twins)
    assert held >= 0.9
    if truth == 0.99:  # the check can fail: the usual interval does
        assert percentile < 0.5


@pytest.mark.slow
@pytest.mark.parametrize("truth", [0.0, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("twins", [False, True])
@pytest.mark.parametrize("n", [24, 128])
@pytest.mark.parametrize("signal", [5, 300])
@pytest.mark.parametrize("shared", [0.0, 0.8])
def test_intervals_hold_the_true_cosine_in_every_corner(truth, twins, n, signal, shared):
    held, _ = coverage(truth, 300, n=n, signal=signal, twins=twins, shared=shared)
    assert held >= 0.9


@pytest.mark.parametrize("truth", [0.0, 0.5, 0.9, 0.99])
def test_correction_takes_off_the_bias_of_the_plain_cosine(truth):
    rng = np.random.default_rng(2)
    world = World(two_differences(truth, 48, 5, 32), n=32, shared=0.8)
    found = [draw_cosines(world, rng) for _ in range(80)]
    plain = np.mean([x.plain[0, 1] for x in found]) - truth
    corrected = np.mean([x.corrected[0, 1] for x in found]) - truth
    assert abs(corrected) < 0.02
    if truth != 0.5:  # there the two biases meet
        assert abs(plain) > 3 * abs(corrected)


def test_a_linear_resample_is_the_difference_in_means_of_that_resample():
    samples, groups = World(two_differences(0.5, 12, 9, 10), n=10).draw(np.random.default_rng(0))
    found = contrast(samples, groups)
    weights = groups.draw(1, 0)
    sample, drawn = samples[0], weights[0].astype(int)
    expected = np.repeat(sample.harmful, drawn[sample.harmful_groups], axis=0).mean(axis=0)
    expected -= np.repeat(sample.harmless, drawn[sample.harmless_groups], axis=0).mean(axis=0)
    linear = found.differences[0] + weights[0] @ found.influence[0]
    np.testing.assert_allclose(linear, expected, atol=1e-6)


def test_without_noise_all_cosines_agree_with_numpy():
    world = World(two_differences(0.3, 8, 1e8, 6), n=6)
    found = draw_cosines(world, np.random.default_rng(0))
    np.testing.assert_allclose(found.plain[0, 1], 0.3, atol=1e-3)
    np.testing.assert_allclose(found.corrected, found.plain, atol=1e-3)
    assert found.high[0, 1] - found.low[0, 1] < 1e-2


def test_a_language_without_signal_is_said_to_have_no_direction():
    differences = two_differences(0.9, 48, 20, 32)
    both = World(differences, n=32)
    alone = World(differences * [[1.0], [0.0]], n=32)
    told = [draw_cosines(both, np.random.default_rng(seed)).determined for seed in range(20)]
    assert all(found.all() for found in told)
    found = [draw_cosines(alone, np.random.default_rng(seed)) for seed in range(20)]
    vague = [x for x in found if not x.determined[0, 1]]
    assert len(vague) >= 18
    assert all(x.determined[0, 0] for x in found)
    assert all((x.low[0, 1], x.high[0, 1]) == (-1, 1) for x in vague)
    assert all(x.corrected[0, 1] == x.plain[0, 1] for x in vague)


def test_a_place_where_nothing_differs_has_no_cosine():
    samples, groups = World(np.zeros((2, 8)), n=6).draw(np.random.default_rng(0))
    flat = [
        type(s)(s.harmful * 0, s.harmless * 0, s.harmful_groups, s.harmless_groups) for s in samples
    ]
    found = contrast(flat, groups)
    assert np.isnan(cosines(found, found, groups.draw(50, 0)).plain).all()


def test_chunks_of_resamples_change_nothing(monkeypatch):
    samples, groups = World(two_differences(0.5, 16, 9, 12), n=12).draw(np.random.default_rng(0))
    found = contrast(samples, groups)
    weights = groups.draw(64, 0)
    whole = cosines(found, concatenate([found]), weights)
    monkeypatch.setattr("polyrefuse_evaluation.geometry.cosines.CHUNK_BYTES", 1)
    parts = cosines(found, concatenate([found]), weights)
    np.testing.assert_allclose(whole.low, parts.low, atol=1e-5)
    np.testing.assert_allclose(whole.resampled.plain, parts.resampled.plain, atol=1e-5)


def test_twins_are_one_group_and_strangers_are_two():
    keys = [
        PromptKey("a", "harmful", "b"),
        PromptKey("b", "harmless", "a"),
        PromptKey("c", "harmful", "b"),  # one-sided
        PromptKey("d", "harmless"),
    ]
    groups = group_prompts(keys)
    assert groups.index["a"] == groups.index["b"]
    assert [len(stratum) for stratum in groups.strata] == [1, 1, 1]
    assert groups.n == 3


def test_half_samples_have_no_duplicates_and_keep_strata():
    groups = World(np.zeros((2, 4)), n=9).groups()
    halves = groups.draw_halves(50, 0)
    for stratum in groups.strata:
        assert (halves[:, stratum].sum(axis=1) == 4).all()
    weights = groups.draw(50, 0)
    assert all((weights[:, stratum].sum(axis=1) == 9).all() for stratum in groups.strata)
    assert weights.max() > 1


def test_one_prompt_tells_nothing_of_noise():
    samples, groups = World(np.zeros((1, 4)), n=1).draw(np.random.default_rng(0))
    with pytest.raises(ValueError, match="2 prompts of each label"):
        contrast(samples, groups)
