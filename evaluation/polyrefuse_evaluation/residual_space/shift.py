"""What safety tuning changed: the shift between base and tuned activations of one layer.

Knows only tensors. arXiv 2502.09674 fits an affine map by least squares, which interpolates when
prompts are fewer than dimensions, so that it equals ``identity``; ``ridge`` does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from polyrefuse_evaluation.residual_space.ridge import Ridge, fit_ridge

ShiftKind = Literal["identity", "ridge"]
SHIFT_KINDS: tuple[ShiftKind, ...] = ("identity", "ridge")


@dataclass(frozen=True)
class Shift:
    """The shift of one layer, and the map that gives it for new rows.

    Attributes:
        kind: ``identity`` (Y - X) or ``ridge`` (what an affine map of X explains of Y - X).
        rows: shift of the rows it was fitted on, (n, hidden), float64, not centred.
        mean: their mean, (hidden,).
        map: the fitted map of ``ridge``, else None.
        r2: share of the variance of Y - X that `rows` holds, in sample, fraction in [0, 1].
        held_out_r2: the same by cross-validation; None for ``identity``: it predicts nothing.
    """

    kind: ShiftKind
    rows: Tensor
    mean: Tensor
    map: Ridge | None
    r2: float
    held_out_r2: float | None

    @property
    def centred(self) -> Tensor:
        """Rows minus their mean, (n, hidden)."""
        return self.rows - self.mean

    def of(self, base: Tensor, tuned: Tensor) -> Tensor:
        """Return the shift of other rows, (n, hidden): held-out prompts."""
        if self.map is None:
            return tuned.double() - base.double()
        return self.map(base)


def fit_shift(
    kind: ShiftKind,
    base: Tensor,
    tuned: Tensor,
    groups: Sequence[str] | None = None,
    seed: int = 0,
) -> Shift:
    """Return the shift between two models' activations of the same prompts at one layer.

    ``identity``: D = Y - X. ``ridge``: D = X B + b, fitted to Y - X, so that a large penalty
    shrinks W = I + B towards "nothing changed" (shrinking W itself would shrink it towards "all was
    erased"). The penalty is cross-validated.

    Args:
        kind: ``identity`` or ``ridge``.
        base: activations X of the base model, (n, hidden).
        tuned: activations Y of the tuned model, same shape.
        groups: rows of one group (translations of one prompt) stay in one fold.
        seed: of the folds.

    Raises:
        ValueError: shapes that differ, fewer than two rows or groups, values that are not finite,
            or an unknown kind.
    """
    x, y = base.double(), tuned.double()
    if x.ndim != 2 or x.shape != y.shape or len(x) < 2:
        raise ValueError(f"cannot compare activations {tuple(x.shape)} with {tuple(y.shape)}")
    difference = y - x
    if not torch.isfinite(difference).all():
        raise ValueError("activations are not finite")
    if kind == "identity":
        return Shift("identity", difference, difference.mean(dim=0), None, 1.0, None)
    if kind != "ridge":
        raise ValueError(f"unknown shift {kind!r}: {', '.join(SHIFT_KINDS)}")
    fitted_map = fit_ridge(x, difference, groups, seed)
    rows = fitted_map(x)
    r2 = r_squared(rows, difference)
    return Shift("ridge", rows, rows.mean(dim=0), fitted_map, r2, fitted_map.held_out_r2)


def r_squared(predicted: Tensor, actual: Tensor) -> float:
    """Return 1 - |actual - predicted|^2 / |actual - mean|^2 over all; 0 if nothing varies."""
    variance = float((actual - actual.mean(dim=0)).square().sum())
    return 1 - float((actual - predicted).square().sum()) / variance if variance > 0 else 0.0
