"""Linear maps of a model on the CPU, computed by oneDNN from packed weights while it answers.

PyTorch multiplies float32 matrices by MKL, which leaves half of an AMD processor idle; oneDNN,
which PyTorch ships too, does not. Packed weights are copies: what changes weights must come before,
and `is_packed` tells it when it is too late. Knows nothing of what the model is for.
"""

import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import psutil  # type: ignore[import-untyped]
import torch
from torch import Tensor, nn

from polyrefuse_evaluation.block_forward import Forward, replaced_forward

TOLERANCE = 1e-5
"""Largest difference of outputs from plain ones, relative to the largest output."""
TRIED_ROWS = 3
MOST_OF_MEMORY = 0.5
"""Share of the free memory that packed copies may take."""

_PACKED = "packed by polyrefuse"
_PLAINLY: ContextVar[bool] = ContextVar("plainly", default=False)


@contextmanager
def packed_linears(model: nn.Module) -> Iterator[int]:
    """Compute the model's float32 linear maps on the CPU by oneDNN; yields how many.

    Every map is tried first: one whose packed form gives other outputs than the plain one (by more
    than `TOLERANCE`) stays plain, and so does every map if the copies would take more than half
    of the free memory, or this is no x86 processor. With gradients enabled maps stay plain, too.
    """
    forwards = {id(linear): _packed(linear) for linear in _plain_linears(model)}
    chosen = [x for x in model.modules() if forwards.get(id(x)) is not None]

    def replace(forward: Forward) -> Forward:
        packed: Forward = forwards[id(forward.__self__)]  # type: ignore[attr-defined, assignment]
        return packed

    with replaced_forward(chosen, replace):
        yield len(chosen)


def is_packed(linear: nn.Module) -> bool:
    """Whether the map computes from a packed copy, so that changing its weight changes nothing."""
    return hasattr(linear.__dict__.get("forward"), _PACKED)


@contextmanager
def plainly() -> Iterator[None]:
    """Compute by the plain maps for a while, inside `packed_linears`."""
    token = _PLAINLY.set(True)
    try:
        yield
    finally:
        _PLAINLY.reset(token)


def _plain_linears(model: nn.Module) -> list[nn.Linear]:
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return []
    if not (torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled):
        return []
    linears = [x for x in model.modules() if type(x) is nn.Linear and _is_plain(x)]
    size = sum(x.weight.nbytes for x in linears)
    return linears if size <= MOST_OF_MEMORY * psutil.virtual_memory().available else []


def _is_plain(linear: nn.Linear) -> bool:
    weight = linear.weight
    plain = type(weight) in (nn.Parameter, Tensor) and weight.dtype == torch.float32
    return plain and weight.device.type == "cpu" and "forward" not in linear.__dict__


def _packed(linear: nn.Linear) -> Forward | None:
    """Return a forward pass from a packed copy of the weight, or None where it does not serve."""
    try:
        operator = torch.ops.mkldnn._linear_pointwise
        weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), None)
    except (AttributeError, RuntimeError):  # a build without oneDNN
        return None
    bias = None if linear.bias is None else linear.bias.detach()
    plain: Callable[[Tensor], Tensor] = linear.forward

    def forward(x: Tensor) -> Tensor:
        strange = x.dtype != torch.float32 or x.device.type != "cpu"
        if strange or torch.is_grad_enabled() or _PLAINLY.get():
            return plain(x)
        return operator(x, weight, bias, "none", [], "")  # type: ignore[no-any-return]

    setattr(forward, _PACKED, True)
    return forward if _agrees(linear, forward) else None


@torch.no_grad()
def _agrees(linear: nn.Linear, packed: Forward) -> bool:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(TRIED_ROWS, linear.in_features, generator=generator)
    right, made = linear.forward(x), packed(x)  # no hook runs
    # NaN, as a broken weight gives, does not agree: such a map stays plain.
    return bool((right - made).abs().max() <= TOLERANCE * right.abs().max())
