"""Directional ablation with a direction of its own for each row of a batch.

Many candidate directions share one forward pass this way. The sites are those of `ablate`; a model
whose writers do not keep rows apart is found by comparing `ablated_by_rows` with `ablated_alone`.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from polyrefuse.errors import ModelError
from polyrefuse_evaluation.ablation import ablate, hook_writes, saving_forbidden
from polyrefuse_evaluation.models import LoadedModel
from polyrefuse_evaluation.residual_stream import ResidualStream, find_residual_stream


@contextmanager
def ablate_rows(
    model: nn.Module, directions: Tensor, *, stream: ResidualStream | None = None
) -> Iterator[nn.Module]:
    """Remove ``directions[i]`` from everything that row i of a batch writes to the stream.

    x[i] <- x[i] - r_i (r_i . x[i]) at the sites of `ablate`, so row i gets what
    ``ablate(model, directions[i])`` would give it.

    Args:
        model: any loaded transformers causal LM.
        directions: shape (rows, hidden), of any length but zero; the batches that run inside must
            have as many rows.
        stream: where to ablate; found by `find_residual_stream` by default.

    Raises:
        ModelError: a direction does not fit the model.
    """
    stream = stream or find_residual_stream(model)
    project = _RowProjection(_units(directions, stream.hidden_size))
    with ExitStack() as stack:
        stack.enter_context(saving_forbidden(model))
        hook_writes(stack, stream, project)
        yield model


def _units(directions: Tensor, hidden_size: int) -> Tensor:
    if directions.ndim != 2 or len(directions) == 0 or directions.shape[1] != hidden_size:
        raise ModelError(
            f"directions have shape {tuple(directions.shape)}; expected (rows, {hidden_size})."
        )
    wide = directions.detach().double()
    norms = wide.norm(dim=1, keepdim=True)
    if not (torch.isfinite(norms) & (norms > 0)).all():
        raise ModelError("a direction is zero or not finite: there is nothing to ablate.")
    units: Tensor = (wide / norms).float()
    return units


class _RowProjection:
    """x[i] -> x[i] - r_i (r_i . x[i]), in float32 or better, following device and dtype of x."""

    def __init__(self, units: Tensor) -> None:
        self.units = units

    def __call__(self, x: Tensor) -> Tensor:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        self.units = self.units.to(wide.device, wide.dtype)
        rows = wide.reshape(len(self.units), -1, wide.shape[-1])  # some flatten rows and tokens
        along = rows @ self.units[:, :, None]
        cleared = torch.addcmul(rows, along, self.units[:, None], value=-1)
        return cleared.reshape(x.shape).to(x.dtype)


def ablated_alone(
    loaded: LoadedModel, directions: Tensor, sequences: Sequence[Sequence[int]]
) -> Tensor:
    """Return last-position logits with one direction at a time ablated, (k, n, vocabulary)."""
    logits = []
    for direction in directions:
        with ablate(loaded.model, direction, stream=loaded.stream):
            logits.append(loaded.last_logits(sequences))
    return torch.stack(logits)


def ablated_by_rows(
    loaded: LoadedModel, directions: Tensor, sequences: Sequence[Sequence[int]]
) -> Tensor:
    """Return what `ablated_alone` returns, from one pass over all directions and prompts."""
    rows = directions.repeat_interleave(len(sequences), dim=0)
    with ablate_rows(loaded.model, rows, stream=loaded.stream):
        logits = loaded.last_logits([*sequences] * len(directions))
    by_direction: Tensor = logits.unflatten(0, (len(directions), len(sequences)))
    return by_direction


def close_logits(loaded: LoadedModel, found: Tensor, expected: Tensor) -> bool:
    """Whether logits are equal to the rounding of the model's dtype."""
    exact = loaded.model.dtype in (torch.float32, torch.float64)
    tolerance = (1e-4 if exact else 2e-2) * float(expected.abs().max())
    return bool((found - expected).abs().max() <= tolerance)  # NaN is not close
