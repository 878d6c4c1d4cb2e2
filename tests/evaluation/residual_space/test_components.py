"""Components equal numpy's SVD; effective ranks, bands and nulls say what they should."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from polyrefuse_evaluation.residual_space.components import (
    effective_rank,
    effective_ranks,
    find_components,
)
from polyrefuse_evaluation.residual_space.spectrum import halves_spectrum, noise_edge, rank_bands

pytestmark = pytest.mark.usefixtures("one_thread")


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def planted(n=200, d=60, noise=0.0, seed=0):
    """Shift with three orthogonal directions of standard deviation 1, 0.4, 0.2."""
    directions = torch.linalg.qr(normal(d, 3, seed=seed + 50)).Q.T
    scores = normal(n, 3, seed=seed) * torch.tensor([1.0, 0.4, 0.2]).double()
    return scores @ directions + noise * normal(n, d, seed=seed + 1), directions


@pytest.mark.parametrize("shape", [(40, 12), (12, 40), (20, 20)])
def test_components_equal_a_plain_numpy_svd(shape):
    rows = normal(*shape) * torch.linspace(3, 0.5, shape[1]).double() + 5
    found = find_components(rows.float())
    stored = rows.float().numpy().astype(np.float64)
    _, singular, vectors = np.linalg.svd(stored - stored.mean(axis=0), full_matrices=False)
    kept = min(shape[0] - 1, shape[1])
    np.testing.assert_allclose(found.variances, singular[:kept] ** 2 / (shape[0] - 1), rtol=1e-7)
    cosines = np.abs(np.sum(vectors[:kept] * found.directions.numpy(), axis=1))
    np.testing.assert_allclose(cosines, 1, atol=1e-7)
    identity = torch.eye(kept, dtype=torch.float64)
    torch.testing.assert_close(found.directions @ found.directions.T, identity, atol=1e-7, rtol=0)


def test_without_centring_the_mean_would_be_the_first_component():
    """The fault that centring avoids: a common offset drowns what varies."""
    rows, directions = planted()
    offset = 20 * torch.linalg.qr(normal(60, 1, seed=9)).Q[:, 0]
    found = find_components(rows + offset)
    assert abs(float(found.directions[0] @ directions[0])) > 0.99
    plain = torch.linalg.svd(rows + offset, full_matrices=False).Vh[0]
    assert abs(float(plain @ directions[0])) < 0.5


def test_planted_directions_come_back_by_amplitude():
    rows, directions = planted(noise=0.01)
    found = find_components(rows, 3)
    assert (found.directions * directions).sum(dim=1).abs().min() > 0.95
    assert len(found.variances) == 3
    assert len(found.spectrum) == 60


def test_orientation_puts_the_labelled_rows_higher():
    rows, _ = planted()
    labels = (rows @ find_components(rows, 1).directions[0]) < 0
    turned = find_components(rows, 1).oriented(rows, labels)
    scores = turned.project(rows)[:, 0]
    assert float(scores[labels].mean()) > float(scores[~labels].mean())
    same = turned.oriented(rows, torch.ones(len(rows), dtype=torch.bool))
    torch.testing.assert_close(same.directions, turned.directions)


@pytest.mark.parametrize("rows", [torch.ones(5, 4), torch.ones(1, 4), torch.ones(4)])
def test_a_shift_that_does_not_vary_is_an_error(rows):
    with pytest.raises(ValueError, match=r"shift|rows"):
        find_components(rows)


@settings(max_examples=60, deadline=None)
@given(
    variances=st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=20),
    thresholds=st.lists(st.floats(0.01, 1), min_size=2, max_size=2),
)
def test_the_effective_rank_is_the_smallest_that_reaches_the_threshold(variances, thresholds):
    spectrum = torch.tensor(sorted(variances, reverse=True), dtype=torch.float64)
    low, high = (effective_rank(spectrum, threshold) for threshold in sorted(thresholds))
    assert low <= high <= len(variances)
    share = float(spectrum[:high].sum() / spectrum.sum())
    assert share >= max(thresholds) - 1e-9
    if high > 1:
        assert float(spectrum[: high - 1].sum() / spectrum.sum()) < max(thresholds)


def test_effective_ranks_of_a_known_spectrum():
    spectrum = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64)
    assert effective_ranks(spectrum, (0.4, 0.5, 0.6, 0.8, 0.9, 1)) == {
        0.4: 1,
        0.5: 1,
        0.6: 2,
        0.8: 2,
        0.9: 3,
        1: 4,
    }
    with pytest.raises(ValueError, match="threshold"):
        effective_rank(spectrum, 1.5)
    with pytest.raises(ValueError, match="variance"):
        effective_rank(torch.zeros(3), 0.9)


def test_bands_hold_the_rank_and_are_the_same_for_the_same_seed():
    rows, _ = planted(noise=0.05)
    bands = rank_bands(rows, resamples=40)
    assert bands == rank_bands(rows, resamples=40)
    exact = effective_ranks(find_components(rows).spectrum)
    assert {band.threshold: band.rank for band in bands} == exact
    assert all(band.low <= band.high for band in bands)
    assert any(band.low < band.high for band in bands)


def test_translations_that_are_drawn_together_widen_the_band():
    rows, _ = planted(n=30, noise=0.3)
    copies = rows.repeat(8, 1)
    alone = rank_bands(copies, resamples=60)[-1]
    together = rank_bands(copies, [str(row % 30) for row in range(240)], resamples=60)[-1]
    assert together.high - together.low > alone.high - alone.low


def test_a_bootstrap_from_the_gram_matrix_equals_one_from_the_rows():
    from polyrefuse_evaluation.residual_space.spectrum import _weighted_spectrum

    rows = normal(12, 5)
    counts = torch.tensor([2, 0, 1, 3, 0, 1, 1, 0, 2, 1, 0, 1]).double()
    repeated = rows.repeat_interleave(counts.long(), dim=0)
    expected = find_components(repeated).spectrum
    torch.testing.assert_close(_weighted_spectrum(rows @ rows.T, counts)[:5], expected)


@pytest.mark.parametrize(("n", "d"), [(150, 400), (400, 150)])
def test_noise_stays_below_its_edge_and_planted_directions_stand_above(n, d):
    noise = 0.3 * normal(n, d)
    spectrum = find_components(noise).spectrum
    edge = noise_edge(spectrum, n, d)
    assert float(spectrum[0]) < 1.1 * edge
    assert float(spectrum[0]) > 0.85 * edge
    rows, _ = planted(n, d, noise=0.005)
    spectrum = find_components(rows).spectrum
    assert int((spectrum > noise_edge(spectrum, n, d)).sum()) == 3


def test_the_halves_null_is_the_spread_of_prompts_and_respects_strata():
    spread = normal(400, 20, seed=3)
    null = halves_spectrum(spread, ["en"] * 400)
    assert float(null.mean()) == pytest.approx(1, abs=0.15)
    strata = ["en"] * 200 + ["de"] * 200
    apart = spread + 50 * torch.tensor([0.0, 1.0]).repeat_interleave(200)[:, None]
    assert float(halves_spectrum(apart, strata)[0]) < 3
    assert float(halves_spectrum(apart, ["all"] * 400)[0]) > 100  # languages mixed: the fault
    with pytest.raises(ValueError, match="few"):
        halves_spectrum(spread[:3], ["a", "b", "c"])


def test_bands_do_not_depend_on_which_of_the_two_matrices_is_decomposed():
    from polyrefuse_evaluation.residual_space.spectrum import _narrow_spectrum, _weighted_spectrum

    rows = normal(14, 6)
    counts = torch.tensor([2, 0, 1, 3, 0, 1, 1, 0, 2, 1, 0, 1, 1, 1]).double()
    narrow = _narrow_spectrum(rows, counts)
    torch.testing.assert_close(narrow, _weighted_spectrum(rows @ rows.T, counts)[:6])
