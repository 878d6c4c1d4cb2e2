"""Find the writers of a block by what silence and projection do to the stream behind it.

For blocks that do more than add: post-norms that rewrite the stream, several streams that mix,
gates of one number a token. Such a stream still stays orthogonal to a direction if all that is
written to it is. A writer is a module without whose projection the stream does not stay so.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from polyrefuse_evaluation.block_writers import Segment
from polyrefuse_evaluation.forward_trace import (
    ForwardTrace,
    evaluation_mode,
    run,
    trace_forward,
    with_first,
)
from polyrefuse_evaluation.stream_hooks import hook_input
from polyrefuse_evaluation.stream_watch import Named, watch_stream

PROBED = 3
"""Random directions projected out at once."""
NEEDED = 10
"""A module is needed if the leak without it grows by this factor."""


def random_basis(hidden_size: int) -> Tensor:
    """Return a seeded orthonormal basis (PROBED, hidden), float32."""
    generator = torch.Generator().manual_seed(20)
    rows = torch.randn(hidden_size, min(PROBED, hidden_size), generator=generator)
    basis: Tensor = torch.linalg.qr(rows).Q.T.contiguous()
    return basis


def stream_readers(
    model: nn.Module, ids: Tensor, segments: Iterable[Segment], width: int
) -> dict[int, list[Named]]:
    """Return by block the norms that read the stream, in order of call.

    One pass with every linear map silent: only the stream flows on, through sums, scalings, mixes
    and norms, and what still reads something reads the stream.
    """
    segments = list(segments)
    maps = [m for segment in segments for m in segment.modules.values() if is_map(m)]
    trace = trace_forward(model, ids, silent=maps)
    found: dict[int, list[Named]] = {}
    for segment in segments:
        readers = [
            (name, module)
            for name, module in segment.modules.items()
            if is_norm(module) and _reads(trace, name, width)
        ]
        found[segment.block] = sorted(readers, key=lambda reader: trace.begins[reader[0]])
    return found


def _reads(trace: ForwardTrace, name: str, width: int) -> bool:
    given = trace.last_inputs.get(name)
    return given is not None and given.shape[-1] == width and bool(given.any())


def is_norm(module: nn.Module) -> bool:
    """Whether a module has no parts and nothing but vectors: a norm, or a scaling of channels."""
    if next(module.children(), None) is not None:
        return False
    parameters = list(module.parameters())
    named = "norm" in type(module).__name__.lower()
    return (bool(parameters) or named) and all(p.ndim <= 1 for p in parameters)


def is_map(module: nn.Module) -> bool:
    """Whether a module holds a matrix and no part of it holds anything (experts have a gate)."""
    parts = any(True for child in module.children() for _ in child.parameters())
    return not parts and any(p.ndim >= 2 for p in module.parameters(recurse=False))


class StreamProbe:
    """Runs the model with some writers projected and says how much survives at each site."""

    def __init__(
        self,
        model: nn.Module,
        ids: Tensor,
        first_block: nn.Module,
        origin: nn.Module | None,
        width: int,
    ) -> None:
        self.model, self.ids, self.first_block, self.origin = model, ids, first_block, origin
        self.basis = random_basis(width)

    def leaks(self, writers: Sequence[Named], sites: Sequence[Named]) -> dict[str, float]:
        """Return the largest relative projection by site, with `writers` and the start projected.

        A site that is not called is missing.
        """
        with evaluation_mode(self.model), ExitStack() as stack:
            project = self._project
            stack.callback(hook_input(self.first_block, project).remove)
            origin = [] if self.origin is None else [("", self.origin)]
            for _, module in (*origin, *writers):
                hook = module.register_forward_hook(lambda m, a, out: with_first(out, project))
                stack.callback(hook.remove)
            tokens = self.ids.shape[1]
            watch = stack.enter_context(
                watch_stream(self.first_block, self.origin, sites, writers, tokens)
            )
            run(self.model, self.ids)
        worst: dict[str, float] = {}
        for visit in watch.visits:
            leak = visit.projection(self.basis)
            worst[visit.site] = max(worst.get(visit.site, 0.0), leak)
        return worst

    def _project(self, x: Tensor) -> Tensor:
        if x.shape[-1] != self.basis.shape[-1]:
            return x
        wide = x.float()
        basis = self.basis.to(x.device)
        return (wide - (wide @ basis.T) @ basis).to(x.dtype)


def probed_writers(
    probe: StreamProbe,
    segment: Segment,
    sites: Sequence[Named],
    known: Sequence[Named],
    trace: ForwardTrace,
    bound: float,
) -> list[str] | str:
    """Return the smallest set of modules of one segment whose projection keeps its sites clean.

    Args:
        probe: the model.
        segment: the block to search.
        sites: where the stream is read in it, in order, and where it ends.
        known: writers of earlier blocks.
        trace: of a plain pass; modules without output of the stream's width are no candidates.
        bound: largest projection of a clean site.

    Returns:
        Names in order of call, or the site that no projection keeps clean.
    """
    able = _candidates(segment, trace, probe.basis.shape[-1])
    chosen: list[str] = []
    for site in sites:
        begin = trace.begins[site[0]]
        before = [name for name in able if trace.ends[name] < begin]

        def leak(names: Iterable[str], site: Named = site) -> float:
            writers = [*known, *((name, segment.modules[name]) for name in names)]
            return probe.leaks(writers, [site]).get(site[0], 0.0)

        found = _smallest(chosen, before, segment, trace, leak, bound)
        if found is None:
            return site[0]
        chosen = found
    return sorted(chosen, key=lambda name: trace.begins[name])


def _candidates(segment: Segment, trace: ForwardTrace, width: int) -> list[str]:
    """Return the modules with an output of the stream's width, one of those with the same output.

    Modules with parameters go before those without (dropout), outer before inner ones.
    """
    kept: list[str] = []
    for name in sorted(
        segment.modules, key=lambda n: next(segment.modules[n].parameters(), None) is None
    ):
        made = trace.outputs.get(name)
        if made is None or made.shape[-1] != width or trace.calls[name] > 1:
            continue
        if not any(torch.equal(made, trace.outputs[other]) for other in kept):
            kept.append(name)
    return kept


def _smallest(
    chosen: list[str],
    candidates: list[str],
    segment: Segment,
    trace: ForwardTrace,
    leak: Callable[[Iterable[str]], float],
    bound: float,
) -> list[str] | None:
    """Add to `chosen` the fewest candidates that keep a site clean; None if all do not."""
    if leak(chosen) <= bound:
        return chosen
    for depth in sorted({segment.depths[name] for name in candidates}):
        near = [n for n in candidates if segment.depths[n] <= depth and n not in chosen]
        kept = [*chosen, *near]
        clean = leak(kept)
        if clean > bound:
            continue
        # Try to do without early and inner modules first: what returns last writes.
        for name in sorted(near, key=lambda name: trace.ends[name]):
            without = [other for other in kept if other != name]
            if leak(without) <= max(bound, NEEDED * clean):
                kept = without
        return kept
    return None
