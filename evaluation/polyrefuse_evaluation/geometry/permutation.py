"""What a cosine means in this space: the permutation null.

Two unrelated differences in means are not at right angles: activations vary in few directions, and
two noises meet there. The null keeps that and takes the signal out: the residuals of each language,
its two class means subtracted, are dealt into two classes anew, independently per language. (Plain
shuffling of labels keeps the signal that languages share, and its cosines are far too large.)
Knows arrays only.
"""

from collections.abc import Sequence

import numpy as np

from polyrefuse_evaluation.geometry.contrasts import LanguageSample
from polyrefuse_evaluation.geometry.cosines import CHUNK_BYTES
from polyrefuse_evaluation.geometry.groups import Array

NULL_QUANTILE = 0.95


def deal(samples: Sequence[LanguageSample], shuffles: int, seed: int) -> list[Array]:
    """Return per language the signed weights of each shuffle: (shuffles, n + m).

    Row r times the residuals is a difference in means with no signal. The order of the samples
    decides the shuffles, so one list serves all layers.
    """
    dealt = []
    for row, sample in enumerate(samples):
        rng = np.random.default_rng([seed, 3, row])
        n, m = len(sample.harmful), len(sample.harmless)
        plain = np.concatenate([np.full(n, 1 / n), np.full(m, -1 / m)])
        dealt.append(rng.permuted(np.tile(plain, (shuffles, 1)), axis=1))
    return dealt


def null_cosines(
    a: Sequence[LanguageSample],
    b: Sequence[LanguageSample],
    dealt: Sequence[Array],
    rows: Sequence[int] | None = None,
) -> Array:
    """Return cosines between differences in means without signal: (shuffles, a, b).

    Args:
        a: samples, at any place each.
        b: samples; may be `a` itself.
        dealt: from `deal`, for the languages of `b`.
        rows: for each of `a`, its place among `dealt`; the same order by default.
    """
    order = list(range(len(a))) if rows is None else list(rows)
    hidden = b[0].harmful.shape[1]
    size = max(1, CHUNK_BYTES // (16 * hidden * max(len(a), len(b))))
    parts = []
    for start in range(0, len(dealt[0]), size):
        chunk = [weights[start : start + size] for weights in dealt]
        right = _null_units(b, chunk)
        left = right if b is a else _null_units(a, [chunk[row] for row in order])
        parts.append(np.matmul(left, right.transpose(0, 2, 1)).astype(np.float64))
    return np.concatenate(parts)


def _null_units(samples: Sequence[LanguageSample], dealt: Sequence[Array]) -> Array:
    """Return unit differences without signal: (shuffles, languages, hidden); 0 if they vanish."""
    out = np.empty((len(dealt[0]), len(samples), samples[0].harmful.shape[1]), dtype=np.float32)
    for row, (sample, weights) in enumerate(zip(samples, dealt, strict=True)):
        residuals = np.concatenate(
            [values - values.mean(axis=0) for values in (sample.harmful, sample.harmless)]
        )
        out[:, row] = weights.astype(np.float32) @ residuals.astype(np.float32)
    lengths = np.linalg.norm(out, axis=-1, keepdims=True)
    return np.asarray(out / np.maximum(lengths, 1e-30))


def null_bound(null: Array) -> Array:
    """Return the 95% quantile of the absolute null cosine, elementwise."""
    return np.asarray(np.quantile(np.abs(null), NULL_QUANTILE, axis=0))


def p_values(observed: Array, null: Array) -> Array:
    """Return (1 + #{|null| >= |observed|}) / (1 + shuffles), elementwise; NaN stays NaN.

    Davison and Hinkley 1997, equation 4.11.
    """
    reached = (np.abs(null) >= np.abs(observed) - 1e-12).sum(axis=0)
    return np.asarray(np.where(np.isfinite(observed), (1 + reached) / (1 + len(null)), np.nan))
