"""How much of a direction is the prompts it was fitted on: split halves, learning curve, seeds.

Knows arrays only.
"""

from dataclasses import dataclass

import numpy as np

from polyrefuse_evaluation.geometry.contrasts import LanguageSample
from polyrefuse_evaluation.geometry.groups import Array, Groups

SIZES = (8, 16, 32, 64, 128)
HALVES = 200


@dataclass(frozen=True)
class SplitHalf:
    """Cosine between the directions of two disjoint halves of the prompts.

    Attributes:
        cosine: mean over random splits.
        low: 2.5% quantile over splits.
        high: 97.5% quantile over splits.
        full: what the mean predicts for two full samples, 2 r / (1 + r) (Spearman-Brown).
    """

    cosine: float
    low: float
    high: float
    full: float


@dataclass(frozen=True)
class LearningPoint:
    """Directions of `size` prompts of each label, over seeds.

    Attributes:
        size: prompts of each label.
        seeds: random subsets.
        to_full: mean cosine with the direction of all prompts.
        between_seeds: mean cosine between two seeds' directions; NaN with one seed.
        to_rest: mean cosine with the direction of the prompts left out; NaN where fewer are left.
        low: 2.5% quantile of `to_full` over seeds.
        high: 97.5% quantile.
    """

    size: int
    seeds: int
    to_full: float
    low: float
    high: float
    between_seeds: float
    to_rest: float


def split_half(sample: LanguageSample, groups: Groups, seed: int) -> SplitHalf:
    """Return the split-half reliability of one language's difference in means."""
    chosen = groups.draw_halves(HALVES, seed)[:, sample.groups].astype(float)
    one, other = _differences(sample, chosen), _differences(sample, 1 - chosen)
    found = _row_cosines(one, other)
    found = found[np.isfinite(found)]
    if not len(found):
        return SplitHalf(*[float("nan")] * 4)
    mean = float(found.mean())
    low, high = np.quantile(found, [0.025, 0.975])
    return SplitHalf(mean, float(low), float(high), 2 * mean / (1 + mean) if mean > -1 else mean)


def learning_curve(sample: LanguageSample, seeds: int, seed: int) -> list[LearningPoint]:
    """Return how the direction settles with 8, 16 ... 128 prompts of each label, and with all."""
    n, m = len(sample.harmful), len(sample.harmless)
    most = min(n, m)
    full = _differences(sample, np.ones((1, n + m)))
    points = []
    for size in [x for x in SIZES if x < most] + [most]:
        rng = np.random.default_rng([seed, 5, size])
        chosen = np.zeros((seeds, n + m))
        for row in chosen:
            row[rng.choice(n, size, replace=False)] = 1
            row[n + rng.choice(m, size, replace=False)] = 1
        drawn = _differences(sample, chosen)
        to_full = _row_cosines(drawn, np.broadcast_to(full, drawn.shape))
        rest = float("nan")
        if 2 * size <= most:
            rest = float(np.nanmean(_row_cosines(drawn, _differences(sample, 1 - chosen))))
        low, high = np.nanquantile(to_full, [0.025, 0.975])
        points.append(
            LearningPoint(
                size,
                seeds,
                float(np.nanmean(to_full)),
                float(low),
                float(high),
                _mean_between(drawn),
                rest,
            )
        )
    return points


def _differences(sample: LanguageSample, chosen: Array) -> Array:
    """Return difference in means over the chosen prompts of each row: (rows, hidden)."""
    n = len(sample.harmful)
    sizes = chosen[:, :n].sum(axis=1), chosen[:, n:].sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(
            chosen[:, :n] @ sample.harmful.astype(np.float64) / sizes[0][:, None]
            - chosen[:, n:] @ sample.harmless.astype(np.float64) / sizes[1][:, None]
        )


def _row_cosines(a: Array, b: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        return np.asarray(np.where(lengths > 0, np.einsum("ij,ij->i", a, b) / lengths, np.nan))


def _mean_between(drawn: Array) -> float:
    lengths = np.linalg.norm(drawn, axis=1, keepdims=True)
    if len(drawn) < 2 or not (lengths > 0).all():
        return float("nan")
    units = drawn / lengths
    gram = units @ units.T
    return float(gram[np.triu_indices(len(drawn), 1)].mean())
