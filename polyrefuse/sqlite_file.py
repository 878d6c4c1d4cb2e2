"""SQLite files that were damaged: recognised, set aside, and read back as far as they go.

Knows nothing of what the rows mean.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

ASIDE = ".corrupt-"
HEADER = b"SQLite format 3\0"


class DamagedError(sqlite3.DatabaseError):
    """A check of the whole file found a fault."""


@contextmanager
def in_words() -> Iterator[None]:
    """Tell damage as such where SQLite describes it in bytes that are no UTF-8; also a decorator.

    Raises:
        DamagedError: in place of the `UnicodeDecodeError` that Python makes of it.
    """
    try:
        yield
    except UnicodeDecodeError as error:
        raise DamagedError("holds names that are no UTF-8") from error


def is_corrupt(error: sqlite3.Error) -> bool:
    """Whether `error` says that the file itself is damaged."""
    name = getattr(error, "sqlite_errorname", None) or ""
    return isinstance(error, DamagedError) or name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT"))


def is_sqlite(path: Path) -> bool:
    """Whether a file begins as every SQLite file does, whatever comes after."""
    with path.open("rb") as stream:
        return stream.read(len(HEADER)) == HEADER


def move_aside(path: Path) -> Path:
    """Rename `path` and its journal to the first free ``.corrupt-<n>``; return the new path."""
    number = 1
    while (aside := path.with_name(f"{path.name}{ASIDE}{number}")).exists():
        number += 1
    path.rename(aside)
    for suffix in ("-wal", "-shm", "-journal"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.rename(aside.with_name(aside.name + suffix))
    return aside


def read_back(damaged: Path, connection: sqlite3.Connection, table: str, key: str) -> int:
    """Copy the rows of `table` that can still be read into `connection`; return how many.

    Read forwards up to the damage, and backwards up to it, by the primary key `key` (columns,
    comma-separated). Rows that the new table's constraints refuse are left out.
    """
    before = connection.total_changes
    connection.execute("BEGIN")
    backwards = ", ".join(f"{column} DESC" for column in key.split(", "))
    for order in (key, backwards):
        try:
            with closing(sqlite3.connect(f"file:{damaged}?immutable=1", uri=True)) as source:
                for row in source.execute(f"SELECT * FROM {table} ORDER BY {order}"):  # noqa: S608
                    marks = ", ".join("?" * len(row))
                    connection.execute(
                        f"INSERT OR IGNORE INTO {table} VALUES ({marks})",  # noqa: S608
                        row,
                    )
        except (sqlite3.Error, UnicodeDecodeError):  # this is where the damage begins
            continue
    connection.execute("COMMIT")
    return connection.total_changes - before
