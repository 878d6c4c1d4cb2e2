"""How many directions of a shift are real: bootstrap bands, and two nulls for its spectrum.

Knows only tensors. The bootstrap draws whole prompts (all translations of one together); its
effective ranks lean low, since drawing a prompt twice adds no direction, which is why the band is
shown beside the estimate and does not replace it.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from polyrefuse_evaluation.residual_space.components import (
    THRESHOLDS,
    effective_ranks,
    find_components,
)

BOOTSTRAPS = 100


@dataclass(frozen=True)
class RankBand:
    """Effective rank at one threshold with its 95% bootstrap band (percentiles)."""

    threshold: float
    rank: int
    low: int
    high: int


def rank_bands(
    rows: Tensor,
    groups: Sequence[str] | None = None,
    thresholds: Sequence[float] = THRESHOLDS,
    resamples: int = BOOTSTRAPS,
    seed: int = 0,
) -> list[RankBand]:
    """Return effective ranks of a shift with bootstrap bands.

    Args:
        rows: shift (n, hidden), not centred.
        groups: rows of one group are drawn together; every row alone by default.
        thresholds: shares of the variance.
        resamples: bootstrap draws.
        seed: of the draws.

    Raises:
        ValueError: fewer than two rows, or rows that do not vary.
    """
    exact = effective_ranks(find_components(rows, 1).spectrum, thresholds)
    wide = rows.double()
    small = wide @ wide.T if rows.shape[0] <= rows.shape[1] else None
    members: dict[str, list[int]] = defaultdict(list)
    for row, group in enumerate(groups if groups is not None else map(str, range(len(rows)))):
        members[group].append(row)
    names = sorted(members)
    random = np.random.default_rng(seed)
    drawn: list[dict[float, int]] = []
    for _ in range(resamples):
        counts = torch.zeros(len(rows), dtype=torch.float64)
        for index, times in enumerate(np.bincount(random.integers(len(names), size=len(names)))):
            counts[members[names[index]]] = float(times)
        if small is None:
            spectrum = _narrow_spectrum(wide, counts)
        else:
            spectrum = _weighted_spectrum(small, counts)
        if len(spectrum):
            drawn.append(effective_ranks(spectrum, thresholds))
    bands = []
    for threshold, rank in exact.items():
        ranks = [ranks[threshold] for ranks in drawn] or [rank]
        low, high = np.percentile(ranks, [2.5, 97.5], method="closest_observation")
        bands.append(RankBand(threshold, rank, int(low), int(high)))
    return bands


def _narrow_spectrum(rows: Tensor, counts: Tensor) -> Tensor:
    """Return the variances of rows drawn `counts` times, from their covariance: many short rows."""
    kept = counts > 0
    weights, chosen = counts[kept], rows[kept]
    total = weights.sum()
    centred = chosen - (weights @ chosen) / total
    values = torch.linalg.eigvalsh(centred.T @ (weights[:, None] * centred)).flip(0)
    kept_values: Tensor = values[values > 1e-12 * values[0].clamp_min(1e-300)]
    return kept_values / (total - 1)


def _weighted_spectrum(gram: Tensor, counts: Tensor) -> Tensor:
    """Return the variances of rows drawn `counts` times, from their Gram matrix alone.

    A row that is drawn c times is one row of weight sqrt(c): the matrix stays as small as the
    number of distinct rows.
    """
    kept = counts > 0
    weights = counts[kept]
    block = gram[kept][:, kept]
    total = weights.sum()
    mean = (block @ weights) / total
    centred = block - mean[:, None] - mean[None] + (weights @ mean) / total
    root = weights.sqrt()
    values = torch.linalg.eigvalsh(root[:, None] * centred * root[None]).flip(0)
    kept_values: Tensor = values[values > 1e-12 * values[0].clamp_min(1e-300)]
    return kept_values / (total - 1)


def halves_spectrum(base: Tensor, strata: Sequence[str], seed: int = 0) -> Tensor:
    """Return the spectrum of a shift that no tuning made: base against base, other prompts.

    Rows of each stratum (a language, say) are halved at random and paired; the shift is one half
    minus the other. Its variances say how much two prompts differ in the base model alone. It is
    halved, as a difference of two independent rows varies twice as much as either.

    Args:
        base: activations of the base model at one layer, (n, hidden).
        strata: stratum of each row.
        seed: of the halves.

    Raises:
        ValueError: no stratum has two rows.
    """
    generator = torch.Generator().manual_seed(seed)
    members: dict[str, list[int]] = defaultdict(list)
    for row, stratum in enumerate(strata):
        members[stratum].append(row)
    first: list[int] = []
    second: list[int] = []
    for stratum in sorted(members):
        rows = members[stratum]
        order = torch.randperm(len(rows), generator=generator).tolist()
        half = len(rows) // 2
        first += [rows[index] for index in order[:half]]
        second += [rows[index] for index in order[half : 2 * half]]
    if len(first) < 2:
        raise ValueError("too few rows to compare halves")
    return find_components(base[first].double() - base[second].double(), 1).spectrum / 2


def noise_edge(spectrum: Tensor, rows: int, width: int) -> float:
    """Return the largest variance that noise alone would give: the Marchenko-Pastur edge.

    The noise variance is that whose median eigenvalue is the median of `spectrum` (as in Gavish and
    Donoho 2014, section III.E), so a few real directions hardly move it. Noise that is stronger in
    some dimensions than in others exceeds this edge by itself: read it with `halves_spectrum`.

    Args:
        spectrum: variances s^2 / (n - 1), falling, zeros left out.
        rows: n.
        width: hidden.
    """
    degrees = rows - 1
    size = min(degrees, width)
    full = torch.zeros(size, dtype=torch.float64)
    full[: len(spectrum)] = spectrum[:size]
    ratio = width / degrees
    sigma2 = float(full.median()) / _median_eigenvalue(ratio)
    return float(sigma2 * (1 + ratio**0.5) ** 2)


def _median_eigenvalue(ratio: float) -> float:
    """Return the median non-zero eigenvalue of noise of variance 1; ratio = width / rows."""
    low, high = (1 - ratio**0.5) ** 2, (1 + ratio**0.5) ** 2
    # In the angle the square-root ends of the density are smooth, so a plain sum is exact enough.
    angle = (np.arange(200_000) + 0.5) * np.pi / 200_000
    x = (low + high) / 2 - (high - low) / 2 * np.cos(angle)
    density = np.sqrt(np.maximum((high - x) * (x - low), 0)) / np.maximum(x, 1e-300) * np.sin(angle)
    cumulated = np.cumsum(density)
    return float(x[np.searchsorted(cumulated, cumulated[-1] / 2)])
