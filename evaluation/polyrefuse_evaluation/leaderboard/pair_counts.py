"""Every pair of models on the same prompts: counts by language, and how languages go together.

2,000 models are two million pairs: counts are kept in the smallest integers that hold them (14
languages of up to 255 prompts: 56 bytes a pair), made by products over whole arrays, and a model at
a time. Knows arrays only; what is made of the counts is `ranks`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyrefuse_evaluation.statistics.clustered import FEW_INFORMATIVE
from polyrefuse_evaluation.statistics.proportions import Array

Bools = NDArray[np.bool_]
MOST_BITS = 64
"""Languages that one integer holds a bit of each for."""


@dataclass(frozen=True)
class Pairs:
    """All pairs (first, second) of models, first < second, counted language by language.

    Attributes:
        first: index of one model, (pairs,).
        second: index of the other, (pairs,).
        counts: prompts on which it happened to both, the first only, the second only, neither:
            (4, pairs, languages), unsigned integers.
        correlation: between languages, (pairs,).
    """

    first: NDArray[np.int32]
    second: NDArray[np.int32]
    counts: NDArray[np.unsignedinteger]
    correlation: Array

    def take(self, chosen: NDArray[np.intp] | slice) -> "Pairs":
        """Return some of the pairs."""
        return Pairs(
            self.first[chosen],
            self.second[chosen],
            self.counts[:, chosen],
            self.correlation[chosen],
        )


def count_pairs(happened: Array) -> Pairs:
    """Count every pair of models; see `Pairs`.

    Args:
        happened: 1 or 0, NaN for no verdict: (models, prompts, languages).
    """
    models, prompts, languages = happened.shape
    judged = ~np.isnan(happened)
    yes = judged & (happened == 1)
    whole = judged.all(axis=(1, 2)) & (languages <= MOST_BITS)
    # float32 counts exactly up to 2**24. einsum: on a busy machine a BLAS waits for its threads.
    weights = judged.astype(np.float32), yes.astype(np.float32)
    bits, totals = _bits(yes), yes.sum(2, dtype=np.int64)
    pairs = models * (models - 1) // 2
    counts = np.empty((4, pairs, languages), np.min_scalar_type(prompts))
    correlation = np.empty(pairs)
    start = 0
    for at in range(models - 1):
        end = start + models - 1 - at
        table = _table(*weights, at)
        counts[:, start:end] = table
        found = correlation[start:end]
        if whole[at]:
            found[:] = _whole_correlation(bits, totals, at, table, prompts)
        part = np.flatnonzero(~(whole[at] & whole[at + 1 :]))
        if len(part):
            others = at + 1 + part
            both_judged = judged[at][None] & judged[others]
            difference = yes[others].astype(np.int8) - yes[at][None].astype(np.int8)
            found[part] = _correlation(difference, both_judged, table[:, part])
        start = end
    first, second = (index.astype(np.int32) for index in np.triu_indices(models, 1))
    return Pairs(first, second, counts, correlation)


def _table(judged: NDArray[np.float32], yes: NDArray[np.float32], at: int) -> Array:
    """Return the counts of a model beside each later one: (4, others, languages)."""
    rest = slice(at + 1, None)

    def product(one: NDArray[np.float32], others: NDArray[np.float32]) -> Array:
        return np.asarray(np.einsum("pl,opl->ol", one[at], others[rest]), dtype=float)

    both, first, second = product(yes, yes), product(yes, judged), product(judged, yes)
    neither = product(judged, judged) - first - second + both
    return np.stack([both, first - both, second - both, neither])


def _bits(yes: Bools) -> NDArray[np.uint64]:
    """Return (models, prompts): a bit for each language."""
    languages = min(yes.shape[2], MOST_BITS)
    places = np.uint64(1) << np.arange(languages, dtype=np.uint64)
    return np.asarray((yes[..., :languages] * places).sum(2, dtype=np.uint64))


def _whole_correlation(
    bits: NDArray[np.uint64], totals: NDArray[np.int64], at: int, table: Array, prompts: int
) -> Array:
    """Return `_correlation` of a model with each later one, where no verdict is missing."""
    estimates = (table[2] - table[1]) / prompts
    variances = (table[1] + table[2] - prompts * np.square(estimates)) / prompts**2
    difference = totals[at + 1 :] - totals[at]
    total = np.square(difference - estimates.sum(1)[:, None]).sum(1) / prompts**2
    one, others = bits[at][None], bits[at + 1 :]
    places = np.uint64(1) << np.arange(table.shape[2], dtype=np.uint64)

    def usual(counts: Array) -> NDArray[np.uint64]:
        """Return, for each pair, the languages of which more than half go this way."""
        return np.asarray(((counts > prompts / 2) * places).sum(1, dtype=np.uint64))[:, None]

    up, down = usual(table[2]), usual(table[1])
    changed = ((others & ~one) ^ up) | ((one & ~others) ^ down)
    departs = (changed != 0).sum(1)
    return _shrunk(total, np.maximum(variances, 0.0), departs)


def _correlation(difference: NDArray[np.int8], judged: Bools, table: Array) -> Array:
    """Return rho of each pair, as `statistics.clustered` has it, without drawing samples."""
    n = np.maximum(table.sum(0), 1)
    estimates = (table[2] - table[1]) / n
    parts = np.where(judged, (difference - estimates[:, None]) / n[:, None], 0.0)
    total = np.square(parts.sum(2)).sum(1)
    median = np.where(table[2] > n / 2, 1, np.where(table[1] > n / 2, -1, 0))
    departs = (judged & (difference != median[:, None])).any(2).sum(1)
    return _shrunk(total, np.einsum("kpl,kpl->kl", parts, parts), departs)


def _shrunk(total: Array, variances: Array, departs: NDArray[np.intp]) -> Array:
    """Return rho from the variance of the sum, those of its parts, and how many prompts tell."""
    alone, together = variances.sum(1), np.square(np.sqrt(variances).sum(1))
    spread = together - alone
    wide = spread > 1e-9 * together
    rho = np.where(wide, (total - alone) / np.where(wide, spread, 1.0), 1.0)
    trust = 1 - np.exp(-departs / FEW_INFORMATIVE)
    return np.asarray(1 - trust + trust * np.clip(rho, 0.0, 1.0))
