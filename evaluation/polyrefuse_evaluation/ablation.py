"""Directional ablation and activation addition, as context managers.

Ablation: x <- x - Q Q^T x for an orthonormal basis Q, at everything that is written to the residual
stream, at all positions (Arditi et al. 2024, section 2.4). Both live in memory only, and saving the
model inside raises.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from polyrefuse.errors import ModelError
from polyrefuse_evaluation.directions import RefusalDirection
from polyrefuse_evaluation.packed_linear import is_packed
from polyrefuse_evaluation.residual_stream import (
    ResidualStream,
    Writer,
    find_residual_stream,
)
from polyrefuse_evaluation.stream_hooks import hook_input, hook_output

Method = Literal["hooks", "weights"]
PLAIN = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


@contextmanager
def ablate(
    model: nn.Module,
    direction: Tensor | RefusalDirection,
    *,
    method: Method = "hooks",
    stream: ResidualStream | None = None,
) -> Iterator[nn.Module]:
    """Remove `direction` from everything `model` writes to its residual stream.

    Args:
        model: any loaded transformers causal LM.
        direction: shape (hidden,), of any length, or an orthonormal basis (k, hidden).
        method: ``hooks`` projects outputs; ``weights`` projects output weights in memory where
            that is exact and hooks the rest, and restores them bit for bit on exit.
        stream: where to ablate; found by `find_residual_stream` by default.

    Raises:
        ModelError: the direction does not fit the model, or no writer can be found.
    """
    stream = stream or find_residual_stream(model)
    basis = as_basis(direction, stream.hidden_size)
    project = _Projection(basis)
    with ExitStack() as stack:
        stack.enter_context(saving_forbidden(model, weights=method == "weights"))
        in_weights = [w for w in stream.writers if method == "weights" and _projectable(w)]
        for writer in in_weights:
            stack.enter_context(_projected_weights(writer.linear, basis))
        hook_writes(stack, stream, project, but=in_weights)
        yield model


@contextmanager
def add(
    model: nn.Module,
    direction: Tensor | RefusalDirection,
    layer: int,
    *,
    coefficient: float = 1.0,
    stream: ResidualStream | None = None,
) -> Iterator[nn.Module]:
    """Add ``coefficient * direction`` to the input of block `layer`, at all positions.

    Args:
        model: any loaded transformers causal LM.
        direction: shape (hidden,), used at its own length (not normalised). Of a
            `RefusalDirection` the raw difference in means, ``vector * norm``, is added.
        layer: index of the block in [0, L).
        coefficient: factor on `direction`.
        stream: the model's blocks; found by `find_residual_stream` by default.

    Raises:
        ModelError: the direction or layer does not fit the model.
    """
    stream = stream or find_residual_stream(model)
    if not 0 <= layer < len(stream.blocks):
        raise ModelError(f"layer {layer} is not in [0, {len(stream.blocks)}).")
    vector = direction.raw if isinstance(direction, RefusalDirection) else direction
    if vector.shape != (stream.hidden_size,):
        raise ModelError(
            f"direction has shape {tuple(vector.shape)}, the model's width is {stream.hidden_size}."
        )
    shift = coefficient * vector.detach()
    with saving_forbidden(model):
        handle = hook_input(stream.blocks[layer], lambda x: x + shift.to(x.device, x.dtype))
        try:
            yield model
        finally:
            handle.remove()


def as_basis(direction: Tensor | RefusalDirection, hidden_size: int) -> Tensor:
    """Return `direction` as an orthonormal basis of shape (k, hidden), float32.

    Raises:
        ModelError: wrong shape, not finite, zero, or rows that are not orthonormal.
    """
    tensor = direction.vector if isinstance(direction, RefusalDirection) else direction
    rows = tensor.detach().double()
    rows = rows[None] if rows.ndim == 1 else rows
    if rows.ndim != 2 or rows.shape[1] != hidden_size or rows.shape[0] == 0:
        raise ModelError(
            f"direction has shape {tuple(tensor.shape)}; expected ({hidden_size},) "
            f"or (k, {hidden_size})."
        )
    if not torch.isfinite(rows).all():
        raise ModelError("direction holds NaN or infinite values.")
    if tensor.ndim == 1:
        norm = rows.norm()
        if norm == 0:
            raise ModelError("direction is zero: there is nothing to ablate.")
        unit: Tensor = (rows / norm).float()
        return unit
    identity = torch.eye(len(rows), dtype=torch.float64, device=rows.device)
    if (rows @ rows.T - identity).abs().max() > 1e-4:
        raise ModelError("basis is not orthonormal.", "Orthonormalise it first (torch.linalg.qr).")
    basis: Tensor = torch.linalg.qr(rows.T).Q.T.float()  # the same span, orthonormal to rounding
    return basis


def hook_writes(
    stack: ExitStack,
    stream: ResidualStream,
    change: Callable[[Tensor], Tensor],
    but: Sequence[Writer] = (),
) -> None:
    """Hook `change` onto all that is written to the stream, until `stack` closes.

    Args:
        stack: removes the hooks.
        stream: where to hook.
        change: what is written, (rows, tokens, hidden) -> what shall be.
        but: writers to leave alone.
    """
    stack.callback(hook_input(stream.blocks[0], change).remove)
    if stream.origin is not None:  # what else reads the embeddings (Zamba, Gemma 3n)
        stack.callback(hook_output(stream.origin, change).remove)
    for writer in stream.writers:
        if writer not in but:
            stack.callback(hook_output(writer.module, change).remove)


class _Projection:
    """x -> x - Q Q^T x, in float32 or better, following device and dtype of x."""

    def __init__(self, basis: Tensor) -> None:
        self.basis = basis

    def __call__(self, x: Tensor) -> Tensor:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        self.basis = self.basis.to(wide.device, wide.dtype)
        return (wide - (wide @ self.basis.T) @ self.basis).to(x.dtype)


def _projectable(writer: Writer) -> bool:
    """Whether the linear map computes from plain numbers: not quantised, offloaded or packed."""
    weight = getattr(writer.linear, "weight", None)
    if writer.linear is None or is_packed(writer.linear):
        return False
    return type(weight) is nn.Parameter and weight.dtype in PLAIN and not weight.is_meta


@contextmanager
def _projected_weights(linear: nn.Module | None, basis: Tensor) -> Iterator[None]:
    """Project weight and bias of one linear map; restore the very same bits on exit."""
    parameters: list[Tensor | None] = [getattr(linear, name, None) for name in ("weight", "bias")]
    tensors = [parameter for parameter in parameters if parameter is not None]
    # Copies wait on the CPU: an accelerator's memory is for the batches.
    saved = [tensor.detach().to("cpu", copy=True) for tensor in tensors]
    output_first = isinstance(linear, nn.Linear)  # Conv1D keeps its weight transposed
    try:
        with torch.no_grad():
            for tensor in tensors:
                _project_rows(tensor if tensor.ndim == 1 or not output_first else tensor.T, basis)
        yield
    finally:
        with torch.no_grad():
            for tensor, before in zip(tensors, saved, strict=True):
                tensor.copy_(before)


def _project_rows(rows: Tensor, basis: Tensor) -> None:
    """Take the span of `basis` out of `rows` (..., hidden) in place.

    In float32 or better: its rounding error, like that of storing the result, is far below the
    proof's bound, and twice as fast as float64.
    """
    wide = rows.to(torch.promote_types(rows.dtype, torch.float32))
    q = basis.to(wide.device, wide.dtype)
    if wide.ndim == 1:
        wide = wide[None]
    projected = torch.addmm(wide, wide @ q.T, q, alpha=-1)
    rows.copy_(projected.reshape(rows.shape))


@contextmanager
def saving_forbidden(model: nn.Module, *, weights: bool = False) -> Iterator[None]:
    """Make saving raise, of any part of the model: what PolyRefuse ablates never leaves memory."""

    def forbidden(*_: Any, **__: Any) -> None:
        raise ModelError(
            "a model under intervention cannot be saved or shared.", "Leave the 'with' block first."
        )

    names = ["save_pretrained", "push_to_hub", *(["state_dict"] if weights else [])]
    places = [(m.__dict__, name) for m in model.modules() for name in names if hasattr(m, name)]
    before = [place.get(name) for place, name in places]
    for place, name in places:
        place[name] = forbidden
    try:
        yield
    finally:
        for (place, name), value in zip(places, before, strict=True):
            if value is None:
                place.pop(name, None)
            else:
                place[name] = value
