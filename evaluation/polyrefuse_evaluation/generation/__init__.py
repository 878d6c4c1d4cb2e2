"""Greedy generation: the same texts as `model.generate` on each prompt alone, for less work.

Batches are planned from the prompts alone, so an interrupted run generates the same batches again
and gets the same texts. How a batch is decoded is a `DecodingPlan`, chosen once by a short probe;
running out of memory halves the batch.
"""

from collections.abc import Sequence

import torch

from polyrefuse_evaluation.generation.completion import (
    Completion,
    Decoded,
    completion_of,
    end_tokens,
)
from polyrefuse_evaluation.generation.engines import ENGINES
from polyrefuse_evaluation.generation.plan import (
    DecodingPlan,
    current_plan,
    memory_limit,
    plan_batches,
    use_plan,
)
from polyrefuse_evaluation.generation.probe import choose_plan
from polyrefuse_evaluation.memory import in_halves
from polyrefuse_evaluation.models import LoadedModel

__all__ = [
    "Completion",
    "DecodingPlan",
    "choose_plan",
    "current_plan",
    "end_tokens",
    "generate",
    "memory_limit",
    "plan_batches",
    "use_plan",
]


@torch.no_grad()
def generate(
    loaded: LoadedModel, sequences: Sequence[Sequence[int]], max_new_tokens: int
) -> list[Completion]:
    """Greedily generate one completion for each rendered prompt of one batch.

    The batch is halved for as long as it does not fit into memory; a prompt that does not fit alone
    gets a completion with a `failure`.

    Args:
        loaded: the model, under an intervention or not.
        sequences: token ids of the prompts.
        max_new_tokens: limit on the answer's length, in tokens.
    """
    engine = ENGINES[current_plan(loaded).engine]

    def decode(indices: Sequence[int]) -> list[Decoded]:
        return engine(loaded, [sequences[index] for index in indices], max_new_tokens)

    def give_up(_: int, width: int) -> Decoded:
        return Decoded((), False, f"out of memory: a single row of up to {width} tokens")

    widths = [len(sequence) + max_new_tokens for sequence in sequences]
    decoded = in_halves(decode, widths, memory_limit(loaded), give_up)
    return [completion_of(loaded, answer) for answer in decoded]
