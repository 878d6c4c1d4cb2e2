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

from polyrefuse_evaluation.statistics.clustered import FEW_INFORMATIVE
from polyrefuse_evaluation.statistics.paired import newcombe_bounds
from polyrefuse_evaluation.statistics.proportions import CONFIDENCE, Array

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class RankRange:
    """Places that a model can have, 1 for the best; `best` <= `worst`."""

    best: int
    worst: int


@dataclass(frozen=True)
class Pairs:
    """All pairs (first, second) of models, first < second, counted language by language.

    Attributes:
        first: index of one model, (pairs,).
        second: index of the other, (pairs,).
        counts: prompts on which it happened to both, the first only, the second only, neither:
            (4, pairs, languages).
        correlation: between languages, (pairs,).
    """

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    counts: Array
    correlation: Array


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
    told = np.zeros(len(pairs.first), dtype=bool)
    while True:
        level = (1 - confidence) / max(1, len(told) - int(told.sum()))
        low, high = pair_intervals(pairs, 1 - level)
        now = (low > 0) | (high < 0)
        if not np.any(now & ~told):
            break
        told |= now
    second_above = told & (low + high > 0)
    above[pairs.second[second_above], pairs.first[second_above]] = True
    first_above = told & ~second_above
    above[pairs.first[first_above], pairs.second[first_above]] = True
    return above


def count_pairs(happened: Array) -> Pairs:
    """Count every pair of models; see `Pairs`."""
    models = len(happened)
    counts, correlations = [], []
    for at in range(models - 1):
        one, others = happened[at][None], happened[at + 1 :]
        judged = ~(np.isnan(one) | np.isnan(others))
        first, second = judged & (one == 1), judged & (others == 1)
        both = (first & second).sum(1)
        table = np.stack(
            [both, first.sum(1) - both, second.sum(1) - both, (judged & ~first & ~second).sum(1)]
        ).astype(float)
        counts.append(table)
        difference = second.astype(np.int8) - first.astype(np.int8)
        correlations.append(_correlation(difference, judged, table))
    first_index, second_index = np.triu_indices(models, 1)
    return Pairs(
        first_index, second_index, np.concatenate(counts, axis=1), np.concatenate(correlations)
    )


def _correlation(difference: NDArray[np.int8], judged: Bools, table: Array) -> Array:
    """Return rho of each pair, as `statistics.clustered` has it, without drawing samples."""
    n = np.maximum(table.sum(0), 1)
    estimates = (table[2] - table[1]) / n
    parts = np.where(judged, (difference - estimates[:, None]) / n[:, None], 0.0)
    variances = np.einsum("kpl,kpl->kl", parts, parts)
    total = np.square(parts.sum(2)).sum(1)
    alone, together = variances.sum(1), np.square(np.sqrt(variances).sum(1))
    spread = together - alone
    wide = spread > 1e-9 * together
    rho = np.where(wide, (total - alone) / np.where(wide, spread, 1.0), 1.0)
    median = np.where(table[2] > n / 2, 1, np.where(table[1] > n / 2, -1, 0))
    departs = (judged & (difference != median[:, None])).any(2).sum(1)
    trust = 1 - np.exp(-departs / FEW_INFORMATIVE)
    return np.asarray(1 - trust + trust * np.clip(rho, 0.0, 1.0))


def pair_intervals(pairs: Pairs, confidence: float) -> tuple[Array, Array]:
    """Return bounds (low, high) of second - first, averaged over languages: (pairs,) each.

    Models that share no prompt can differ by anything: -1 to 1.
    """
    both, first, second, neither = pairs.counts
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
