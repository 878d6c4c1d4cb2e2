"""How components feed each other through the layers, and which prompt tokens feed the dominant one.

Means over prompts; relevance of single prompts leaves only for the packaged sample.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from polyrefuse_evaluation.activations import batches
from polyrefuse_evaluation.chat import render
from polyrefuse_evaluation.models import LoadedModel
from polyrefuse_evaluation.progress import progress_bar
from polyrefuse_evaluation.residual_space.components import Components
from polyrefuse_evaluation.residual_space.relevance import (
    NOTHING,
    Conservation,
    Edges,
    propagation,
    trace_edges,
    trace_tokens,
)
from polyrefuse_evaluation.residual_space.relevance_rules import Rule
from polyrefuse_evaluation.residual_space.rows import ConservationRow, EdgeRow

ELSEWHERE, REST = "elsewhere", "rest"


@dataclass(frozen=True)
class PromptTokens:
    """Relevance of the tokens of one rendered prompt.

    Attributes:
        relevance: by token, template included, (length,).
        user: positions of the user's text, [start, end).
    """

    relevance: Tensor
    user: range


def user_spans(loaded: LoadedModel, sequences: Sequence[Sequence[int]]) -> list[range]:
    """Return where the user's text stands in rendered prompts.

    It begins where a prompt leaves the template's own first tokens, which two probes share, and
    ends before the post-instruction span. (A word may merge with the template's last white space,
    so the place differs by prompt.)
    """
    probes = render(loaded.tokenizer, ["0", "~"], loaded.chat)
    template = _shared(*probes)
    end = len(loaded.chat.post_instruction)
    return [
        range(min(_shared(row, probes[0][:template]), len(row) - end), len(row) - end)
        for row in sequences
    ]


def _shared(a: Sequence[int], b: Sequence[int]) -> int:
    """Return how many tokens two prompts begin with in common."""
    for place, (one, other) in enumerate(zip(a, b, strict=False)):
        if one != other:
            return place
    return min(len(a), len(b))


def edge_rows(
    loaded: LoadedModel,
    sequences: Sequence[Sequence[int]],
    components: Mapping[int, Components],
    rule: Rule,
    batch_tokens: int,
) -> tuple[list[EdgeRow], list[ConservationRow]]:
    """Return what feeds each component from the block input before, averaged over prompts.

    Args:
        loaded: the tuned model.
        sequences: rendered prompts.
        components: components of each block input where the shift varies.
        rule: ``attnlrp`` or ``cp-lrp``.
        batch_tokens: padded tokens a batch.
    """
    layers = [layer for layer in sorted(components) if layer >= 1]
    hidden = loaded.stream.hidden_size
    found: dict[int, list[Edges]] = {layer: [] for layer in layers}
    with progress_bar("Propagating relevance", len(sequences)) as advance:
        for indices in batches(sequences, batch_tokens):
            chosen = [sequences[index] for index in indices]
            with propagation(loaded, chosen, max(layers), rule) as run:
                for layer in layers:
                    before = components.get(layer - 1)
                    sources = torch.zeros(0, hidden) if before is None else before.directions
                    found[layer].append(
                        trace_edges(run, layer, components[layer].directions, sources)
                    )
            advance(len(indices))
    edges, kept = [], []
    for layer, parts in found.items():
        edges += _edges(layer, parts)
        total = sum((part.conservation for part in parts), NOTHING)
        kept.append(_conservation(layer, "components", rule, total))
    return edges, kept


def _edges(layer: int, parts: Sequence[Edges]) -> list[EdgeRow]:
    components = torch.cat([part.components for part in parts])
    rest = torch.cat([part.rest for part in parts])
    elsewhere = torch.cat([part.elsewhere for part in parts])
    values = torch.cat([components, rest[..., None], elsewhere[..., None]], dim=-1).double()
    shares = values / values.abs().sum(dim=-1, keepdim=True).clamp_min(1e-300)
    sources = [f"component-{index}" for index in range(components.shape[-1])]
    return [
        EdgeRow(
            layer,
            target,
            source,
            float(values[:, target, column].mean()),
            float(shares[:, target, column].mean()),
            len(values),
        )
        for target in range(values.shape[1])
        for column, source in enumerate([*sources, REST, ELSEWHERE])
    ]


def token_relevance(
    loaded: LoadedModel,
    sequences: Sequence[Sequence[int]],
    layer: int,
    direction: Tensor,
    rule: Rule,
    batch_tokens: int,
) -> tuple[list[PromptTokens], ConservationRow]:
    """Return the relevance of every token of every prompt for one component, in their order."""
    spans = user_spans(loaded, sequences)
    found: dict[int, PromptTokens] = {}
    total = NOTHING
    for indices in batches(sequences, batch_tokens):
        with propagation(loaded, [sequences[index] for index in indices], layer, rule) as run:
            traced = trace_tokens(run, layer, direction)
        total += traced.conservation
        for index, relevance in zip(indices, traced.tokens, strict=True):
            found[index] = PromptTokens(relevance.double(), spans[index])
    kept = _conservation(layer, "tokens", rule, total)
    return [found[index] for index in range(len(sequences))], kept


def _conservation(layer: int, what: str, rule: Rule, total: Conservation) -> ConservationRow:
    return ConservationRow(layer, what, rule, total.relative, total.relative_to_absolute)
