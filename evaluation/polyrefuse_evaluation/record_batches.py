"""Which stretches of append-only files hold whole batches, and those stretches as one file.

Several processes append to files of their own, a batch in one write, so that the rows of a batch
stand together. What is kept in memory of a whole batch is where it stands, never its rows. Knows
nothing of what a row says but its batch and its identity.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Row:
    """Where a row stands in its file, in bytes [start, end), and what it is of."""

    start: int
    end: int
    batch: int
    identity: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows of one batch that stand together: bytes [start, end) of the file with this number."""

    file: int
    start: int
    end: int


@dataclass
class _Open:
    """A batch of which rows are still missing: what was seen of it, and where it stands."""

    seen: set[tuple[object, ...]] = field(default_factory=set)
    parts: list[Stretch] = field(default_factory=list)

    def add(self, file: int, row: Row) -> None:
        """Add a row, unless it was seen: a kill may leave some in two files."""
        if row.identity in self.seen:
            return
        self.seen.add(row.identity)
        self.parts = joined([*self.parts, Stretch(file, row.start, row.end)])


def whole_batches(
    files: Iterable[Iterable[Row]], sizes: Sequence[int], each: int
) -> dict[int, list[Stretch]]:
    """Return where each whole batch stands; where it stands twice, the first time.

    Args:
        files: the rows of each file, in order.
        sizes: number of completions of each planned batch.
        each: rows that a completion has.
    """
    found: dict[int, list[Stretch]] = {}
    waiting: dict[int, _Open] = {}
    for file, rows in enumerate(files):
        for batch, run in groupby(rows, key=lambda row: row.batch):
            if batch in found or not 0 <= batch < len(sizes):
                continue
            own = waiting.setdefault(batch, _Open())
            for row in run:
                own.add(file, row)
            if len(own.seen) == each * sizes[batch]:
                found[batch] = waiting.pop(batch).parts
    return found


def joined(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Return stretches with those that follow each other made one."""
    found: list[Stretch] = []
    for item in stretches:
        last = found[-1] if found else None
        if last is not None and (last.file, last.end) == (item.file, item.start):
            found[-1] = Stretch(last.file, last.start, item.end)
        else:
            found.append(item)
    return found


def read_stretches(files: Sequence[Path], stretches: Iterable[Stretch]) -> Iterator[bytes]:
    """Yield the bytes of stretches, in pieces.

    Raises:
        OSError: a file cannot be read.
    """
    for item in stretches:
        with files[item.file].open("rb") as stream:
            stream.seek(item.start)
            left = item.end - item.start
            while left and (piece := stream.read(min(left, CHUNK))):
                left -= len(piece)
                yield piece
