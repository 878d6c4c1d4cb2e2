"""Progress bars on standard error, since standard output is for results; a log counts along."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from polyrefuse.observing import advance, count_to


def leads() -> bool:
    """Whether this process speaks: it is alone, or number 0 of those that a launcher started."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def progress_bar(description: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar; yields a function that advances it by a number of steps."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    shown = console.is_terminal and leads()
    with Progress(*columns, console=console, disable=not shown) as progress:
        if not console.is_terminal and leads():
            console.print(f"{description} ...")
        task = progress.add_task(description, total=total)
        count_to(total, description)

        def move(steps: int) -> None:
            progress.advance(task, steps)
            advance(steps)

        yield move
