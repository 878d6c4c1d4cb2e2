"""Running out of memory: do the work in smaller pieces, remember the smaller budget, record it.

Knows nothing of models or files: work is a function of row numbers, or of a budget in tokens.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from accelerate.utils.memory import (  # type: ignore[import-untyped]
    clear_device_cache,
    should_reduce_batch_size,
)

T = TypeVar("T")


@dataclass(frozen=True)
class Halving:
    """One time that memory ran out.

    Attributes:
        stage: what was being done.
        tokens: size of the batch that did not fit, or the budget in force, in padded tokens.
        budget: the budget from then on.
        rows: rows of the batch, where known.
    """

    stage: str
    tokens: int
    budget: int
    rows: int | None = None


@dataclass
class MemoryLimit:
    """What running out of memory taught.

    `budget` is the largest batch to generate that may still be tried, in tokens; None as long as
    everything fitted.
    """

    budget: int | None = None
    halvings: list[Halving] = field(default_factory=list)

    def lower(self, rows: int, width: int) -> None:
        """Halve the budget: a batch of so many rows and tokens a row did not fit."""
        self.budget = rows * width // 2
        self.halvings.append(Halving("generate", rows * width, self.budget, rows))

    def fits(self, rows: int, width: int) -> bool:
        """Whether a batch is within the budget; a single row is always tried."""
        return self.budget is None or rows == 1 or rows * width <= self.budget


def is_out_of_memory(error: Exception) -> bool:
    """Whether `error` says that memory ran out, on any device."""
    known = isinstance(error, (torch.OutOfMemoryError, MemoryError))
    return known or bool(should_reduce_batch_size(error))


def in_halves(
    work: Callable[[Sequence[int]], list[T]],
    widths: Sequence[int],
    limit: MemoryLimit,
    give_up: Callable[[int, int], T],
) -> list[T]:
    """Do `work` on all rows, in halves where it does not fit into memory.

    Args:
        work: does some rows, given by number; returns one value for each, in their order.
        widths: most tokens that each row may come to hold.
        limit: the budget in force; lowered by each failure.
        give_up: value of a row that does not fit even alone, from its number and width.

    Returns:
        One value a row, in order.

    Raises:
        Exception: whatever `work` raises that is not about memory.
    """

    def attempt(rows: Sequence[int]) -> list[T]:
        width = max(widths[row] for row in rows)
        if limit.fits(len(rows), width):
            try:
                return work(rows)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            # Outside of the handler: the error's traceback holds the tensors of the failed pass.
            clear_device_cache(garbage_collection=True)
            if len(rows) == 1:
                return [give_up(rows[0], width)]
            limit.lower(len(rows), width)
        middle = len(rows) // 2
        return [*attempt(rows[:middle]), *attempt(rows[middle:])]

    return attempt(range(len(widths))) if widths else []


def in_smaller_batches(
    stage: str, work: Callable[[int], T], batch_tokens: int, limit: MemoryLimit
) -> T:
    """Do a whole stage, again with half the budget as long as it does not fit into memory.

    Args:
        stage: what it is, for the record.
        work: does all of it in batches of so many padded tokens; it can be done again.
        batch_tokens: the budget to begin with.
        limit: takes a record of each failure.

    Raises:
        Exception: what `work` raises, if it is not about memory or no smaller batch can help.
    """
    budget = batch_tokens
    while True:
        try:
            return work(budget)
        except Exception as error:
            if not is_out_of_memory(error) or budget <= 1:
                raise
        clear_device_cache(garbage_collection=True)
        limit.halvings.append(Halving(stage, budget, budget // 2))
        budget = budget // 2
