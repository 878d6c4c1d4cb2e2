"""Two proportions on the same prompts: before and after an ablation, or in two languages.

The difference, its interval, the exact test, and a bootstrap as a second opinion. Knows only
whether something happened, by prompt id.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binomtest

from polyrefuse_evaluation.statistics.proportions import CONFIDENCE, Array, wilson_bounds

RESAMPLES = 2000


@dataclass(frozen=True)
class PairedCounts:
    """How often it happened in both, in one only, in neither."""

    both: int
    only_before: int
    only_after: int
    neither: int

    @property
    def n(self) -> int:
        """Number of pairs."""
        return self.both + self.only_before + self.only_after + self.neither

    @property
    def discordant(self) -> int:
        """Number of pairs that differ."""
        return self.only_before + self.only_after


@dataclass(frozen=True)
class PairedComparison:
    """A difference (after - before) of two proportions on the same prompts.

    Attributes:
        counts: the pairs.
        difference: in fractions, with `low` and `high` (Newcombe's interval).
        low: lower bound.
        high: upper bound.
        p_value: McNemar's exact test of no difference, two-sided.
    """

    counts: PairedCounts
    difference: float
    low: float
    high: float
    p_value: float

    @property
    def n(self) -> int:
        """Number of pairs."""
        return self.counts.n

    @property
    def tie(self) -> bool:
        """Whether the interval covers 0: the data do not tell the two apart."""
        return self.low <= 0 <= self.high


def count_pairs(before: Sequence[bool], after: Sequence[bool]) -> PairedCounts:
    """Count pairs; the same place in both sequences is the same prompt.

    Raises:
        ValueError: empty, or of unequal length.
    """
    n = len(before)
    if n == 0 or n != len(after):
        raise ValueError(f"paired data need the same prompts: {n} and {len(after)}")
    both = sum(bool(b and a) for b, a in zip(before, after, strict=True))
    only_before, only_after = sum(map(bool, before)) - both, sum(map(bool, after)) - both
    return PairedCounts(both, only_before, only_after, n - both - only_before - only_after)


def compare_paired(
    before: Mapping[str, bool], after: Mapping[str, bool], confidence: float = CONFIDENCE
) -> PairedComparison | None:
    """Compare two proportions on the prompt ids that both have; None where they share none."""
    ids = sorted(before.keys() & after.keys())
    if not ids:
        return None
    counts = count_pairs([before[i] for i in ids], [after[i] for i in ids])
    return PairedComparison(counts, *newcombe_interval(counts, confidence), mcnemar_exact(counts))


def paired_difference(
    before: Sequence[bool], after: Sequence[bool], confidence: float = CONFIDENCE
) -> tuple[float, float, float]:
    """Return (difference, low, high) of two proportions measured on the same prompts.

    Args:
        before: per prompt, whether it happened at baseline.
        after: the same prompts, under the intervention.
        confidence: coverage.

    Raises:
        ValueError: empty, or of unequal length.
    """
    return newcombe_interval(count_pairs(before, after), confidence)


def newcombe_interval(
    counts: PairedCounts, confidence: float = CONFIDENCE
) -> tuple[float, float, float]:
    """Return (difference, low, high); see `newcombe_bounds`."""
    low, high = newcombe_bounds(
        counts.both, counts.only_before, counts.only_after, counts.neither, confidence
    )
    return (counts.only_after - counts.only_before) / counts.n, float(low), float(high)


def newcombe_bounds(
    both: ArrayLike,
    only_before: ArrayLike,
    only_after: ArrayLike,
    neither: ArrayLike,
    confidence: float = CONFIDENCE,
) -> tuple[Array, Array]:
    """Return bounds (low, high) of the difference after - before, elementwise.

    Newcombe 1998 (Statistics in Medicine 17:2635), method 10: Wilson bounds of both proportions,
    put together with their correlation. Unlike Wald's interval it has width at rates of 0 and 1.
    """
    a, b, c, d = (np.asarray(x, dtype=float) for x in (both, only_after, only_before, neither))
    n = a + b + c + d
    after, before = (a + b) / n, (a + c) / n
    after_low, after_high = wilson_bounds(a + b, n, confidence)
    before_low, before_high = wilson_bounds(a + c, n, confidence)
    phi = _correlation(a, b, c, d)

    def distance(one: Array, other: Array) -> Array:
        squared = one**2 - 2 * phi * one * other + other**2
        return np.asarray(np.sqrt(np.maximum(0.0, squared)))

    low = after - before - distance(after - after_low, before_high - before)
    high = after - before + distance(after_high - after, before - before_low)
    return np.maximum(-1.0, low), np.minimum(1.0, high)


def _correlation(a: Array, b: Array, c: Array, d: Array) -> Array:
    """Return phi with Newcombe's continuity correction; 0 where a margin is empty."""
    margins = (a + b) * (c + d) * (a + c) * (b + d)
    product = a * d - b * c
    corrected = np.where(product > 0, np.maximum(product - (a + b + c + d) / 2, 0), product)
    return np.asarray(np.where(margins > 0, corrected / np.sqrt(np.maximum(margins, 1e-300)), 0.0))


def mcnemar_exact(counts: PairedCounts) -> float:
    """Return the two-sided p-value of McNemar's exact test (McNemar 1947).

    Given the number of pairs that differ, either direction has probability 1/2. Without any such
    pair there is no evidence of a difference: 1.
    """
    if counts.discordant == 0:
        return 1.0
    return _sign_test(counts.only_after, counts.discordant)


@lru_cache(maxsize=4096)
def _sign_test(happened: int, n: int) -> float:
    """A thousand submissions ask for the same few counts."""
    return float(binomtest(happened, n, 0.5).pvalue)


def paired_bootstrap(
    counts: PairedCounts,
    seed: int,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> tuple[float, float]:
    """Return the percentile interval of a smoothed bootstrap of the paired difference.

    Pairs are drawn from the observed shares with half a pair added to each of the four kinds
    (Agresti and Min 2005): the plain bootstrap has no width where no pair differs.
    """
    size = counts.n + 2
    rng = np.random.default_rng(seed)
    shares = (np.array([counts.only_after, counts.only_before], dtype=float) + 0.5) / size
    draws = rng.multinomial(size, [*shares, 1 - shares.sum()], size=resamples)
    tail = (1 - confidence) / 2
    low, high = np.quantile((draws[:, 0] - draws[:, 1]) / size, [tail, 1 - tail])
    return float(low), float(high)
