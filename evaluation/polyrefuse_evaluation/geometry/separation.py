"""How far apart harmful and harmless prompts lie in one language: silhouettes and centroids.

Silhouettes (Rousseeuw 1987, equations 1 to 6) with Euclidean distances, as in arXiv 2505.17306.
They are resampled by halves: a duplicate would be at distance 0 from itself and look like a dense
cluster. Knows arrays only.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyrefuse_evaluation.geometry.contrasts import LanguageSample, Matrix
from polyrefuse_evaluation.geometry.groups import Array, Groups
from polyrefuse_evaluation.geometry.intervals import basic_interval, half_sample_scale

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Separation:
    """Separation of harmful from harmless prompts of one language at one place, with intervals.

    Attributes:
        silhouette: mean silhouette, in [-1, 1]; NaN where all activations are the same.
        centroid_distance: distance of the two means, in units of the residual stream.
        scaled_distance: the same over the root mean square distance of prompts to their own mean.
    """

    silhouette: float
    silhouette_low: float
    silhouette_high: float
    centroid_distance: float
    scaled_distance: float
    scaled_low: float
    scaled_high: float


def distances(points: Matrix) -> Array:
    """Return Euclidean distances between rows: (n, n), zeros on the diagonal."""
    x = points.astype(np.float64)
    x = x - x.mean(axis=0)
    squares = np.einsum("ij,ij->i", x, x)
    squared = squares[:, None] + squares[None, :] - 2 * (x @ x.T)
    np.fill_diagonal(squared, 0.0)
    return np.asarray(np.sqrt(np.maximum(squared, 0.0)))


def mean_silhouettes(between: Array, is_harmful: Mask, chosen: Mask) -> Array:
    """Return the mean silhouette of the chosen points of each subset: (subsets,).

    s = (b - a) / max(a, b), with a the mean distance to the other points of the same class and b
    the mean distance to those of the other class; 0 for a point alone in its class.

    Args:
        between: distances (n, n).
        is_harmful: (n,).
        chosen: (subsets, n).
    """
    within, across = np.empty(chosen.shape), np.empty(chosen.shape)
    alone = np.zeros(chosen.shape, dtype=bool)
    for own in (is_harmful, ~is_harmful):
        size = chosen[:, own].sum(axis=1)
        others = chosen[:, ~own].sum(axis=1)
        if not (size > 0).all() or not (others > 0).all():
            raise ValueError("silhouettes need both classes in every subset")
        rows = np.flatnonzero(own)
        within[:, rows] = (chosen[:, own].astype(float) @ between[np.ix_(own, own)]) / np.maximum(
            size - 1, 1
        )[:, None]
        across[:, rows] = (chosen[:, ~own].astype(float) @ between[np.ix_(~own, own)]) / others[
            :, None
        ]
        alone[:, rows] = (size == 1)[:, None]
    larger = np.maximum(within, across)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = np.where(larger > 0, (across - within) / larger, np.nan)
    values = np.where(alone, 0.0, values)
    return np.asarray((np.where(chosen, values, 0.0)).sum(axis=1) / chosen.sum(axis=1))


def separation(sample: LanguageSample, groups: Groups, halves: Mask) -> Separation:
    """Return the separation of one language, with 95% intervals from half samples.

    Args:
        sample: activations.
        groups: groups of all languages.
        halves: (subsets, groups), from `Groups.draw_halves`: the same for every language, so that
            differences between languages are paired.
    """
    harmful = sample.is_harmful
    chosen = np.concatenate([np.ones((1, len(harmful)), dtype=bool), halves[:, sample.groups]])
    chosen = chosen[[_usable(row, harmful) for row in chosen]]
    silhouettes = mean_silhouettes(distances(sample.stacked), harmful, chosen)
    lengths, spreads = _centroids(sample, chosen)
    scaled = lengths / np.maximum(spreads, 1e-12)
    scale = half_sample_scale(groups.n)
    bounds = [
        basic_interval(values[0], values[1:], scale=scale) for values in (silhouettes, scaled)
    ]
    return Separation(
        float(silhouettes[0]),
        float(np.clip(bounds[0][0], -1, 1)),
        float(np.clip(bounds[0][1], -1, 1)),
        float(lengths[0]),
        float(scaled[0]),
        float(np.maximum(bounds[1][0], 0)),
        float(np.maximum(bounds[1][1], 0)),
    )


def _usable(row: Mask, harmful: Mask) -> bool:
    return bool(row[harmful].any() and row[~harmful].any())


def _centroids(sample: LanguageSample, chosen: Mask) -> tuple[Array, Array]:
    """Return distances of centroids, and root mean square spreads around them: (subsets,) each.

    The squared distance has the noise of the two means taken off, which grows in smaller samples.
    """
    n = len(sample.harmful)
    lengths: Array = np.zeros(len(chosen))
    variances: list[Array] = []
    means = []
    for values, picked in ((sample.harmful, chosen[:, :n]), (sample.harmless, chosen[:, n:])):
        x = values - values.mean(axis=0, dtype=np.float64)
        size = picked.sum(axis=1)
        mean = (picked.astype(float) @ x) / size[:, None]
        squares = picked.astype(float) @ np.einsum("ij,ij->i", x, x) / size
        variance = (squares - np.einsum("ij,ij->i", mean, mean)) * size / np.maximum(size - 1, 1)
        variances.append(np.maximum(variance, 0.0))
        lengths = lengths - variances[-1] / size
        means.append(mean + values.mean(axis=0, dtype=np.float64))
    apart = means[0] - means[1]
    lengths = lengths + np.einsum("ij,ij->i", apart, apart)
    spread = np.sqrt((variances[0] + variances[1]) / 2)
    return np.sqrt(np.maximum(lengths, 0.0)), spread
