"""Beyond one direction: how many directions do the languages share?

Unit directions of L languages are stacked and taken apart by SVD; all that is asked of it follows
from their cosines, the L x L matrix G, so that every resample and every null costs an L x L
eigenproblem: squared singular values are the eigenvalues of G. Knows arrays only.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import subspace_angles

from polyrefuse_evaluation.geometry.contrasts import LanguageSample
from polyrefuse_evaluation.geometry.cosines import Cosines
from polyrefuse_evaluation.geometry.groups import Array
from polyrefuse_evaluation.geometry.intervals import basic_interval
from polyrefuse_evaluation.geometry.permutation import NULL_QUANTILE

SHARED_BY = 1.5
"""A component counts as shared if it surely holds more than this many languages' worth."""


@dataclass(frozen=True)
class SharedSpectrum:
    """Shares of variance of the stacked unit directions, without their noise.

    Attributes:
        share: (L,), of each component, largest first.
        low: lower 95% bounds; 0 where fewer than two directions are determined.
        high: upper bounds; 1 there.
        null: 95% quantile of the share under the permutation null, (L,).
        rank: leading components that surely (by `low`) hold more than one and a half languages'
            worth, 1.5 / L: what one language has alone is not shared (Kaiser 1960), and the
            largest of many equal shares is a little more than one by chance.
        rows: the languages whose direction is determined; the others are left out, unless fewer
            than two are.
    """

    share: Array
    low: Array
    high: Array
    null: Array
    rank: int
    rows: tuple[int, ...]


def spectrum(gram: Array) -> Array:
    """Return shares of variance, largest first, from cosines (..., L, L)."""
    safe = np.nan_to_num(gram)
    values = np.linalg.eigvalsh((safe + np.swapaxes(safe, -1, -2)) / 2)[..., ::-1]
    return np.asarray(values / gram.shape[-1])


def shared_spectrum(found: Cosines, null: Array) -> SharedSpectrum:
    """Return the spectrum of the languages' directions with intervals and null.

    Args:
        found: cosines between all languages at one place.
        null: (shuffles, L, L), of directions without signal.
    """
    determined = np.flatnonzero(np.diag(found.determined))
    rows = determined if len(determined) > 1 else np.arange(len(found.plain))
    share = spectrum(_among(found.corrected, rows))
    drawn = spectrum(_among(found.resampled.corrected, rows))
    low, high = basic_interval(share, drawn, centre=spectrum(_among(found.plain, rows)))
    low, high = np.clip(low, 0.0, share), np.clip(high, share, 1.0)
    if len(determined) < 2:
        low, high = np.zeros_like(share), np.ones_like(share)
    bound = np.quantile(spectrum(_among(null, rows)), NULL_QUANTILE, axis=0)
    more = low > SHARED_BY / len(rows)
    rank = 0 if len(determined) < 2 else len(more) if more.all() else int(np.argmin(more))
    return SharedSpectrum(share, low, high, bound, rank, tuple(int(row) for row in rows))


def _among(gram: Array, rows: NDArray[np.intp]) -> Array:
    return np.asarray(gram[..., rows, :][..., :, rows])


def shared_directions(differences: Array, k: int) -> Array:
    """Return the k leading right singular vectors of the stacked unit differences: (k, hidden).

    The first is turned towards the mean of the unit differences.
    """
    units = differences / np.linalg.norm(differences, axis=1, keepdims=True)
    rows = np.linalg.svd(units, full_matrices=False)[2][:k]
    if rows[0] @ units.mean(axis=0) < 0:
        rows[0] = -rows[0]
    return np.asarray(rows)


@dataclass(frozen=True)
class LeftOut:
    """How well the other languages foretell one language's direction.

    Attributes:
        cosine: with the first shared direction of the others.
        captured: length of its projection on the first `rank` shared directions of the others.
    """

    cosine: Array
    captured: Array


def leave_one_out(gram: Array, language: int, rank: int) -> LeftOut:
    """Return the cosine and captured length of a language left out, from cosines (..., L, L).

    The shared directions of the others are V = sum_j c_j u_j with c the eigenvectors of their own
    cosines over the square root of the eigenvalue, so everything follows from the matrix.
    """
    safe = np.nan_to_num(gram)
    others = np.array([x for x in range(gram.shape[-1]) if x != language])
    inner = _among(safe, others)
    values, vectors = np.linalg.eigh((inner + np.swapaxes(inner, -1, -2)) / 2)
    values, vectors = values[..., ::-1], vectors[..., ::-1]
    # Turned so that the shared direction goes along with most of the others.
    signs = np.where(vectors[..., 0].sum(axis=-1) < 0, -1.0, 1.0)
    target = safe[..., others, language]
    along = np.einsum("...jk,...j->...k", vectors, target) / np.sqrt(np.maximum(values, 1e-12))
    kept = along[..., : min(rank, len(others))]
    return LeftOut(np.asarray(signs * along[..., 0]), np.asarray(np.sqrt((kept**2).sum(axis=-1))))


def language_subspace(sample: LanguageSample, k: int) -> Array:
    """Return an orthonormal basis (hidden, k) of where harmful prompts lie from the harmless mean.

    Its first direction is close to the difference in means; the others are what else sets harmful
    prompts apart, and apart from each other.
    """
    shifts = sample.harmful - sample.harmless.mean(axis=0, dtype=np.float64)
    return np.asarray(np.linalg.svd(shifts, full_matrices=False)[2][:k].T)


def principal_angles(a: Array, b: Array) -> Array:
    """Return the principal angles between two subspaces (hidden, k), smallest first, in radians."""
    return np.asarray(np.sort(subspace_angles(a, b)))
