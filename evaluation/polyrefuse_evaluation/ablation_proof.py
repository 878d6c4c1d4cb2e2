"""Prove by forward passes that ablation reaches everything written to the residual stream.

With ablation on, the residual stream must have no component along the direction at any block
input, at any norm inside a block that reads the stream, and before the final norm. Directions: a
random one, the top output direction of each writer, and the top direction of what each block adds,
which does not depend on which writers were found.
"""

import json
import math
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from polyrefuse_evaluation.ablation import Method, ablate
from polyrefuse_evaluation.directions import random_direction
from polyrefuse_evaluation.residual_stream import (
    BOUNDS,
    ResidualStream,
    find_residual_stream,
    trace_ids,
)
from polyrefuse_evaluation.stream_watch import Watch, watch_stream

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

FINAL = "final norm"


@dataclass(frozen=True)
class Leak:
    """A place where the direction survived: which direction, where it was seen, how much."""

    direction: str
    site: str
    projection: float


@dataclass(frozen=True)
class AblationProof:
    """What `check_ablation` found.

    Attributes:
        verified: whether every projection is within the bound.
        max_projection: largest |r.x| / (largest norm of the residual or of a write so far).
        bound: what is allowed for the model's dtype.
        sites: places checked: inputs of blocks, of norms in them that read the stream, and of the
            final norm.
        directions: number of directions tried.
        writers: names of the modules that are ablated.
        leaks: the worst surviving projection of each direction that exceeds the bound.
        suspect: the module that leaks most, or None.
    """

    verified: bool
    max_projection: float
    bound: float
    sites: int
    directions: int
    writers: tuple[str, ...]
    leaks: tuple[Leak, ...]

    def to_json(self) -> str:
        """Return the proof as JSON; a projection that is not a number is null."""

        def plain(x: float) -> float | None:
            return x if math.isfinite(x) else None

        leaks = [{**asdict(leak), "projection": plain(leak.projection)} for leak in self.leaks]
        content = {**asdict(self), "max_projection": plain(self.max_projection), "leaks": leaks}
        return json.dumps({**content, "suspect": self.suspect}, indent=2)

    @property
    def suspect(self) -> str | None:
        """Where the largest leak was first seen, and for which direction."""
        if not self.leaks:
            return None
        worst = max(self.leaks, key=lambda leak: leak.projection)
        return f"{worst.site} (direction: {worst.direction}, projection {worst.projection:.1e})"


@torch.no_grad()
def check_ablation(
    model: nn.Module,
    tokenizer: "PreTrainedTokenizerBase | None" = None,
    *,
    method: Method = "hooks",
    stream: ResidualStream | None = None,
    stop_at_leak: bool = False,
) -> AblationProof:
    """Prove ablation on this model.

    Args:
        model: any loaded transformers causal LM.
        tokenizer: gives a text to run; random token ids otherwise.
        method: the ablation method to prove.
        stream: where to ablate, found by default; tests pass one that lacks a writer.
        stop_at_leak: stop at the first direction that survives: it is not proven already.

    Raises:
        ModelError: no residual stream can be found.
    """
    found = find_residual_stream(model)
    stream = stream or found
    ids = _token_ids(model, tokenizer)
    bound = BOUNDS.get(next(model.parameters()).dtype, 5e-3)
    leaks: list[Leak] = []
    largest = 0.0
    directions = _directions(model, found, ids)
    for name, direction in directions:
        with ablate(model, direction, method=method, stream=stream):
            site, projection = _largest_projection(model, found, ids, direction)
        largest = max(largest, projection)
        if not projection <= bound:
            leaks.append(Leak(name, site, projection))
            if stop_at_leak:
                break
    return AblationProof(
        not leaks,
        largest,
        bound,
        len(found.blocks) + len(found.readers) + 1,
        len(directions),
        tuple(writer.name for writer in stream.writers),
        tuple(leaks),
    )


def _token_ids(model: nn.Module, tokenizer: "PreTrainedTokenizerBase | None") -> Tensor:
    ids = trace_ids(model)
    if tokenizer is None:
        return ids
    text = tokenizer("Tell me about the weather in the mountains.", add_special_tokens=False)
    return torch.tensor([text["input_ids"]], device=ids.device)


def _directions(model: nn.Module, stream: ResidualStream, ids: Tensor) -> list[tuple[str, Tensor]]:
    """Return named unit directions of shape (hidden,) on the CPU, float32."""
    with _watch(stream, ids) as seen:
        model(input_ids=ids, use_cache=False)
    directions = [("random", random_direction(stream.hidden_size, seed=0))]
    for writer in stream.writers:
        directions.append((f"top output of {writer.name}", _top(seen.writes[writer.name])))
    at = {visit.site: visit.stream for visit in seen.visits}
    states = [at[name] for name in (*stream.block_names, FINAL)]
    for name, before, after in zip(stream.block_names, states, states[1:], strict=False):
        change = after - before.mean(dim=1, keepdim=True)
        directions.append((f"top change by {name}", _top(change.reshape(-1, stream.hidden_size))))
    return [(name, direction) for name, direction in directions if direction.isfinite().all()]


def _top(outputs: Tensor) -> Tensor:
    """Return the top right singular vector of (rows, hidden)."""
    top: Tensor = torch.linalg.svd(outputs.double(), full_matrices=False).Vh[0].float()
    return top


def _watch(stream: ResidualStream, ids: Tensor) -> AbstractContextManager[Watch]:
    blocks = zip(stream.block_names, stream.blocks, strict=True)
    sites = [*blocks, *stream.readers, (FINAL, stream.final_norm)]
    writers = [(writer.name, writer.module) for writer in stream.writers]
    return watch_stream(stream.blocks[0], stream.origin, sites, writers, ids.shape[1])


def _largest_projection(
    model: nn.Module, stream: ResidualStream, ids: Tensor, direction: Tensor
) -> tuple[str, float]:
    """Return (site, projection) of the largest relative projection on `direction`."""
    with _watch(stream, ids) as seen:
        model(input_ids=ids, use_cache=False)
    worst = ("", 0.0)
    for visit in seen.visits:
        value = visit.projection(direction[None])
        if value > worst[1]:
            worst = (visit.site, value)
    return worst


def describe(proof: AblationProof) -> str:
    """Return a few plain lines about a proof."""
    verdict = "verified" if proof.verified else "NOT verified"
    lines = [
        f"Ablation {verdict}: largest projection {proof.max_projection:.1e}, "
        f"bound {proof.bound:.0e}.",
        f"{proof.directions} directions x {proof.sites} sites, {len(proof.writers)} writers.",
    ]
    lines += [
        f"leak: {leak.direction} survives at {leak.site} ({leak.projection:.1e})"
        for leak in proof.leaks
    ]
    return "\n".join(lines)
