"""Rank ranges: which places a model can have, given that it answered a sample of prompts.

Every pair of models is compared on the same prompts: per language Newcombe's paired interval, put
together over languages as in `statistics.clustered`, with the correlation between languages taken
from the prompts' own variances (what its bootstrap estimates). A pair is told apart where 0 lies
outside the interval at the level that Holm's step-down procedure (1979) leaves for it, so with 95%
probability *no* pair is told apart wrongly, and every true rank lies in its range (Mogstad, Romano,
Shaikh and Wilhelm 2024). Knows arrays only.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyrefuse_evaluation.leaderboard.pair_counts import Bools, Pairs, count_pairs
from polyrefuse_evaluation.statistics.paired import newcombe_bounds
from polyrefuse_evaluation.statistics.proportions import CONFIDENCE, Array

BLOCK = 8192
"""Pairs whose intervals are computed at once."""


@dataclass(frozen=True)
class RankRange:
    """Places that a model can have, 1 for the best; `best` <= `worst`."""

    best: int
    worst: int


def rank_ranges(
    happened: Array, *, higher_is_better: bool = True, confidence: float = CONFIDENCE
) -> list[RankRange]:
    """Return the range of ranks of each model, all of them right at once with `confidence`.

    Args:
        happened: 1 or 0, NaN for no verdict: (models, prompts, languages), the same prompts in the
            same places.
        higher_is_better: whether it is good if it happens.
        confidence: simultaneous coverage.

    Raises:
        ValueError: no models.
    """
    if happened.ndim != 3 or not len(happened):
        raise ValueError("ranks need models, prompts and languages")
    above = higher(happened, confidence)
    return ranges_of(above if higher_is_better else above.T)


def ranges_of(better: Bools) -> list[RankRange]:
    """Return rank ranges from who is better than whom: better[a, b] says that a is."""
    models = len(better)
    return [
        RankRange(1 + int(better[:, at].sum()), models - int(better[at].sum()))
        for at in range(models)
    ]


def ranges_from_intervals(
    low: Array, high: Array, *, higher_is_better: bool = True
) -> list[RankRange]:
    """Return rank ranges of figures whose intervals hold all at once: (models,) each.

    For figures without a paired comparison (the worst language, a gap); it errs towards ties.
    """
    above = np.asarray(low)[:, None] > np.asarray(high)[None, :]
    return ranges_of(above if higher_is_better else above.T)


def higher(happened: Array, confidence: float = CONFIDENCE) -> Bools:
    """Return (models, models): whether the rate of the row's model is surely above the column's."""
    models = len(happened)
    above = np.zeros((models, models), dtype=bool)
    if models < 2:
        return above
    pairs = count_pairs(happened)
    sides = told_apart(pairs, confidence)
    second_above, first_above = sides > 0, sides < 0
    above[pairs.second[second_above], pairs.first[second_above]] = True
    above[pairs.first[first_above], pairs.second[first_above]] = True
    return above


def told_apart(pairs: Pairs, confidence: float = CONFIDENCE) -> NDArray[np.int8]:
    """Return 1 where the second is surely above, -1 where the first is, else 0: (pairs,).

    Holm's level, (1 - confidence) / (pairs not told apart yet), rises with every pair told apart,
    up to what would be left if all that may still be told apart were. A pair that is not told apart
    at that level never is, so that each round asks about fewer pairs.
    """
    sides = np.zeros(len(pairs.first), dtype=np.int8)
    open_, never = np.arange(len(sides)), 0
    while len(open_):
        found = _sides(pairs, open_, (1 - confidence) / (len(open_) + never))
        sides[open_] = found
        if not found.any():
            break
        open_ = open_[found == 0]
        kept = _sides(pairs, open_, (1 - confidence) / max(1, never)) != 0
        never += int((~kept).sum())
        open_ = open_[kept]
    return sides


def _sides(pairs: Pairs, chosen: NDArray[np.intp], level: float) -> NDArray[np.int8]:
    """Return, of the chosen pairs, on which side of 0 the interval at 1 - level lies."""
    sides = np.zeros(len(chosen), dtype=np.int8)
    for start in range(0, len(chosen), BLOCK):
        block = slice(start, start + BLOCK)
        low, high = pair_intervals(pairs.take(chosen[block]), 1 - level)
        sides[block] = (low > 0).astype(np.int8) - (high < 0)
    return sides


def pair_intervals(pairs: Pairs, confidence: float) -> tuple[Array, Array]:
    """Return bounds (low, high) of second - first, averaged over languages: (pairs,) each.

    Models that share no prompt can differ by anything: -1 to 1.
    """
    both, first, second, neither = pairs.counts.astype(float)
    n = both + first + second + neither
    shared = n > 0
    estimates = np.where(shared, (second - first) / np.maximum(n, 1), 0.0)
    low, high = newcombe_bounds(both, first, second, np.where(shared, neither, 1.0), confidence)
    languages, none = np.maximum(shared.sum(1), 1), ~shared.any(1)
    mean = estimates.sum(1) / languages

    def distance(each: Array) -> Array:
        kept = np.where(shared, each, 0.0)
        alone, together = np.square(kept).sum(1), np.square(kept.sum(1))
        rho = pairs.correlation
        return np.asarray(np.sqrt((1 - rho) * alone + rho * together) / languages)

    least, most = mean - distance(estimates - low), mean + distance(high - estimates)
    return np.where(none, -1.0, least), np.where(none, 1.0, most)
