"""Which prompts are decoded together, and how: plain data, and what is in force for a model.

Knows nothing of how tokens are made.
"""

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from torch import nn

from polyrefuse_evaluation.activations import batches
from polyrefuse_evaluation.memory import MemoryLimit
from polyrefuse_evaluation.models import LoadedModel

Engine = Literal["rows", "batch", "single", "static", "continuous"]

QUEUE = 32
"""How many batches' prompts are given to continuous batching at once; its start-up is slow."""


@dataclass(frozen=True)
class DecodingPlan:
    """How a model's answers are decoded; chosen once a run and kept with it.

    Attributes:
        engine: ``rows`` (finished rows leave the batch), ``batch`` (`model.generate`), ``single``
            (`model.generate`, a prompt at a time), ``static`` (`model.generate` with a static
            cache, compiled) or ``continuous`` (`model.generate_batch`).
        expected_tokens: length of an answer that batches are planned for; None: the longest.
        rates: tokens a second of each engine that the probe timed.
        rejected: why the probe turned an engine down, by its name.
    """

    engine: Engine = "rows"
    expected_tokens: int | None = None
    rates: dict[str, float] = field(default_factory=dict)
    rejected: dict[str, str] = field(default_factory=dict)

    def batches(
        self, sequences: Sequence[Sequence[int]], batch_tokens: int, max_new_tokens: int
    ) -> list[list[int]]:
        """Return the batches of a run, as lists of indices; see `plan_batches`."""
        # Prompts that wait their turn in continuous batching take no room.
        budget = batch_tokens * (QUEUE if self.engine == "continuous" else 1)
        return plan_batches(sequences, budget, max_new_tokens, self.expected_tokens)


def plan_batches(
    sequences: Sequence[Sequence[int]],
    batch_tokens: int,
    max_new_tokens: int,
    expected_tokens: int | None = None,
) -> list[list[int]]:
    """Return the batches, lists of indices into `sequences`, longest prompts first.

    Args:
        sequences: token ids of the prompts.
        batch_tokens: most tokens of prompts, padding and answers in a batch.
        max_new_tokens: limit on an answer's length.
        expected_tokens: count answers as this long instead: since finished rows leave the batch,
            it holds the longest possible answers only if all of its rows run to the limit.
    """
    extra = max_new_tokens if expected_tokens is None else min(expected_tokens, max_new_tokens)
    return list(batches(sequences, batch_tokens, extra=extra))


@dataclass
class _InForce:
    plan: DecodingPlan = field(default_factory=DecodingPlan)
    limit: MemoryLimit = field(default_factory=MemoryLimit)


_STATE: "weakref.WeakKeyDictionary[nn.Module, _InForce]" = weakref.WeakKeyDictionary()


def _of(loaded: LoadedModel) -> _InForce:
    return _STATE.setdefault(loaded.model, _InForce())


def use_plan(loaded: LoadedModel, plan: DecodingPlan) -> None:
    """Decode this model's answers by `plan` from now on."""
    _of(loaded).plan = plan


def current_plan(loaded: LoadedModel) -> DecodingPlan:
    """Return the plan in force; ``rows`` where none was chosen."""
    return _of(loaded).plan


def memory_limit(loaded: LoadedModel) -> MemoryLimit:
    """Return what running out of memory has taught about this model."""
    return _of(loaded).limit
