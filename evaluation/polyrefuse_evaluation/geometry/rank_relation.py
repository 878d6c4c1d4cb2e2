"""Rank correlation over languages, with an interval and an exact-enough p-value.

Fourteen languages are few, and many may comply equally often: ties share their mean rank. Knows
numbers only.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, rankdata

from polyrefuse_evaluation.geometry.groups import Array

PERMUTATIONS = 10_000
MINIMUM = 5


@dataclass(frozen=True)
class RankRelation:
    """Spearman's rank correlation; NaN where it is not defined.

    Attributes:
        rho: in [-1, 1].
        low: lower 95% bound.
        high: upper bound.
        p_value: two-sided, by permutation.
        n: languages.
        distinct: different values of the less varied of the two.
    """

    rho: float
    low: float
    high: float
    p_value: float
    n: int
    distinct: int


def rank_relation(x: Array, y: Array, seed: int) -> RankRelation:
    """Return Spearman's correlation of x and y, pairs with NaN left out.

    The interval is Fisher's with the variance (1 + rho^2 / 2) / (n - 3) of Bonett and Wright 2000
    (Psychometrika 65:23). Below 5 pairs, or without any variation, all is NaN.
    """
    known = np.isfinite(x) & np.isfinite(y)
    a, b = x[known], y[known]
    n = len(a)
    distinct = min(len(np.unique(a)), len(np.unique(b))) if n else 0
    nothing = float("nan")
    if n < MINIMUM or distinct < 2:
        return RankRelation(nothing, nothing, nothing, nothing, n, distinct)
    ranks = [rankdata(values) - (n + 1) / 2 for values in (a, b)]
    length = float(np.linalg.norm(ranks[0]) * np.linalg.norm(ranks[1]))
    rho = float(ranks[0] @ ranks[1]) / length
    rng = np.random.default_rng([seed, 6])
    shuffled = rng.permuted(np.tile(ranks[1], (PERMUTATIONS, 1)), axis=1) @ ranks[0] / length
    reached = int((np.abs(shuffled) >= abs(rho) - 1e-12).sum())
    half = float(norm.ppf(0.975)) * np.sqrt((1 + rho**2 / 2) / (n - 3))
    centre = np.arctanh(np.clip(rho, -1 + 1e-9, 1 - 1e-9))
    return RankRelation(
        rho,
        float(np.tanh(centre - half)),
        float(np.tanh(centre + half)),
        (1 + reached) / (1 + PERMUTATIONS),
        n,
        distinct,
    )
