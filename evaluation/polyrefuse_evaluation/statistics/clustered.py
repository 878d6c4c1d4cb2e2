"""Averages over languages, where one prompt is answered in all of them.

Fourteen answers to one prompt are not fourteen independent answers: resampling prompts (clusters)
shows how much an average really varies. Knows values by prompt id and language, nothing else.

The interval. With 100 prompts and a rate of 0.02 a percentile bootstrap of prompts covers 84-94%,
and a t-style one 55-96%, because few prompts tell them anything. So the bootstrap only
measures how strongly languages go together, and each language's own score interval (Wilson's for a
rate, Newcombe's for a paired difference) gives the width, also at rates of 0 and 1 (method of
variance estimates recovery: Zou and Donner 2008, Statistics in Medicine 27:1693):

    low = mean - sqrt((1 - rho) sum d_l^2 + rho (sum d_l)^2) / L,    d_l = estimate_l - low_l

and likewise above, with rho the average correlation between languages that makes the variance of
the mean what the bootstrap found. Where few prompts tell anything, rho is drawn towards 1.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import exp

import numpy as np
from numpy.typing import NDArray

from polyrefuse_evaluation.statistics.paired import RESAMPLES, compare_paired
from polyrefuse_evaluation.statistics.proportions import CONFIDENCE, Array, wilson_bounds

RELIABLE_PROMPTS = 100
"""Below about this many prompts the interval can miss its coverage by some points."""

FEW_INFORMATIVE = 8.0
"""Prompts answered otherwise than most, of which so many outweigh the assumption rho = 1."""

MOST_KEPT = 2_000
"""Prompts above which samples are kept as bytes: 2 kB a prompt instead of 16."""

Values = Mapping[str, Mapping[str, float]]
"""By prompt id and language, a value in [0, 1] (rates) or [-1, 1] (differences)."""


@dataclass(frozen=True)
class LanguageAverage:
    """A mean over languages, each weighing alike, with its interval.

    Attributes:
        value: fraction.
        low: lower bound.
        high: upper bound.
        prompts: prompts that any language answered.
        languages: languages averaged over.
        correlation: rho, the average correlation between languages that was used.
        reliable: False where there are too few prompts for the interval's coverage.
    """

    value: float
    low: float
    high: float
    prompts: int
    languages: int
    correlation: float
    reliable: bool


def average_over_languages(
    values: Values, seed: int, resamples: int = RESAMPLES, confidence: float = CONFIDENCE
) -> LanguageAverage:
    """Return the mean of the languages' rates, clustered by prompt id.

    Missing answers are left out of their language's rate.

    Raises:
        ValueError: no values, or one outside [0, 1].
    """
    return average_matrix(_matrix(values), seed, resamples, confidence)


def average_matrix(
    matrix: Array, seed: int, resamples: int = RESAMPLES, confidence: float = CONFIDENCE
) -> LanguageAverage:
    """Return what `average_over_languages` does, of values (prompts, languages), NaN for missing.

    Raises:
        ValueError: a value is outside [0, 1].
    """
    if np.nanmin(matrix) < 0 or np.nanmax(matrix) > 1:
        raise ValueError("rates are averaged over values in [0, 1]")
    sizes = np.sum(~np.isnan(matrix), axis=0)
    low, high = wilson_bounds(np.nansum(matrix, axis=0), sizes, confidence)
    return _combine(matrix, low, high, seed, resamples)


def average_difference(
    before: Mapping[str, Mapping[str, bool]],
    after: Mapping[str, Mapping[str, bool]],
    seed: int,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> LanguageAverage:
    """Return the mean over languages of paired differences, clustered by prompt id.

    Args:
        before: by language and prompt id, whether it happened at baseline.
        after: the same, under the intervention.
        seed: of the bootstrap.
        resamples: bootstrap samples of whole prompts.
        confidence: coverage.

    Raises:
        ValueError: no language has a prompt in both.
    """
    values: dict[str, dict[str, float]] = {}
    bounds: dict[str, tuple[float, float]] = {}
    for language in sorted(before.keys() & after.keys()):
        one, other = before[language], after[language]
        compared = compare_paired(one, other, confidence)
        if compared is not None:
            bounds[language] = compared.low, compared.high
            for key in one.keys() & other.keys():
                values.setdefault(key, {})[language] = float(other[key]) - float(one[key])
    matrix = _matrix(values)
    low, high = np.array([bounds[language] for language in sorted(bounds)]).T
    return _combine(matrix, low, high, seed, resamples)


def _matrix(values: Values) -> Array:
    """Return prompts x languages, NaN where there is no value."""
    languages = sorted({language for row in values.values() for language in row})
    if not languages:
        raise ValueError("no prompts to average over")
    rows = [values[key] for key in sorted(values) if values[key]]
    return np.array([[row.get(language, np.nan) for language in languages] for row in rows])


def _combine(matrix: Array, low: Array, high: Array, seed: int, resamples: int) -> LanguageAverage:
    estimates = np.nanmean(matrix, axis=0)
    departs = np.nan_to_num(np.abs(matrix - np.nanmedian(matrix, axis=0))) > 0
    # One language goes together with none: nothing is drawn.
    alone = matrix.shape[1] == 1
    rates = np.zeros((1, 1)) if alone else bootstrap_rates(matrix, seed, resamples)
    rho = _average_correlation(rates, int(departs.any(axis=1).sum()))
    mean = float(estimates.mean())
    return LanguageAverage(
        value=mean,
        low=mean - _joint_distance(estimates - low, rho),
        high=mean + _joint_distance(high - estimates, rho),
        prompts=len(matrix),
        languages=len(estimates),
        correlation=rho,
        reliable=len(matrix) >= RELIABLE_PROMPTS,
    )


@lru_cache(maxsize=4)
def resample_counts(
    prompts: int, seed: int, resamples: int
) -> NDArray[np.float64] | NDArray[np.uint8]:
    """Return how often each prompt is drawn in each bootstrap sample: (resamples, prompts).

    Averages over the same prompts with one seed share their samples.
    """
    rng = np.random.default_rng(seed)
    shares = np.full(prompts, 1 / prompts)
    drawn = np.empty((resamples, prompts), dtype=np.uint8 if prompts > MOST_KEPT else float)
    for block in _blocks(resamples, prompts):
        found = rng.multinomial(prompts, shares, size=block.stop - block.start)
        if found.max() > np.iinfo(np.uint8).max:  # of 20,000 samples of a million, none is above 12
            raise OverflowError(f"a prompt was drawn {found.max()} times in one sample")
        drawn[block] = found
    drawn.flags.writeable = False
    return drawn


def _blocks(resamples: int, prompts: int) -> Iterator[slice]:
    """Yield slices of samples that are worked on at once: about 16 MB of numbers."""
    step = max(1, 2**21 // prompts)
    for start in range(0, resamples, step):
        yield slice(start, min(start + step, resamples))


def bootstrap_rates(matrix: Array, seed: int, resamples: int) -> Array:
    """Return each language's rate in samples of whole prompts: (resamples, languages).

    A language that a sample leaves without answers keeps its own rate there.
    """
    drawn = resample_counts(len(matrix), seed, resamples)
    answered = (~np.isnan(matrix)).astype(float)
    values = np.nan_to_num(matrix)
    totals, sizes = (np.empty((len(drawn), matrix.shape[1])) for _ in range(2))
    for block in _blocks(*drawn.shape):
        counts = drawn[block].astype(float, copy=False)
        # Not `@`: on a busy machine the threads of a BLAS take 20 times as long over so little.
        totals[block] = np.einsum("ri,il->rl", counts, values)
        sizes[block] = np.einsum("ri,il->rl", counts, answered)
    return np.asarray(
        np.where(sizes > 0, totals / np.maximum(sizes, 1), np.nanmean(matrix, axis=0))
    )


def _average_correlation(rates: Array, informative: int) -> float:
    """Return rho in [0, 1] such that languages that vary so alone vary so together."""
    variances = rates.var(axis=0)
    alone, together = float(variances.sum()), float(np.sqrt(variances).sum()) ** 2
    rho = 1.0
    if together - alone > 1e-9 * together:
        rho = (float(rates.sum(axis=1).var()) - alone) / (together - alone)
    trust = 1 - exp(-informative / FEW_INFORMATIVE)
    return 1 - trust + trust * min(max(rho, 0.0), 1.0)


def _joint_distance(distances: Array, rho: float) -> float:
    squared = (1 - rho) * float((distances**2).sum()) + rho * float(distances.sum()) ** 2
    return float(squared**0.5 / len(distances))
