"""Watch the residual stream during forward passes: its size at each site, and every write to it.

A site is a module whose input is the stream: a block, a norm that reads it, the final norm. Knows
nothing of ablation.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from polyrefuse.errors import ModelError
from polyrefuse_evaluation.forward_trace import first_tensor, given_tensor

Named = tuple[str, nn.Module]


@dataclass(frozen=True)
class Visit:
    """The stream at one site: (tokens, streams, hidden), and the largest norm so far by token."""

    site: str
    stream: Tensor
    largest: Tensor

    def projection(self, basis: Tensor) -> float:
        """Return the largest |Q x| / (largest norm so far) for an orthonormal Q (k, hidden)."""
        inside = (self.stream @ basis.T).norm(dim=-1)
        relative = inside / self.largest.clamp_min(1e-30)[:, None]
        return float(relative.nan_to_num(nan=torch.inf).max())


@dataclass
class Watch:
    """What was seen: visits in order, and by writer what it meant to write, (rows, hidden)."""

    tokens: int
    visits: list[Visit] = field(default_factory=list)
    writes: dict[str, Tensor] = field(default_factory=dict)
    started: bool = False
    largest: Tensor | None = None

    def grow(self, x: Tensor) -> Tensor:
        """Return the largest norm so far by token, x (tokens, streams, hidden) included."""
        norm: Tensor = x.norm(dim=-1).amax(dim=-1)
        if self.largest is None or norm.shape == self.largest.shape:
            self.largest = norm if self.largest is None else torch.maximum(self.largest, norm)
            return self.largest
        return norm

    def at_origin(self, _: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        """Forward hook of the module that makes the stream."""
        tensor = first_tensor(output)
        if tensor is not None and not self.started:
            self.grow(by_token(tensor, self.tokens))

    def at_start(self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Forward pre-hook of the first block."""
        self.started = True
        self.grow(by_token(block_input(args, kwargs), self.tokens))

    def at_site(self, name: str) -> Any:
        """Return a forward pre-hook; calls before the first block do not count."""

        def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if self.started:
                x = by_token(block_input(args, kwargs), self.tokens)
                self.visits.append(Visit(name, x, self.grow(x)))

        return hook

    def at_writer(self, name: str) -> Any:
        """Return a forward hook."""

        def hook(_: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            tensor = first_tensor(output)
            if tensor is not None and self.started:
                x = by_token(tensor, self.tokens)
                self.writes[name] = x.reshape(-1, x.shape[-1])
                self.grow(x)

        return hook


@contextmanager
def watch_stream(
    first_block: nn.Module,
    origin: nn.Module | None,
    sites: Iterable[Named],
    writers: Iterable[Named],
    tokens: int,
) -> Iterator[Watch]:
    """Record every visit to a site from the first block on, and every write.

    Enter it inside `ablate`: then sites see the ablated stream, while sizes come from what the
    model meant to write.

    Args:
        first_block: the decoder block that the stream enters first.
        origin: the module whose output is the stream at its start, where there is one.
        sites: modules whose input is the stream.
        writers: modules whose output is added to it.
        tokens: length of the input.
    """
    seen = Watch(tokens)
    with ExitStack() as stack:
        # Before ablation's own hooks: the norm of what the model meant to pass on.
        start = first_block.register_forward_pre_hook(seen.at_start, prepend=True, with_kwargs=True)
        stack.callback(start.remove)
        if origin is not None:
            made = origin.register_forward_hook(seen.at_origin, prepend=True)
            stack.callback(made.remove)
        for name, module in writers:
            first = module.register_forward_hook(seen.at_writer(name), prepend=True)
            stack.callback(first.remove)
        for name, module in sites:
            handle = module.register_forward_pre_hook(seen.at_site(name), with_kwargs=True)
            stack.callback(handle.remove)
        yield seen


def block_input(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """Return the residual stream that a decoder block is called with."""
    found = given_tensor(args, kwargs)
    if found is None:
        raise ModelError("a decoder block was called without hidden states.", "Report this model.")
    return found


def by_token(x: Tensor, tokens: int) -> Tensor:
    """Return x as (tokens, streams, hidden), float32, copied to the CPU.

    Some models write in place or spread over devices; some carry several streams, before or after
    the axis of tokens; some drop the batch or put it second.
    """
    x = x.detach().to("cpu", torch.float32, copy=True)
    axes = [axis for axis, size in enumerate(x.shape[:-1]) if size == tokens]
    if not axes:
        return x.reshape(1, -1, x.shape[-1])
    return x.movedim(axes[0], 0).reshape(tokens, -1, x.shape[-1])
