"""Progress bars of an evaluation: one process shows them; a log counts along."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from polyrefuse import progress
from polyrefuse.observing import advance, count_to


def leads() -> bool:
    """Whether this process speaks: it is alone, or number 0 of those that a launcher started."""
    return os.environ.get("WORLD_SIZE", "1") == "1" or os.environ.get("RANK", "0") == "0"


@contextmanager
def progress_bar(description: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar, or say what goes on where there is no terminal.

    Yields a function that advances it by a number of steps.
    """
    if leads() and not sys.stderr.isatty():
        sys.stderr.write(f"{description} ...\n")
    count_to(total, description)
    with progress.progress_bar(description, total, shown=leads()) as move:

        def move_on(steps: int) -> None:
            move(steps)
            advance(steps)

        yield move_on
