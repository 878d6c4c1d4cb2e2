"""Linear probes: can harmful be told from harmless, within a language and in another?

A ridge regression on the labels (regularised Fisher discriminant), fitted on some groups of prompts
and read out on others, so that no prompt is seen in any language before it is scored. Knows arrays.
"""

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

from polyrefuse_evaluation.geometry.contrasts import LanguageSample
from polyrefuse_evaluation.geometry.groups import Array, Groups, Indices

FOLDS = 4
RIDGE = 0.1
"""Ridge penalty, in units of the mean eigenvalue of the prompts' Gram matrix."""


def auroc(scores: Array, positive: Array) -> float:
    """Return the share of (positive, negative) pairs that `scores` orders right; ties count half.

    Raises:
        ValueError: one class is missing.
    """
    flags = np.asarray(positive, dtype=bool)
    n, m = int(flags.sum()), int((~flags).sum())
    if n == 0 or m == 0:
        raise ValueError(f"an AUROC needs both classes: {n} and {m}")
    ranks = rankdata(scores)
    return float((ranks[flags].sum() - n * (n + 1) / 2) / (n * m))


def deal_folds(groups: Groups, seed: int) -> Indices:
    """Return a fold number for each group, balanced within each stratum: (groups,)."""
    rng = np.random.default_rng([seed, 4])
    folds = np.zeros(groups.n, dtype=np.intp)
    for stratum in groups.strata:
        folds[rng.permutation(stratum)] = np.arange(len(stratum)) % FOLDS
    return folds


def fit_probe(points: Array, labels: Array) -> Array:
    """Return the weights (hidden,) of a ridge regression of centred labels on centred points."""
    x = points - points.mean(axis=0)
    y = labels - labels.mean()
    gram = x @ x.T
    penalty = RIDGE * np.trace(gram) / len(gram)
    solved = np.linalg.solve(gram + max(penalty, 1e-12) * np.eye(len(gram)), y)
    return np.asarray(x.T @ solved)


def transfer_auroc(samples: Sequence[LanguageSample], folds: Indices) -> Array:
    """Return AUROC of probes fitted on one language and read out on another: (fitted, read).

    Each is the mean over folds, weighted by their pairs of a harmful and a harmless prompt. NaN
    where no fold can be fitted or read.
    """
    points = [_centred(sample) for sample in samples]
    weights = [_fit(sample, x, folds) for sample, x in zip(samples, points, strict=True)]
    return np.array(
        [
            [_read_out(fitted, sample, x, folds) for sample, x in zip(samples, points, strict=True)]
            for fitted in weights
        ]
    )


def within_auroc(sample: LanguageSample, folds: Indices) -> float:
    """Return the AUROC of a probe on prompts of its own language that it was not fitted on."""
    points = _centred(sample)
    return _read_out(_fit(sample, points, folds), sample, points, folds)


def _centred(sample: LanguageSample) -> Array:
    """Return all points around their mean: where a language lies must not decide."""
    x = sample.stacked.astype(np.float64)
    return np.asarray(x - x.mean(axis=0))


def _fit(sample: LanguageSample, points: Array, folds: Indices) -> list[Array | None]:
    """Return the probe that leaves out each fold; None where that leaves one class only."""
    probes: list[Array | None] = []
    for fold in range(FOLDS):
        kept = folds[sample.groups] != fold
        labels = sample.is_harmful[kept].astype(float)
        probes.append(fit_probe(points[kept], labels) if 0 < labels.sum() < len(labels) else None)
    return probes


def _read_out(
    probes: Sequence[Array | None], sample: LanguageSample, points: Array, folds: Indices
) -> float:
    total, pairs = 0.0, 0
    place = folds[sample.groups]
    for fold, probe in enumerate(probes):
        inside = place == fold
        labels = sample.is_harmful[inside]
        size = int(labels.sum()) * int((~labels).sum())
        if probe is not None and size:
            total += size * auroc(points[inside] @ probe, labels)
            pairs += size
    return total / pairs if pairs else float("nan")
