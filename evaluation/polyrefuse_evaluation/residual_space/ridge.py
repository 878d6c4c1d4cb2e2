"""Ridge regression of many outputs on more inputs than rows, with the penalty cross-validated.

In the dual: everything is solved in rows x rows, so width costs one matrix product. Knows only
tensors, not what they are activations of.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

PENALTIES: tuple[float, ...] = tuple(10.0**exponent for exponent in range(-5, 6))
"""Penalties tried, in units of the mean variance that a row brings (the mean kernel eigenvalue)."""

FOLDS = 5


@dataclass(frozen=True)
class Ridge:
    """A fitted map x -> (x - input_mean) W + output_mean, with W = (X - mean)^T `dual`.

    Attributes:
        inputs: centred inputs it was fitted on, (n, d), float64.
        dual: dual coefficients, (n, m), float64.
        input_mean: (d,).
        output_mean: (m,).
        penalty: penalty in units of the mean kernel eigenvalue.
        held_out_r2: cross-validated R2 of that penalty: 1 - error / variance about the mean of the
            rows that were fitted; below 0 where the map predicts worse than the mean.
    """

    inputs: Tensor
    dual: Tensor
    input_mean: Tensor
    output_mean: Tensor
    penalty: float
    held_out_r2: float

    def __call__(self, rows: Tensor) -> Tensor:
        """Return predictions (n, m) for rows (n, d), float64."""
        kernel = (rows.double() - self.input_mean) @ self.inputs.T
        return kernel @ self.dual + self.output_mean

    @cached_property
    def weight(self) -> Tensor:
        """The map W itself, (d, m), float64: as wide as the model, so made only when asked for."""
        return self.inputs.T @ self.dual


def fit_ridge(
    inputs: Tensor, outputs: Tensor, groups: Sequence[str] | None = None, seed: int = 0
) -> Ridge:
    """Fit by ridge, with the penalty that predicts held-out folds best.

    Args:
        inputs: (n, d).
        outputs: (n, m).
        groups: rows of one group (translations of one prompt) stay in one fold; every row is a
            group by default.
        seed: of the folds.

    Raises:
        ValueError: fewer than two groups, or shapes that do not fit.
    """
    x, y = inputs.double(), outputs.double()
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y):
        raise ValueError(f"cannot fit outputs {tuple(y.shape)} on inputs {tuple(x.shape)}")
    kernel, gram = x @ x.T, y @ y.T
    folds = make_folds(len(x), groups, seed)
    scale = _mean_eigenvalue(kernel)
    errors = torch.zeros(len(PENALTIES), dtype=torch.float64)
    total = 0.0
    for held in folds:
        fold_errors, variance = _fold_errors(kernel, gram, held, scale)
        errors += fold_errors
        total += variance
    best = int(errors.argmin())
    held_out = 1 - float(errors[best]) / total if total > 0 else 0.0
    x_mean, y_mean = x.mean(dim=0), y.mean(dim=0)
    centred = x - x_mean
    penalised = centred @ centred.T
    penalised.diagonal().add_(PENALTIES[best] * scale)
    dual = torch.linalg.solve(penalised, y - y_mean)
    return Ridge(centred, dual, x_mean, y_mean, PENALTIES[best], held_out)


def make_folds(rows: int, groups: Sequence[str] | None, seed: int) -> list[Tensor]:
    """Return up to five folds as boolean (n,): which rows are held out.

    Raises:
        ValueError: fewer than two groups.
    """
    names = list(groups) if groups is not None else [str(row) for row in range(rows)]
    if len(names) != rows:
        raise ValueError(f"{len(names)} groups for {rows} rows")
    distinct = sorted(set(names))
    if len(distinct) < 2:
        raise ValueError("cross-validation needs at least two groups of rows")
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(distinct), generator=generator).tolist()
    count = min(FOLDS, len(distinct))
    fold_of = {distinct[index]: place % count for place, index in enumerate(order)}
    numbers = torch.tensor([fold_of[name] for name in names])
    return [numbers == fold for fold in range(count)]


def _mean_eigenvalue(kernel: Tensor) -> float:
    """Return the mean eigenvalue of the centred kernel; 1 where all rows are equal."""
    rows = len(kernel)
    trace = float(kernel.diagonal().sum() - kernel.sum() / rows)
    return trace / rows if trace > 0 else 1.0


def _fold_errors(kernel: Tensor, gram: Tensor, held: Tensor, scale: float) -> tuple[Tensor, float]:
    """Return squared errors on the held-out rows by penalty, and those of the mean of the rest.

    Outputs are never touched: the error of a prediction P Y is read off the Gram matrix of Y.
    """
    fit = ~held
    k_fit, k_cross = _centred(kernel, fit, fit), _centred(kernel, held, fit)
    g_fit, g_cross = _centred(gram, fit, fit), _centred(gram, held, fit)
    g_held = _centred(gram, held, held, fit)
    values, vectors = torch.linalg.eigh(k_fit)
    projected = k_cross @ vectors
    rotated = vectors.T @ g_fit @ vectors
    cross = g_cross @ vectors
    variance = float(g_held.diagonal().sum())
    errors = []
    for penalty in PENALTIES:
        map_ = projected / (values.clamp_min(0) + penalty * scale)
        error = variance - 2 * (map_ * cross).sum() + ((map_ @ rotated) * map_).sum()
        errors.append(error)
    return torch.stack(errors), variance


def _centred(gram: Tensor, rows: Tensor, columns: Tensor, about: Tensor | None = None) -> Tensor:
    """Return inner products of rows and columns, both centred about the mean of `about`.

    `about` is `columns` by default.
    """
    about = columns if about is None else about
    block = gram[rows][:, columns]
    return (
        block
        - gram[rows][:, about].mean(dim=1, keepdim=True)
        - gram[about][:, columns].mean(dim=0, keepdim=True)
        + gram[about][:, about].mean()
    )
