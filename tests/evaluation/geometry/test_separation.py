"""Silhouettes, centroids and probes against closed forms and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, silhouette_score

from polyrefuse_evaluation.geometry.contrasts import LanguageSample
from polyrefuse_evaluation.geometry.groups import PromptKey, group_prompts
from polyrefuse_evaluation.geometry.intervals import auroc_interval, basic_interval
from polyrefuse_evaluation.geometry.probes import (
    auroc,
    deal_folds,
    transfer_auroc,
    within_auroc,
)
from polyrefuse_evaluation.geometry.separation import distances, mean_silhouettes, separation
from tests.evaluation.geometry.worlds import World, two_differences


def one_world(n: int, distance: float, hidden: int = 6) -> World:
    difference = np.zeros((1, hidden))
    difference[0, 0] = distance
    return World(difference, n, decay=0)


@pytest.mark.parametrize("sizes", [(5, 9), (20, 20), (1, 6)])
def test_silhouettes_agree_with_scikit_learn(sizes):
    rng = np.random.default_rng(sum(sizes))
    points = np.concatenate([rng.normal(size=(sizes[0], 7)) + 1, rng.normal(size=(sizes[1], 7))])
    harmful = np.arange(sum(sizes)) < sizes[0]
    chosen = np.ones((1, sum(sizes)), dtype=bool)
    found = mean_silhouettes(distances(points), harmful, chosen)[0]
    assert found == pytest.approx(silhouette_score(points, harmful), abs=1e-12)


def test_silhouettes_of_subsets_agree_with_scikit_learn():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(30, 5)) + np.repeat([[1.0], [0.0]], 15, axis=0)
    harmful = np.arange(30) < 15
    chosen = rng.random((6, 30)) < 0.6
    found = mean_silhouettes(distances(points), harmful, chosen)
    expected = [silhouette_score(points[row], harmful[row]) for row in chosen]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_duplicates_would_inflate_silhouettes():
    """Why silhouettes are resampled by halves: the mutation is a bootstrap with duplicates."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(40, 32))
    harmful = np.arange(40) < 20
    once = silhouette_score(points, harmful)
    draws = np.concatenate([rng.integers(0, 20, (50, 20)), rng.integers(20, 40, (50, 20))], axis=1)
    doubled = np.mean([silhouette_score(points[row], harmful[row]) for row in draws])
    groups = group_prompts(
        PromptKey(str(i), "harmful" if i < 20 else "harmless") for i in range(40)
    )
    halves = groups.draw_halves(50, 0)[:, groups.of([str(i) for i in range(40)])]
    halved = mean_silhouettes(distances(points), harmful, halves).mean()
    assert abs(halved - once) < 0.01 < 0.03 < doubled - once


def test_intervals_of_silhouettes_and_distances_hold_the_truth():
    rng = np.random.default_rng(0)
    world = one_world(40, 1.5)
    big, groups = one_world(600, 1.5).draw(rng)
    truth = separation(big[0], groups, groups.draw_halves(1, 0))
    silhouette = distance = 0
    for seed in range(200):
        samples, groups = world.draw(rng)
        found = separation(samples[0], groups, groups.draw_halves(100, seed))
        silhouette += found.silhouette_low <= truth.silhouette <= found.silhouette_high
        distance += found.scaled_low <= truth.scaled_distance <= found.scaled_high
    assert silhouette >= 180
    assert distance >= 180


def test_centroid_distances_are_those_of_the_world():
    samples, groups = one_world(600, 2.0).draw(np.random.default_rng(0))
    found = separation(samples[0], groups, groups.draw_halves(4, 0))
    assert found.centroid_distance == pytest.approx(2.0, rel=0.06)
    assert found.scaled_distance == pytest.approx(2.0, rel=0.06)  # the noise has length 1


def test_where_nothing_differs_there_is_no_silhouette():
    samples, groups = one_world(8, 0.0).draw(np.random.default_rng(0))
    s = samples[0]
    flat = LanguageSample(s.harmful * 0, s.harmless * 0, s.harmful_groups, s.harmless_groups)
    assert np.isnan(separation(flat, groups, groups.draw_halves(5, 0)).silhouette)


def test_the_basic_interval_moves_against_the_bias():
    resampled = np.linspace(0.7, 0.9, 1001)  # estimates that come out 0.1 too low
    low, high = basic_interval(np.array(0.9), resampled)
    assert low == pytest.approx(1.8 - 0.895)
    assert high == pytest.approx(1.8 - 0.705)


def test_auroc_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 5, 60).astype(float)
    positive = rng.random(60) < 0.4
    assert auroc(scores, positive) == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)
    with pytest.raises(ValueError, match="both classes"):
        auroc(scores, np.ones(60))


@pytest.mark.parametrize("shift", [0.0, 1.0, 3.0])
def test_auroc_intervals_hold_the_truth(shift):
    from scipy.stats import norm

    rng = np.random.default_rng(0)
    truth = norm.cdf(shift / np.sqrt(2))
    held = 0
    for _ in range(300):
        scores = np.concatenate([rng.normal(size=32) + shift, rng.normal(size=32)])
        low, high = auroc_interval(auroc(scores, np.arange(64) < 32), 32, 32)
        held += low <= truth <= high
    assert held >= 270
    assert auroc_interval(1.0, 32, 32)[0] < 0.97
    assert auroc_interval(0.0, 32, 32)[1] > 0.03


def test_probes_are_read_out_on_prompts_they_have_not_seen():
    """Without folds, 24 prompts in 200 dimensions are separated by their noise alone."""
    rng = np.random.default_rng(0)
    world = World(np.zeros((2, 200)), 12, twins=True, decay=0)
    within, seen = [], []
    for _ in range(30):
        samples, groups = world.draw(rng)
        within.append(within_auroc(samples[0], deal_folds(groups, 0)))
        nothing_left_out = np.full(groups.n, -1)
        nothing_left_out[0] = 0  # the mutation: all but one group are fitted on, and read out
        seen.append(_read_all(samples[0], nothing_left_out))
    assert np.mean(within) == pytest.approx(0.5, abs=0.1)
    assert np.mean(seen) > 0.95


def _read_all(sample, folds):
    from polyrefuse_evaluation.geometry.probes import fit_probe

    kept = folds[sample.groups] != 0
    x = sample.stacked - sample.stacked.mean(axis=0)
    probe = fit_probe(x[kept], sample.is_harmful[kept].astype(float))
    return auroc(x[kept] @ probe, sample.is_harmful[kept])


def test_probes_cross_languages_only_along_shared_directions():
    differences = two_differences(0.0, 40, 60, 32)
    differences = np.concatenate([differences, differences[:1]])
    samples, groups = World(differences, 32, decay=0, shared=0).draw(np.random.default_rng(0))
    found = transfer_auroc(samples, deal_folds(groups, 0))
    assert found[0, 0] > 0.9
    assert found[0, 2] > 0.9
    assert found[0, 1] < 0.8
