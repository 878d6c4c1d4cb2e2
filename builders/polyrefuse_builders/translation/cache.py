"""The translation cache: one SQLite file, so that no text is ever paid for twice.

Every request is noted before it is sent and its outcome is committed when it arrives, so a run
killed at any moment loses at most the requests that were under way, and the next run knows which
those were. Knows nothing of engines beyond their name and revision.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple, Self

from polyrefuse.run_lock import say
from polyrefuse.sqlite_file import is_corrupt, move_aside, read_back
from polyrefuse_builders.translation.cache_file import (
    CacheError,
    cache_error,
    connect,
    hold_lock,
)
from polyrefuse_builders.translation.engine import FailureKind

_BEGIN = """
INSERT INTO translations (engine, revision, source, target, text, status, requests, at)
VALUES (?, ?, ?, ?, ?, 'pending', 1, ?)
ON CONFLICT DO UPDATE SET status = 'pending', requests = requests + 1, at = excluded.at
"""

_KEY = "engine, revision, source, target, text"

_WHERE = "WHERE engine = ? AND revision = ? AND source = ? AND target = ? AND text = ?"


class CacheKey(NamedTuple):
    """What a translation is found by."""

    engine: str
    revision: str
    source: str
    target: str
    text: str


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """What is known of one text: translated, failed with a reason, or under way when killed.

    `requests` counts every request ever sent for it, over all runs; `at` is UTC, ISO 8601.
    """

    status: Literal["pending", "ok", "failed"]
    answer: str | None
    kind: FailureKind | None
    reason: str | None
    requests: int
    at: str


class TranslationCache:
    """An open cache file, held by one run at a time.

    Attributes:
        path: the file.
        moved_aside: where a corrupt predecessor was moved to, if there was one.
        read_back: how many of its entries could still be read, and are in this cache.
    """

    def __init__(self, path: str | Path) -> None:
        """Open or make the cache at `path`; a corrupt file there is moved aside.

        Raises:
            CacheError: the path cannot be written, holds some other database, or is in use.
        """
        self.path = Path(path)
        self.moved_aside: Path | None = None
        self.read_back = 0
        if self.path.exists() and not self.path.is_file():
            kind = "is a folder" if self.path.is_dir() else "is no plain file"
            raise CacheError(f"{self.path}: {kind}.", "Name a file for the translation cache.")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CacheError(
                f"{self.path.parent}: cannot be made ({error.strerror}).", "Name another path."
            ) from error
        self._lock = hold_lock(self.path)
        try:
            self._connection = self._open()
        except BaseException:
            self._lock.close()
            raise

    def _open(self) -> sqlite3.Connection:
        try:
            return connect(self.path)
        except sqlite3.DatabaseError as error:
            if not is_corrupt(error):
                raise cache_error(self.path, error) from error
        try:
            self.moved_aside = move_aside(self.path)
            connection = connect(self.path)
            self.read_back = read_back(self.moved_aside, connection, "translations", _KEY)
            say(
                f"{self.path}: was corrupt and is kept as {self.moved_aside.name}; "
                f"{self.read_back} of its entries could be read back, the others will be asked "
                "for again."
            )
            return connection
        except OSError as error:
            raise CacheError(
                f"{self.path}: is corrupt, and cannot be moved aside ({error.strerror}).",
                "Move it yourself, or name another cache.",
            ) from error
        except sqlite3.DatabaseError as error:
            raise cache_error(self.path, error) from error

    def known(self, engine: str, revision: str, source: str, target: str) -> dict[str, CacheEntry]:
        """Return all that is known for one engine and language pair, by text."""
        query = (
            "SELECT text, status, answer, kind, reason, requests, at FROM translations "
            "WHERE engine = ? AND revision = ? AND source = ? AND target = ?"
        )
        with self._reporting():
            found = self._connection.execute(query, (engine, revision, source, target)).fetchall()
        return {row[0]: _entry(self.path, *row[1:]) for row in found}

    def begin(self, key: CacheKey) -> None:
        """Note that a request for `key` is about to be sent."""
        with self._reporting():
            self._connection.execute(_BEGIN, (*key, _now()))

    def store(self, key: CacheKey, answer: str) -> CacheEntry:
        """Keep the translation of `key`."""
        return self._settle(key, "ok", answer, None, None)

    def fail(
        self, key: CacheKey, kind: FailureKind, reason: str, answer: str | None = None
    ) -> CacheEntry:
        """Keep why `key` has no translation, and what the engine answered instead.

        Also for a translation that was stored and then found wanting (kind ``validation``): a
        later run with `retry_failed` asks for it again.
        """
        return self._settle(key, "failed", answer, kind, reason)

    def release(self, key: CacheKey) -> None:
        """Forget that `key` was under way: the service took no texts any more."""
        with self._reporting():
            self._connection.execute(
                f"DELETE FROM translations {_WHERE} AND status = 'pending'",  # noqa: S608
                key,
            )

    def _settle(
        self,
        key: CacheKey,
        status: Literal["ok", "failed"],
        answer: str | None,
        kind: FailureKind | None,
        reason: str | None,
    ) -> CacheEntry:
        update = (
            "INSERT INTO translations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?) ON CONFLICT DO "
            "UPDATE SET status = excluded.status, answer = excluded.answer, kind = excluded.kind, "
            "reason = excluded.reason, at = excluded.at RETURNING requests"
        )
        at = _now()
        with self._reporting():
            values = (*key, status, answer, kind, reason, at)
            requests = self._connection.execute(update, values).fetchone()[0]
        return CacheEntry(status, answer, kind, reason, requests, at)

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise cache_error(self.path, error) from error

    def close(self) -> None:
        """Close the file and let other runs use it."""
        try:
            self._connection.close()
        finally:
            self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _entry(path: Path, *row: object) -> CacheEntry:
    """Return a row, checked: SQLite keeps whatever somebody wrote into it."""
    kinds = (str, str | None, str | None, str | None, int, str)
    known = all(isinstance(value, kind) for value, kind in zip(row, kinds, strict=True))
    status, answer, kind, reason, requests, at = row
    if not known or (kind and kind not in set(FailureKind)):
        raise CacheError(
            f"{path}: a row is none that PolyRefuse writes.", "Name another path for the cache."
        )
    return CacheEntry(status, answer, FailureKind(kind) if kind else None, reason, requests, at)  # type: ignore[arg-type]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
