"""A temporary database for more rows than memory should hold. Knows no rows.

SQLite without a name: memory is bounded by a cache of `CACHE_MIB`, the rest lies in the folder for
temporary files (``SQLITE_TMPDIR``), and it is gone when the process is, however it ends. Sorting
and grouping are SQLite's, which sorts on disk as well.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from polyrefuse.errors import DatasetError

CACHE_MIB = 4


class TemporaryDatabase:
    """Tables on disk; a context manager that removes them."""

    schema = ""
    """Statements that make the tables, in SQL."""

    def __enter__(self) -> Self:
        """Open the database."""
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript("PRAGMA journal_mode=OFF; PRAGMA temp_store=FILE;")
        self._database.execute(f"PRAGMA cache_size=-{CACHE_MIB * 1024}")
        self._database.executescript(f"{self.schema}; BEGIN;")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the database, which removes it."""
        self._database.close()

    def insert(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Run ``INSERT`` with each of `rows`.

        Raises:
            DatasetError: the folder for temporary files is full or cannot be written.
        """
        with _disk_errors():
            self._database.executemany(statement, rows)

    def ask(self, question: str, *values: object) -> Iterator[tuple[Any, ...]]:
        """Yield the answers to a ``SELECT`` with `values` in the place of its question marks.

        Raises:
            DatasetError: the folder for temporary files is full or cannot be written.
        """
        with _disk_errors():
            yield from self._database.execute(question, values)


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Turn an error of the database into a `DatasetError`."""
    try:
        yield
    except sqlite3.Error as error:
        raise DatasetError(
            f"rows cannot be kept in the folder for temporary files ({error}).",
            "Set SQLITE_TMPDIR to a folder with free space; it is TMPDIR or /var/tmp otherwise.",
        ) from error
