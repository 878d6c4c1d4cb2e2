"""Components, shared directions, reliability and rank correlations against closed forms."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.decomposition import PCA

from polyrefuse_evaluation.geometry.components import fit_basis, own_basis, shared_basis
from polyrefuse_evaluation.geometry.contrasts import contrast
from polyrefuse_evaluation.geometry.cosines import cosines
from polyrefuse_evaluation.geometry.permutation import deal, null_cosines
from polyrefuse_evaluation.geometry.rank_relation import rank_relation
from polyrefuse_evaluation.geometry.reliability import learning_curve, split_half
from polyrefuse_evaluation.geometry.subspace import (
    language_subspace,
    leave_one_out,
    principal_angles,
    shared_directions,
    shared_spectrum,
    spectrum,
)
from tests.evaluation.geometry.worlds import World, two_differences


@pytest.mark.parametrize("shape", [(40, 12), (12, 40)])
def test_components_are_those_of_the_svd_up_to_sign(shape):
    points = np.random.default_rng(0).normal(size=shape) * np.linspace(3, 1, shape[1]) + 5
    found = fit_basis(points)
    centred = points - points.mean(axis=0)
    _, values, rows = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.abs(np.diag(found.components @ rows[:2].T)), 1, atol=1e-9)
    np.testing.assert_allclose(found.explained, values[:2] ** 2 / (values**2).sum(), atol=1e-9)
    theirs = PCA(2).fit(points)
    np.testing.assert_allclose(found.explained, theirs.explained_variance_ratio_, atol=1e-9)
    np.testing.assert_allclose(
        np.abs(found.project(points)), np.abs(theirs.transform(points)), atol=1e-7
    )


def test_harmful_lies_on_the_right_in_every_plane():
    samples, _ = World(two_differences(0.9, 20, 90, 24), 24).draw(np.random.default_rng(0))
    for basis in (own_basis(samples[0]), shared_basis(samples)):
        step = samples[0].harmful.mean(axis=0) - samples[0].harmless.mean(axis=0)
        assert (basis.components @ step)[0] > 0


def test_centring_languages_takes_out_where_they_lie():
    world = World(two_differences(0.9, 20, 40, 24), 24)
    samples, _ = world.draw(np.random.default_rng(0))
    far = np.zeros(20)
    far[7] = 100
    moved = [samples[0], type(samples[1])(
        samples[1].harmful + far, samples[1].harmless + far,
        samples[1].harmful_groups, samples[1].harmless_groups,
    )]  # fmt: skip
    assert abs(shared_basis(moved).components[0, 7]) > 0.99
    assert abs(shared_basis(moved, centre_languages=True).components[0, 7]) < 0.5


def test_points_that_are_all_the_same_have_no_components():
    with pytest.raises(ValueError, match="all points are the same"):
        fit_basis(np.ones((10, 5)))


def block_world(blocks: int, languages: int = 6, n: int = 32) -> World:
    """Languages whose directions fall into groups at right angles."""
    basis = np.linalg.qr(np.random.default_rng(3).normal(size=(40, blocks)))[0].T
    return World(basis[np.arange(languages) % blocks] * np.sqrt(30 * 2 / n), n, decay=0)


def found_rank(world: World, seed: int) -> int:
    samples, groups = world.draw(np.random.default_rng(seed))
    c = contrast(samples, groups)
    found = cosines(c, c, groups.draw(100, seed))
    null = null_cosines(samples, samples, deal(samples, 100, seed))
    return shared_spectrum(found, null).rank


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_the_rank_is_the_number_of_groups_of_languages(blocks):
    assert [found_rank(block_world(blocks), seed) for seed in range(5)] == [blocks] * 5


def test_unrelated_directions_share_no_rank():
    silent = World(np.zeros((6, 40)), 32, decay=0, shared=0)
    ranks = [found_rank(silent, seed) for seed in range(20)]
    assert ranks.count(0) >= 18


def test_real_directions_that_are_all_different_share_no_rank():
    """What is beyond its noise is not shared by that: six languages, six directions."""
    ranks = [found_rank(block_world(6), seed) for seed in range(20)]
    assert ranks.count(0) >= 18


def test_the_spectrum_is_that_of_the_stacked_unit_directions():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(5, 9))
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    values = np.linalg.svd(units, compute_uv=False) ** 2
    np.testing.assert_allclose(spectrum(units @ units.T), values / values.sum(), atol=1e-12)
    shared = shared_directions(vectors, 2)
    np.testing.assert_allclose(shared @ shared.T, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(((units @ shared.T) ** 2).sum(axis=0), values[:2], atol=1e-12)


def test_leaving_a_language_out_is_projecting_it_on_the_others_directions():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(5, 9)) + 1
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    found = leave_one_out(units @ units.T, 2, 2)
    others = np.delete(units, 2, axis=0)
    shared = shared_directions(others, 2)
    assert found.cosine == pytest.approx(units[2] @ shared[0])
    assert found.captured == pytest.approx(np.linalg.norm(shared @ units[2]))


def test_principal_angles_are_those_of_a_turned_plane():
    turn = np.radians(30)
    a = np.eye(4)[:, :2]
    b = np.stack([np.eye(4)[0], np.cos(turn) * np.eye(4)[1] + np.sin(turn) * np.eye(4)[2]], axis=1)
    np.testing.assert_allclose(principal_angles(a, b), [0, turn], atol=1e-7)


def test_a_language_subspace_begins_with_its_direction():
    samples, _ = World(two_differences(0.5, 20, 400, 24), 24).draw(np.random.default_rng(0))
    first = language_subspace(samples[0], 3)[:, 0]
    step = samples[0].harmful.mean(axis=0) - samples[0].harmless.mean(axis=0)
    assert abs(first @ step) / np.linalg.norm(step) > 0.99


def test_reliability_grows_with_signal_and_with_prompts():
    weak, groups = World(two_differences(0, 30, 1, 64), 64).draw(np.random.default_rng(0))
    strong, _ = World(two_differences(0, 30, 100, 64), 64).draw(np.random.default_rng(0))
    low, high = split_half(weak[0], groups, 0), split_half(strong[0], groups, 0)
    assert low.cosine < 0.8 < 0.95 < high.cosine
    assert low.cosine < low.full
    curve = learning_curve(weak[0], 20, 0)
    assert [point.size for point in curve] == [8, 16, 32, 64]
    assert curve[0].between_seeds < curve[1].between_seeds < curve[2].between_seeds
    assert curve[-1].to_full == pytest.approx(1)
    assert np.isnan(curve[-1].to_rest)


def test_split_halves_agree_with_the_signal_that_was_put_in():
    """E[cosine of two halves] is s / (s + 1) with s the signal to noise of a half."""
    world = World(two_differences(0, 200, 10, 40), 40, decay=0)
    found = []
    for seed in range(10):
        samples, groups = world.draw(np.random.default_rng(seed))
        found.append(split_half(samples[0], groups, seed).cosine)
    assert np.mean(found) == pytest.approx(5 / 6, abs=0.03)


def test_rank_correlation_agrees_with_scipy():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=14), rng.integers(0, 4, 14).astype(float)
    found = rank_relation(x, y, 0)
    theirs = spearmanr(x, y)
    assert found.rho == pytest.approx(theirs.statistic)
    assert found.p_value == pytest.approx(theirs.pvalue, abs=0.03)
    assert found.low < found.rho < found.high


def test_rank_correlation_intervals_hold_the_truth():
    rng = np.random.default_rng(0)
    pearson = 0.7
    truth = 6 / np.pi * np.arcsin(pearson / 2)  # of a bivariate normal
    held = 0
    for seed in range(200):
        x = rng.normal(size=14)
        y = pearson * x + np.sqrt(1 - pearson**2) * rng.normal(size=14)
        found = rank_relation(x, y, seed)
        held += found.low <= truth <= found.high
    assert held >= 180


def test_what_does_not_vary_or_is_too_little_has_no_rank_correlation():
    x = np.arange(14.0)
    assert np.isnan(rank_relation(x, np.zeros(14), 0).rho)
    assert np.isnan(rank_relation(x[:4], x[:4], 0).rho)
    assert rank_relation(x, np.where(x > 12, np.nan, x), 0).n == 13
