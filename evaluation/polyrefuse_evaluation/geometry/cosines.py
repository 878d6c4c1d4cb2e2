"""Cosines between differences in means, corrected for noise, with intervals.

The plain cosine of two estimated differences (the paper's) is biased: noise makes both longer,
which draws it towards 0, and prompts shared by two languages make it grow. Both are known and taken
off: with S_ab the noise covariance of the two differences,

    cos = (D_a . D_b - tr S_ab) / sqrt((|D_a|^2 - tr S_aa) (|D_b|^2 - tr S_bb)).

Intervals are basic bootstraps of the corrected cosine over groups of prompts, clipped to [-1, 1]. A
percentile bootstrap of the plain cosine covers as little as 0% where the truth is near 1. Knows
arrays only.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyrefuse_evaluation.geometry.contrasts import Contrasts
from polyrefuse_evaluation.geometry.groups import Array
from polyrefuse_evaluation.geometry.intervals import basic_interval

CHUNK_BYTES = 2**28
"""Most bytes that the resampled differences of one chunk of resamples may take."""

FLOOR = 1e-3
"""Least share of a resample's squared length that counts as signal, so that no root is negative."""


@dataclass(frozen=True)
class Dots:
    """Dot products between the differences of `a` and `b`, plain and corrected for noise."""

    plain: Array
    corrected: Array


@dataclass(frozen=True)
class Cosines:
    """Cosines between two lists of differences.

    Attributes:
        plain: (a, b), of the estimated differences.
        corrected: (a, b), clipped to [-1, 1]; where a difference is not surely beyond its noise,
            its direction is not determined: there this is the plain cosine.
        determined: (a, b), whether both differences are beyond their noise: the lower bound on
            the squared length without noise is positive.
        low: (a, b), lower bound on the corrected cosine; -1 where it is not determined.
        high: (a, b), upper bound; 1 where it is not determined.
        resampled: plain and corrected cosines of the bootstrap, (resamples, a, b) each; corrected
            ones clipped to [-1, 1].
    """

    plain: Array
    corrected: Array
    determined: NDArray[np.bool_]
    low: Array
    high: Array
    resampled: Dots


def cosines(a: Contrasts, b: Contrasts, weights: Array) -> Cosines:
    """Return the cosines between the differences of `a` and of `b`, with 95% intervals.

    Args:
        a: contrasts.
        b: contrasts over the same groups; may be `a` itself.
        weights: (resamples, groups), from `Groups.draw`.
    """
    between = _dots(a, b)
    norms = [_squared_norms(x) for x in (a, b)]
    plain = np.clip(_ratio(between.plain, norms[0].plain, norms[1].plain), -1.0, 1.0)
    corrected = _ratio(between.corrected, norms[0].corrected, norms[1].corrected)
    rows = 4 * max(a.differences.size, b.differences.size) * (1 + len(a.groups.strata))
    size = max(1, CHUNK_BYTES // rows)
    chunks = [
        _resample(a, b, weights[start : start + size]) for start in range(0, len(weights), size)
    ]
    drawn = [np.concatenate(parts) for parts in zip(*chunks, strict=True)]
    # In the bootstrap's world the truth is the plain value of what was observed.
    low, high = basic_interval(corrected, drawn[1], centre=plain)
    known = [
        basic_interval(x.corrected, lengths, centre=x.plain)[0] > 0
        for x, lengths in zip(norms, drawn[2:], strict=True)
    ]
    determined = known[0][:, None] & known[1][None, :] & np.isfinite(corrected)
    return Cosines(
        plain,
        np.clip(np.where(determined, corrected, plain), -1.0, 1.0),
        determined,
        np.where(determined, np.clip(low, -1.0, 1.0), -1.0),
        np.where(determined, np.clip(high, -1.0, 1.0), 1.0),
        Dots(drawn[0], np.clip(drawn[1], -1.0, 1.0)),
    )


class _Resampled:
    """Contrasts under many resamples: the sums that dot products of resamples need.

    `differences` are (resamples, languages, hidden); `strata` holds per stratum the sums w Y.
    """

    def __init__(self, contrasts: Contrasts, weights: Array) -> None:
        self.contrasts = contrasts
        self.weights = weights
        self.strata = [
            _weighted_sums(weights[:, rows], contrasts.influence[:, rows])
            for rows in contrasts.groups.strata
        ]
        self.differences = self.strata[0] + contrasts.differences.astype(np.float32)
        for sums in self.strata[1:]:
            self.differences += sums


def _weighted_sums(weights: Array, influence: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (resamples, languages, hidden) from (resamples, groups), (languages, groups, d)."""
    drawn = weights.astype(np.float32)
    out = np.empty((len(weights), *influence.shape[::2]), dtype=np.float32)
    for row, values in enumerate(influence):
        out[:, row] = drawn @ values
    return out


def _resample(a: Contrasts, b: Contrasts, weights: Array) -> tuple[Array, Array, Array, Array]:
    """Return what each resample gives, resamples first.

    Plain and corrected cosines (a, b), and the corrected squared lengths (a,) and (b,).
    """
    one = _Resampled(a, weights)
    other = one if b is a else _Resampled(b, weights)
    between = _resampled_dots(one, other)
    lengths = [_resampled_norms(x) for x in (one, other)]
    floored = [np.maximum(x.corrected, FLOOR * x.plain) for x in lengths]
    return (
        _ratio(between.plain, lengths[0].plain, lengths[1].plain),
        _ratio(between.corrected, floored[0], floored[1]),
        lengths[0].corrected,
        lengths[1].corrected,
    )


def _dots(a: Contrasts, b: Contrasts) -> Dots:
    """Return dot products of differences, plain and unbiased: (a, b)."""
    plain = a.differences @ b.differences.T
    noise = np.zeros_like(plain)
    for rows in a.groups.strata:
        shared = np.tensordot(a.influence[:, rows], b.influence[:, rows], axes=([1, 2], [1, 2]))
        noise += _inflation(rows) * shared
    return Dots(plain, plain - noise)


def _squared_norms(a: Contrasts) -> Dots:
    plain = np.einsum("ad,ad->a", a.differences, a.differences)
    noise = np.zeros_like(plain)
    for rows in a.groups.strata:
        part = a.influence[:, rows]
        noise += _inflation(rows) * np.einsum("agd,agd->a", part, part)
    return Dots(plain, plain - noise)


def _resampled_dots(a: _Resampled, b: _Resampled) -> Dots:
    """Return dot products in each resample: (resamples, a, b)."""
    plain = np.matmul(a.differences, b.differences.transpose(0, 2, 1)).astype(np.float64)
    noise = np.zeros_like(plain)
    for rows, sums_a, sums_b in zip(a.contrasts.groups.strata, a.strata, b.strata, strict=True):
        one, other = a.contrasts.influence[:, rows], b.contrasts.influence[:, rows]
        products = np.matmul(one.transpose(1, 0, 2), other.transpose(1, 2, 0))  # (groups, a, b)
        squares = a.weights[:, rows] @ products.reshape(len(rows), -1).astype(np.float64)
        means = np.matmul(sums_a, sums_b.transpose(0, 2, 1)) / len(rows)
        noise += _inflation(rows) * (squares.reshape(plain.shape) - means)
    return Dots(plain, plain - noise)


def _resampled_norms(a: _Resampled) -> Dots:
    """Return squared lengths in each resample: (resamples, a)."""
    plain = np.einsum("rad,rad->ra", a.differences, a.differences).astype(np.float64)
    noise = np.zeros_like(plain)
    for rows, sums in zip(a.contrasts.groups.strata, a.strata, strict=True):
        part = a.contrasts.influence[:, rows]
        squares = a.weights[:, rows] @ np.einsum("agd,agd->ga", part, part).astype(np.float64)
        means = np.einsum("rad,rad->ra", sums, sums) / len(rows)
        noise += _inflation(rows) * (squares - means)
    return Dots(plain, plain - noise)


def _inflation(rows: NDArray[np.intp]) -> float:
    """Return n / (n - 1): what estimated means take from a variance."""
    return len(rows) / max(len(rows) - 1, 1)


def _ratio(product: Array, norm_a: Array, norm_b: Array) -> Array:
    """Return product / sqrt(norm_a norm_b), norms being squared; NaN where one is not positive."""
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = np.sqrt(norm_a)[..., :, None] * np.sqrt(norm_b)[..., None, :]
        return np.asarray(np.where(scale > 0, product / scale, np.nan))
