"""The permutation null: uniform where there is no signal, and its traps."""

import numpy as np
import pytest
from scipy.stats import kstest

from polyrefuse_evaluation.geometry.contrasts import LanguageSample, contrast
from polyrefuse_evaluation.geometry.cosines import cosines
from polyrefuse_evaluation.geometry.permutation import deal, null_bound, null_cosines, p_values
from tests.evaluation.geometry.worlds import World, two_differences


def p_value(world: World, rng: np.random.Generator, shuffles: int = 199) -> float:
    samples, groups = world.draw(rng)
    found = contrast(samples, groups)
    observed = cosines(found, found, groups.draw(2, 0)).plain
    dealt = deal(samples, shuffles, int(rng.integers(1 << 30)))
    return float(p_values(observed, null_cosines(samples, samples, dealt))[0, 1])


def p_under_null(tries: int, **world) -> np.ndarray:
    rng = np.random.default_rng(0)
    made = World(np.zeros((2, 24)), shared=0.0, **world)
    return np.array([p_value(made, rng) for _ in range(tries)])


@pytest.mark.parametrize("decay", [0.0, 2.0])
def test_p_values_are_uniform_without_signal(decay):
    p = p_under_null(300, n=16, decay=decay)
    assert kstest(p, "uniform").pvalue > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("decay", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("n", [16, 64])
def test_p_values_are_uniform_without_signal_in_every_corner(n, decay):
    p = p_under_null(1000, n=n, decay=decay)
    assert kstest(p, "uniform").pvalue > 0.01


def test_a_shared_direction_is_far_beyond_the_null():
    rng = np.random.default_rng(0)
    world = World(two_differences(0.9, 24, 20, 16), n=16)
    assert max(p_value(world, rng) for _ in range(20)) <= 0.01


def test_plain_label_shuffling_keeps_the_signal_and_would_hide_it():
    """The mutation: residuals around one common mean, not each class's own."""
    samples, _ = World(two_differences(0.95, 24, 200, 24), n=24, decay=0).draw(
        np.random.default_rng(0)
    )
    plain = [
        LanguageSample(  # both "classes" get the same mean, so nothing is taken off
            np.concatenate([s.harmful, s.harmless])[::2],
            np.concatenate([s.harmful, s.harmless])[1::2],
            s.harmful_groups,
            s.harmless_groups,
        )
        for s in samples
    ]
    right = null_bound(null_cosines(samples, samples, deal(samples, 300, 0)))[0, 1]
    wrong = null_bound(null_cosines(plain, plain, deal(plain, 300, 0)))[0, 1]
    assert right < 0.6 < 0.8 < wrong


def test_languages_are_shuffled_apart():
    samples, _ = World(np.zeros((2, 8)), n=12, shared=1.0).draw(np.random.default_rng(0))
    np.testing.assert_array_equal(samples[0].harmful, samples[1].harmful)
    dealt = deal(samples, 200, 0)
    assert not np.array_equal(dealt[0], dealt[1])
    assert np.median(np.abs(null_cosines(samples, samples, dealt)[:, 0, 1])) < 0.9
    together = [dealt[0], dealt[0]]  # the mutation
    assert np.median(np.abs(null_cosines(samples, samples, together)[:, 0, 1])) > 0.999


def test_what_is_not_defined_has_no_p_value():
    assert np.isnan(p_values(np.array([np.nan]), np.zeros((9, 1))))[0]
