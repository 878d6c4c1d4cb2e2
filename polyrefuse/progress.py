"""Progress bars on standard error, so that standard output stays for results."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Literal, TypeVar

Item = TypeVar("Item")


@contextmanager
def progress_bar(
    description: str, total: int, *, unit: Literal["steps", "bytes"] = "steps", shown: bool = True
) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on a terminal; yields a function that advances it by steps or bytes.

    Args:
        description: what goes on.
        total: steps or bytes in all.
        unit: of `total`.
        shown: show it at all.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not (shown and console.is_terminal):  # some releases of rich end a bar unseen with a line
        yield lambda steps: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn() if unit == "bytes" else MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(description, total=total)
        yield lambda steps: progress.advance(task, steps)


def count_bytes(
    lines: Iterable[tuple[Item, bytes]], advance: Callable[[int], None] | None
) -> Iterator[tuple[Item, bytes]]:
    """Yield `lines`, and tell `advance` now and then how many bytes have gone by."""
    passed = 0
    for item, line in lines:
        yield item, line
        passed += len(line) + 1
        if advance is not None and passed >= 2**20:
            advance(passed)
            passed = 0
    if advance is not None:
        advance(passed)
