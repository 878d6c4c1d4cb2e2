"""Progress bars of an evaluation: one process shows them, however many share the work."""

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager

from polyrefuse import progress


def leads() -> bool:
    """Whether this process speaks: it is alone, or number 0 of those that a launcher started."""
    return os.environ.get("RANK", "0") == "0"


def progress_bar(description: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
    """Show a progress bar, or say what goes on where there is no terminal.

    Yields a function that advances it by a number of steps.
    """
    if leads() and not sys.stderr.isatty():
        sys.stderr.write(f"{description} ...\n")
    return progress.progress_bar(description, total, shown=leads())
