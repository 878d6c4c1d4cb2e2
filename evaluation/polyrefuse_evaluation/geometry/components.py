"""Principal components of harmful and harmless representations (arXiv 2505.17306, figures 3, 5).

Knows arrays only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import svds

from polyrefuse_evaluation.geometry.contrasts import LanguageSample, Matrix
from polyrefuse_evaluation.geometry.groups import Array


@dataclass(frozen=True)
class Basis:
    """The leading principal components of a set of points.

    Attributes:
        mean: (hidden,).
        components: orthonormal rows, (k, hidden).
        explained: share of the variance along each, (k,).
    """

    mean: Array
    components: Array
    explained: Array

    def project(self, points: Matrix) -> Array:
        """Return coordinates (n, k) of points (n, hidden)."""
        return np.asarray((points - self.mean) @ self.components.T)


def fit_basis(points: Matrix, k: int = 2) -> Basis:
    """Return the k leading principal components of `points` (n, hidden).

    Signs are set so that the largest entry of each component is positive; `orient` changes them.

    Raises:
        ValueError: fewer than k + 1 points or dimensions.
    """
    if min(points.shape) <= k:
        raise ValueError(f"{k} components need more than {k} points and dimensions")
    mean = points.mean(axis=0, dtype=np.float64)
    x = points - mean
    total = float(np.einsum("ij,ij->", x, x))
    if total == 0:
        raise ValueError("all points are the same: there are no components")
    start = np.random.default_rng(0).standard_normal(min(x.shape))  # ARPACK's own varies by run
    _, values, rows = svds(x, k=k, v0=start)
    order = np.argsort(values)[::-1]
    rows = rows[order]
    peaks = rows[np.arange(k), np.abs(rows).argmax(axis=1)]
    rows = rows * np.where(peaks < 0, -1.0, 1.0)[:, None]
    return Basis(mean, rows, values[order] ** 2 / total)


def orient(basis: Basis, direction: Array) -> Basis:
    """Return the basis with each component turned so that `direction` runs along it, not against.

    Harmful then lies to the right of, and above, harmless in every figure.
    """
    signs = np.where(basis.components @ direction < 0, -1.0, 1.0)
    return Basis(basis.mean, basis.components * signs[:, None], basis.explained)


def shared_basis(samples: Sequence[LanguageSample], *, centre_languages: bool = False) -> Basis:
    """Return the basis of all languages together, turned to the mean difference.

    Args:
        samples: activations of each language at one place.
        centre_languages: take each language's own mean off first; what is left is what the
            languages have in common, where otherwise the components tell languages apart.
    """
    points = [sample.stacked.astype(np.float64) for sample in samples]
    if centre_languages:
        points = [x - x.mean(axis=0) for x in points]
    direction = np.mean([s.harmful.mean(axis=0) - s.harmless.mean(axis=0) for s in samples], axis=0)
    return orient(fit_basis(np.concatenate(points)), direction)


def own_basis(sample: LanguageSample) -> Basis:
    """Return the basis of one language, turned to its own difference in means."""
    direction = sample.harmful.mean(axis=0) - sample.harmless.mean(axis=0)
    return orient(fit_basis(sample.stacked), direction)
