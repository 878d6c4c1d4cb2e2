"""The directions of a shift: its singular vectors, their variances, and the effective rank.

Knows only tensors.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

THRESHOLDS: tuple[float, ...] = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Shares of the variance at which the effective rank is reported."""

NEGLIGIBLE = 1e-12
"""A variance below this share of the largest is rounding, not a direction."""


@dataclass(frozen=True)
class Components:
    """Singular value decomposition of a centred shift.

    Attributes:
        directions: orthonormal rows, (k, hidden), float64, by falling variance; each row's largest
            entry is positive until `oriented` says otherwise.
        variances: variance along each direction, s^2 / (n - 1), (k,).
        spectrum: all variances, (min(n - 1, hidden),) at most, of which `variances` is the head.
        mean: mean that was taken off, (hidden,).
    """

    directions: Tensor
    variances: Tensor
    spectrum: Tensor
    mean: Tensor

    def project(self, rows: Tensor) -> Tensor:
        """Return the coordinates (n, k) of rows (n, hidden), less the mean."""
        return (rows.double() - self.mean) @ self.directions.T

    def oriented(self, rows: Tensor, labels: Tensor) -> "Components":
        """Return the components with the sign in which rows with the label lie higher on average.

        Args:
            rows: (n, hidden).
            labels: boolean (n,); where all are equal, nothing is turned.
        """
        if bool(labels.all()) or not bool(labels.any()):
            return self
        scores = self.project(rows)
        gap = scores[labels].mean(dim=0) - scores[~labels].mean(dim=0)
        sign = torch.where(gap < 0, -1.0, 1.0).double()
        return Components(self.directions * sign[:, None], self.variances, self.spectrum, self.mean)


def find_components(rows: Tensor, count: int | None = None) -> Components:
    """Return the leading directions of rows, centred: their right singular vectors.

    The smaller of the two Gram matrices is decomposed in float64, which is as exact as a singular
    value decomposition for directions above 1e-6 of the first singular value, and tens of times
    quicker for long rows.

    Args:
        rows: shift (n, hidden), not centred.
        count: directions to return; all that are not rounding by default.

    Raises:
        ValueError: fewer than two rows, or rows that do not vary.
    """
    if rows.ndim != 2 or len(rows) < 2:
        raise ValueError(f"components need at least two rows, not shape {tuple(rows.shape)}")
    mean = rows.double().mean(dim=0)
    centred = rows.double() - mean
    wide = centred.shape[1] >= centred.shape[0]
    values, vectors = torch.linalg.eigh(centred @ centred.T if wide else centred.T @ centred)
    values, vectors = values.flip(0), vectors.flip(1)
    kept = int((values > NEGLIGIBLE * values[0]).sum()) if float(values[0]) > 0 else 0
    if kept == 0:
        raise ValueError("the shift does not vary: base and tuned model may be the same")
    values, vectors = values[:kept], vectors[:, :kept]
    spectrum = values / (len(rows) - 1)
    head = kept if count is None else min(count, kept)
    directions = (centred.T @ vectors[:, :head]).T if wide else vectors[:, :head].T
    directions = directions / directions.norm(dim=1, keepdim=True)
    peaks = directions.gather(1, directions.abs().argmax(dim=1, keepdim=True))
    return Components(directions * peaks.sign(), spectrum[:head], spectrum, mean)


def effective_rank(spectrum: Tensor, threshold: float) -> int:
    """Return the smallest k whose first k variances hold `threshold` of the total.

    Raises:
        ValueError: a threshold outside (0, 1], or no variance.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold {threshold} is not in (0, 1]")
    total = spectrum.sum()
    if not float(total) > 0:
        raise ValueError("there is no variance")
    reached = spectrum.cumsum(0) >= threshold * total * (1 - 1e-12)
    return int(reached.int().argmax()) + 1


def effective_ranks(spectrum: Tensor, thresholds: Sequence[float] = THRESHOLDS) -> dict[float, int]:
    """Return `effective_rank` at each threshold."""
    return {threshold: effective_rank(spectrum, threshold) for threshold in thresholds}
