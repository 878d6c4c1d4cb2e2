"""Run what all prompts begin with once for each direction, and only the rest for each prompt.

A chat template opens every prompt alike (with a system prompt, often for longer than the user's
text), so candidate directions that are scored on many prompts share that work. The keys and values
of the opening are kept; rows of a batch have one length, so that nothing is padded behind them.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from polyrefuse_evaluation.models import LoadedModel
from polyrefuse_evaluation.row_ablation import ablate_rows


@dataclass(frozen=True)
class Openings:
    """The opening under each of some directions.

    Attributes:
        units: the directions, (k, hidden).
        length: tokens of the opening.
        cache: the model's own cache, with k rows.
    """

    units: Tensor
    length: int
    cache: Any


def opening_length(sequences: Sequence[Sequence[int]]) -> int:
    """Return how many tokens all sequences begin with; every one keeps a token after them."""
    shortest = min(len(sequence) for sequence in sequences)
    columns = zip(*sequences, strict=False)
    same = next((i for i, column in enumerate(columns) if len(set(column)) > 1), shortest)
    return max(0, min(same, shortest - 1))


@torch.no_grad()
def run_openings(loaded: LoadedModel, units: Tensor, opening: Sequence[int]) -> Openings:
    """Run the opening once with each of `units` (k, hidden) ablated, in one batch."""
    with ablate_rows(loaded.model, units, stream=loaded.stream):
        inputs = loaded.inputs([opening] * len(units))
        output = loaded.model(**inputs, use_cache=True, logits_to_keep=1)
    return Openings(units, len(opening), output.past_key_values)


@torch.no_grad()
def logits_after(
    loaded: LoadedModel,
    openings: Openings,
    which: Sequence[int],
    sequences: Sequence[Sequence[int]],
) -> Tensor:
    """Return the last-position logits of whole prompts, (rows, vocabulary), float32.

    Args:
        loaded: the model.
        openings: their opening, under each direction.
        which: the direction that is ablated in each row.
        sequences: the whole prompts, of one length, that begin with the opening.
    """
    cache = copy.deepcopy(openings.cache)  # a pass adds to it
    cache.reorder_cache(torch.tensor(which, device=loaded.device))
    inputs = loaded.inputs([sequence[openings.length :] for sequence in sequences])
    before = inputs["attention_mask"].new_ones(len(sequences), openings.length)
    inputs["attention_mask"] = torch.cat([before, inputs["attention_mask"]], dim=1)
    if "position_ids" in inputs:
        inputs["position_ids"] = inputs["position_ids"] + openings.length
    with ablate_rows(loaded.model, openings.units[list(which)], stream=loaded.stream):
        output = loaded.model(**inputs, past_key_values=cache, use_cache=True, logits_to_keep=1)
    logits: Tensor = output.logits[:, -1].float()
    return logits
