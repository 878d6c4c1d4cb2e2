"""Keeps verdicts on disk, so that nothing is paid for twice.

An SQLite file of hashes and verdicts: no prompt, response, reply or key is in it.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from polyrefuse.errors import PolyRefuseError
from polyrefuse.outcomes import Outcome
from polyrefuse.plain_file import plain
from polyrefuse.run_lock import say
from polyrefuse.sqlite_file import (
    DamagedError,
    in_words,
    is_corrupt,
    is_sqlite,
    move_aside,
    read_back,
)
from polyrefuse_evaluation.judges.types import Judgement

_TABLE = (
    "CREATE TABLE IF NOT EXISTS verdicts "
    "(key TEXT PRIMARY KEY, outcome TEXT NOT NULL, score REAL, reason TEXT NOT NULL)"
)


def default_cache_path() -> Path:
    """Return the file in the user's cache folder."""
    from platformdirs import user_cache_path

    return user_cache_path("polyrefuse") / "verdicts.sqlite"


def cache_key(*parts: str | None) -> str:
    """Return a hash over all that decides a verdict: endpoint, model, rubric version, inputs."""
    return hashlib.sha256(json.dumps(parts).encode("ascii")).hexdigest()


@in_words()
def _connect(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=30.0, isolation_level=None)
    try:
        verdict = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise DamagedError(verdict)
        database.execute(_TABLE)
    except BaseException:
        database.close()
        raise
    return database


class VerdictCache:
    """Verdicts by key. Use from one thread; several processes may share a file."""

    def __init__(self, path: Path) -> None:
        """Open or create the file at `path`, readable by its owner only.

        Raises:
            PolyRefuseError: it cannot be opened, or is something else.
        """
        self.path = path
        with self._errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            plain(path).touch(mode=0o600)
            self._database = self._open()

    def _open(self) -> sqlite3.Connection:
        """Open the file; a damaged one is set aside, and what can be read of it copied.

        What is no database at all is somebody's own file, named by mistake: it is left alone.
        """
        try:
            return _connect(self.path)
        except sqlite3.DatabaseError as error:
            if not (is_corrupt(error) and is_sqlite(self.path)):
                raise
        aside = move_aside(self.path)
        database = _connect(self.path)
        kept = read_back(aside, database, "verdicts", "key")
        say(
            f"{self.path}: was damaged and is kept as {aside.name}; {kept} of its verdicts could "
            "be read back, the others will be asked for again."
        )
        return database

    def get(self, key: str) -> Judgement | None:
        """Return the verdict under `key`, if there is one."""
        with self._errors():
            query = "SELECT outcome, score, reason FROM verdicts WHERE key = ?"
            row = self._database.execute(query, (key,)).fetchone()
        if row is None or row[0] not in set(Outcome):
            return None
        score, reason = row[1:]
        if not isinstance(score, float | None) or not isinstance(reason, str):
            return None  # not what `put` writes: ask again
        return Judgement(Outcome(row[0]), score, reason)

    def put(self, key: str, verdict: Judgement) -> None:
        """Keep a verdict, at once."""
        row = (key, verdict.outcome.value, verdict.score, verdict.reason)
        with self._errors():
            self._database.execute("INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?, ?)", row)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise PolyRefuseError(
                f"{self.path}: the cache of verdicts cannot be used ({error}).",
                "Name another file with --judge-cache, or delete this one.",
            ) from error
