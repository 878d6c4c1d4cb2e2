"""Partial layer-wise relevance propagation: what feeds a component, and which tokens pull it.

From the coordinate of the last position along a direction at one block input, back to the block
input before (components, what is left of the last position, other positions) and to the prompt's
embeddings (tokens). arXiv 2502.09674, section 4; the rules are in relevance_rules.py.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from polyrefuse.errors import ModelError
from polyrefuse_evaluation.models import LoadedModel
from polyrefuse_evaluation.residual_space.relevance_rules import Rule, relevance_rules


@dataclass(frozen=True)
class Conservation:
    """How much of the relevance that went in came out, summed over prompts and targets.

    Attributes:
        residual: |target - inputs - biases|, summed.
        target: |target|, summed: what was to be explained.
        absolute: sum of absolute relevance that came out.
    """

    residual: float
    target: float
    absolute: float

    @property
    def relative(self) -> float:
        """Residual over target; 0 for exact rules."""
        return self.residual / self.target if self.target else 0.0

    @property
    def relative_to_absolute(self) -> float:
        """Residual over the sum of absolute relevance: how AttnLRP's leak is reported."""
        return self.residual / self.absolute if self.absolute else 0.0

    def __add__(self, other: "Conservation") -> "Conservation":
        return Conservation(
            self.residual + other.residual,
            self.target + other.target,
            self.absolute + other.absolute,
        )


NOTHING = Conservation(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Edges:
    """Relevance of one block input's components for those of the next, by prompt.

    Attributes:
        layer: block input l of the targets; sources are at l - 1.
        targets: coordinates that were explained, (n, k).
        components: relevance of the last position's source components, (n, k, sources).
        rest: relevance of what the sources leave of the last position, (n, k).
        elsewhere: relevance of all other positions, (n, k).
        conservation: how much was lost.
    """

    layer: int
    targets: Tensor
    components: Tensor
    rest: Tensor
    elsewhere: Tensor
    conservation: Conservation


@dataclass(frozen=True)
class TokenRelevance:
    """Relevance of each token of each prompt for one coordinate.

    Attributes:
        targets: the coordinates, (n,).
        tokens: relevance by token, one tensor (length,) a prompt, template included.
        conservation: how much was lost.
    """

    targets: Tensor
    tokens: list[Tensor]
    conservation: Conservation


class _Enough(Exception):  # noqa: N818  # stops a forward pass whose rest is not needed
    pass


class Propagation:
    """One forward pass under a rule: block inputs of a batch, joined by their graph.

    Use `propagation`. All gradients are of sums over prompts, which do not mix.
    """

    def __init__(
        self, inputs: list[Tensor], biases: list[list[nn.Parameter]], mask: Tensor
    ) -> None:
        self.inputs = inputs
        self.biases = biases  # by block
        self.mask = mask

    def coordinates(self, layer: int, directions: Tensor) -> Tensor:
        """Return the last position's coordinates (n, k) at a block input, with their graph."""
        last = self.inputs[layer][:, -1]
        return last @ directions.to(last.device, last.dtype).T

    def explain(self, target: Tensor, source: int) -> tuple[Tensor, float]:
        """Return relevances (n, tokens, hidden) of a block input for targets (n,), and of biases.

        The relevance of a bias is its value times its gradient, summed over all of them.
        """
        biases = [bias for block in self.biases[source:] for bias in block]
        wanted = [self.inputs[source], *biases]
        grads = torch.autograd.grad(target.sum(), wanted, retain_graph=True, allow_unused=True)
        first = grads[0]
        assert first is not None
        relevance = (self.inputs[source] * first).detach()
        kept = [
            float((bias.detach() * grad).sum())
            for bias, grad in zip(biases, grads[1:], strict=True)
            if grad is not None
        ]
        return relevance, sum(kept)


@contextmanager
def propagation(
    loaded: LoadedModel, sequences: Sequence[Sequence[int]], depth: int, rule: Rule = "attnlrp"
) -> Iterator[Propagation]:
    """Run a batch under a rule up to the input of block `depth`, and keep the graph inside.

    Args:
        loaded: the model.
        sequences: rendered prompts, token ids.
        depth: last block input that is needed, in [0, L).
        rule: ``attnlrp`` or ``cp-lrp``.

    Raises:
        ModelError: a module that no rule covers, or `depth` is no block.
    """
    if not 0 <= depth < len(loaded.stream.blocks):
        raise ModelError(f"layer {depth} is not in [0, {len(loaded.stream.blocks)}).")
    inputs: list[Tensor] = []

    def keep(layer: int) -> Any:
        def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            stream = args[0] if args else kwargs["hidden_states"]
            if layer == 0:  # the embeddings are the leaves that relevance ends at
                stream = stream.detach().requires_grad_(True)
            inputs.append(stream)
            if layer == depth:
                raise _Enough
            if args:
                return (stream, *args[1:]), kwargs
            return args, {**kwargs, "hidden_states": stream}

        return hook

    batch = loaded.inputs(sequences)
    blocks = loaded.stream.blocks[: depth + 1]
    handles = [
        block.register_forward_pre_hook(keep(layer), with_kwargs=True)
        for layer, block in enumerate(blocks)
    ]
    with relevance_rules(loaded.model, rule) as biases:
        try:
            with torch.enable_grad():
                loaded.model(**batch, use_cache=False)
        except _Enough:
            pass
        finally:
            for handle in handles:
                handle.remove()
        known = {id(bias) for bias in biases}
        by_block = [[p for p in block.parameters() if id(p) in known] for block in blocks]
        yield Propagation(inputs, by_block, batch["attention_mask"])


def trace_edges(run: Propagation, layer: int, targets: Tensor, sources: Tensor) -> Edges:
    """Return what feeds components at block input `layer` at the block input before.

    Args:
        run: a propagation that reaches `layer`.
        layer: block input of the targets, at least 1.
        targets: directions there, (k, hidden).
        sources: orthonormal directions at ``layer - 1``, (j, hidden).

    Raises:
        ValueError: `layer` is 0, which nothing feeds.
    """
    if layer < 1:
        raise ValueError("nothing feeds the embeddings")
    values = run.coordinates(layer, targets)
    basis = sources.to(values.device, values.dtype)
    before = run.inputs[layer - 1].detach()[:, -1]
    parts, rests, elsewhere, conservation = [], [], [], NOTHING
    for column in range(values.shape[1]):
        relevance, kept = run.explain(values[:, column], layer - 1)
        # R = x g by element; in the basis, component j holds (x . v_j) (g . v_j).
        gradient = relevance[:, -1] / torch.where(before == 0, 1, before)
        by_component = (before @ basis.T) * (gradient @ basis.T)
        last = relevance[:, -1].sum(dim=-1)
        parts.append(by_component)
        rests.append(last - by_component.sum(dim=-1))
        elsewhere.append(relevance[:, :-1].sum(dim=(-1, -2)))
        conservation += _conservation(values[:, column], relevance, kept)
    return Edges(
        layer,
        values.detach().cpu(),
        torch.stack(parts, dim=1).cpu(),
        torch.stack(rests, dim=1).cpu(),
        torch.stack(elsewhere, dim=1).cpu(),
        conservation,
    )


def trace_tokens(run: Propagation, layer: int, direction: Tensor) -> TokenRelevance:
    """Return the relevance of each prompt token for the last position's coordinate at `layer`."""
    values = run.coordinates(layer, direction[None])[:, 0]
    relevance, kept = run.explain(values, 0)
    by_token = relevance.sum(dim=-1).cpu()
    real = run.mask.bool().cpu()
    tokens = [row[keep] for row, keep in zip(by_token, real, strict=True)]
    return TokenRelevance(values.detach().cpu(), tokens, _conservation(values, relevance, kept))


def _conservation(target: Tensor, relevance: Tensor, kept: float) -> Conservation:
    """Compare by prompt, or in sum where biases keep a part: theirs is known in sum only."""
    by_prompt = relevance.double().sum(dim=(-1, -2))
    gap = target.detach().double() - by_prompt
    residual = float(gap.abs().sum()) if kept == 0 else abs(float(gap.sum()) - kept)
    absolute = float(relevance.double().abs().sum()) + abs(kept)
    return Conservation(residual, float(target.detach().abs().sum()), absolute)
