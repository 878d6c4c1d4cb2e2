"""Which modules' outputs add up to what one block writes, from a trace of one forward pass.

Needs a stream that blocks add to, or scale by one number; `stream_probe` finds the writers of
others. Knows nothing of directions or ablation.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from polyrefuse_evaluation.additive_parts import find_parts
from polyrefuse_evaluation.forward_trace import ForwardTrace


@dataclass(frozen=True)
class Segment:
    """One block, with what is called between it and the next place where the stream is read.

    Attributes:
        block: index of the block.
        name: its dotted name.
        start: the stream before.
        end: the stream at the next block, or before the final norm.
        modules: by name, all that could write to the stream here.
        depths: how deep each lies inside the block; 1 is a direct child.
    """

    block: int
    name: str
    start: Tensor
    end: Tensor
    modules: dict[str, nn.Module]
    depths: dict[str, int]


def additive_writers(segment: Segment, trace: ForwardTrace) -> list[str]:
    """Return the modules whose outputs, each times a number, sum to end - start; [] if none do."""
    start, end = segment.start, segment.end
    if start.numel() != end.numel():
        return []
    made = {
        child: trace.outputs[child].reshape(end.shape)  # OPT flattens batch and tokens
        for child in segment.modules
        if child in trace.outputs
        and trace.outputs[child].numel() == end.numel()
        and trace.outputs[child].shape[-1] == end.shape[-1]
    }
    for depth in sorted({segment.depths[child] for child in made}):
        # Direct children first; deeper only where these do not explain the block.
        near = {c: segment.modules[c] for c in made if segment.depths[c] <= depth}
        chosen = find_parts(start.reshape(end.shape), end, _distinct(near, made, start, end))
        if chosen:
            return chosen
    return []


def _distinct(
    modules: dict[str, nn.Module], made: dict[str, Tensor], start: Tensor, end: Tensor
) -> dict[str, Tensor]:
    """Keep one module of those with equal output, and none that passes the stream itself on.

    Outer modules go before inner ones, modules with parameters before those without (dropout).
    """
    kept: dict[str, Tensor] = {}
    for child in sorted(modules, key=lambda child: next(modules[child].parameters(), None) is None):
        known = [start, end, *kept.values()]
        if not any(torch.equal(made[child], other) for other in known):
            kept[child] = made[child]
    return {child: kept[child] for child in made if child in kept}


def complete_alike(
    model: nn.Module, segments: Sequence[Segment], names: dict[int, list[str]]
) -> dict[int, list[str]]:
    """Give a block the writers that most blocks of its class have.

    In half precision a module that writes less than the stream's rounding on these few tokens is
    not needed for the sum; on others it may write more. Blocks without any writer stay so.
    """
    inside = {s.block: [n.removeprefix(f"{s.name}.") for n in names[s.block]] for s in segments}
    kinds = {s.block: type(model.get_submodule(s.name)) for s in segments}
    completed: dict[int, list[str]] = {}
    for segment in segments:
        alike = [inside[b] for b in kinds if kinds[b] is kinds[segment.block] and inside[b]]
        counts = Counter(name for found in alike for name in found)
        own = inside[segment.block]
        common = [
            name
            for name, count in counts.items()
            if name not in own
            and 2 * count > len(alike)
            and f"{segment.name}.{name}" in segment.modules
            and not any(_nested(name, other) for other in own)
        ]
        found = [f"{segment.name}.{name}" for name in common] if own else []
        completed[segment.block] = [*names[segment.block], *found]
    return completed


def _nested(one: str, other: str) -> bool:
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


def same_linear(model: nn.Module, writer: str, trace: ForwardTrace) -> nn.Module | None:
    """Return the linear map inside `writer` that gives its very output, if there is one."""
    written = trace.outputs[writer]
    for child, module in model.get_submodule(writer).named_modules(prefix=writer):
        output = trace.outputs.get(child)
        linear = isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"
        if not linear or output is None or output.numel() != written.numel():
            continue
        if torch.equal(output.reshape(written.shape), written):
            found: nn.Module = module
            return found
    return None
