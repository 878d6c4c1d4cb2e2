"""How small a difference so many prompts can show at all."""

from functools import lru_cache

import numpy as np
from scipy.stats import binom

from polyrefuse_evaluation.statistics.proportions import Array

_STEPS = 20
"""Halvings of the interval in which the difference is searched: exact to 1e-6."""


@lru_cache(maxsize=64)
def _critical_counts(n: int, alpha: float) -> Array:
    """Return, for 0 to n pairs that differ, the largest smaller count that is rejected, or -1.

    Rejected is where 2 P(B <= k) <= alpha for B ~ Binomial(m, 1/2).
    """
    discordant = np.arange(n + 1)
    k = binom.ppf(alpha / 2, discordant, 0.5)
    return np.asarray(np.where(2 * binom.cdf(k, discordant, 0.5) <= alpha, k, k - 1))


def mcnemar_power(n: int, difference: float, background: float = 0.0, alpha: float = 0.05) -> float:
    """Return the probability that McNemar's exact test finds a true paired difference.

    Args:
        n: prompts answered in both conditions.
        difference: true difference of the two rates, a fraction.
        background: share of prompts that change in both directions alike, besides the difference.
        alpha: level of the test, two-sided.

    Raises:
        ValueError: n is not positive, or the shares do not fit in [0, 1].
    """
    share = difference + background
    if n <= 0 or difference < 0 or background < 0 or share > 1 + 1e-12:
        raise ValueError(f"no paired design: n={n}, {difference=}, {background=}")
    if share == 0:
        return 0.0
    discordant = np.arange(n + 1)
    upwards = (difference + background / 2) / share
    k = _critical_counts(n, alpha)
    found = binom.sf(discordant - k - 1, discordant, upwards) + binom.cdf(k, discordant, upwards)
    found = np.where(k >= 0, found, 0.0)
    return float(binom.pmf(discordant, n, min(share, 1.0)) @ found)


@lru_cache(maxsize=1024)
def minimal_detectable_difference(
    n: int, background: float = 0.0, alpha: float = 0.05, power: float = 0.8
) -> float | None:
    """Return the smallest paired difference that the exact test finds with this power.

    None where no difference can be found: six prompts that all change are the fewest that an exact
    test at 0.05 calls a difference.

    Args:
        n: prompts answered in both conditions.
        background: share of prompts that change in both directions alike; what is observed is
            twice the rarer of the two directions, over n.
        alpha: level of the test, two-sided; divide by the number of languages for Bonferroni.
        power: probability of finding it.
    """
    low, high = 0.0, 1.0 - background
    if mcnemar_power(n, high, background, alpha) < power:
        return None
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if mcnemar_power(n, middle, background, alpha) < power:
            low = middle
        else:
            high = middle
    return high
