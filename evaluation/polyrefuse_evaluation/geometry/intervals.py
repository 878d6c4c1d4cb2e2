"""Intervals from resampled estimates. Knows arrays only; every interval is 95%."""

import numpy as np
from scipy.stats import norm

from polyrefuse_evaluation.geometry.groups import Array

LEVEL = 0.95
_TAILS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)


def basic_interval(
    estimate: Array, resampled: Array, *, centre: Array | None = None, scale: float = 1.0
) -> tuple[Array, Array]:
    """Return the basic bootstrap interval, elementwise: estimate - quantiles(resampled - centre).

    Davison and Hinkley 1997, equation 5.6. Unlike the percentile interval it moves against the
    bias of the estimator.

    Args:
        estimate: the estimate.
        resampled: (resamples, ...), the estimate on resampled data.
        centre: what is true of the data that was resampled; the estimate by default.
        scale: factor on the deviations, for samples smaller than the data.
    """
    centre = estimate if centre is None else centre
    with np.errstate(invalid="ignore"):
        below, above = np.quantile(resampled - centre, _TAILS, axis=0)
        return estimate - scale * above, estimate - scale * below


def half_sample_scale(n: int) -> float:
    """Return what deviations of half samples are multiplied by: sqrt(m / (n - m)), m = n // 2.

    A mean over m of n things drawn without duplicates has variance (1/m - 1/n) s^2, and the mean
    over all n has s^2 / n (Politis, Romano and Wolf 1999, section 2.3).
    """
    half = n // 2
    return float(np.sqrt(half / (n - half)))


def auroc_interval(auroc: float, positives: int, negatives: int) -> tuple[float, float]:
    """Return the interval of an AUROC, also at 0 and 1 (Newcombe 2006, method 5).

    The bounds are where the estimate is z standard errors off, the variance being Hanley and
    McNeil's at the bound itself. Statistics in Medicine 25:559.

    Raises:
        ValueError: no positives or no negatives.
    """
    if positives < 1 or negatives < 1:
        raise ValueError(f"an AUROC needs both classes: {positives} and {negatives}")
    from scipy.optimize import brentq

    z = norm.ppf(_TAILS[1])
    spare = (positives + negatives) / 2 - 1

    def excess(bound: float) -> float:
        inner = 1 + spare * ((1 - bound) / (2 - bound) + bound / (1 + bound))
        variance = bound * (1 - bound) * inner / (positives * negatives)
        return float((auroc - bound) ** 2 - z**2 * variance)

    tiny = 1e-12
    low = 0.0 if auroc <= tiny else float(brentq(excess, 0.0, auroc - tiny))
    high = 1.0 if auroc >= 1 - tiny else float(brentq(excess, auroc + tiny, 1.0))
    return low, high
