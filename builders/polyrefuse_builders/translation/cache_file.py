"""The file of the translation cache: open it, check it, lock it.

Knows nothing of what the rows mean (cache.py).
"""

import sqlite3
from pathlib import Path

from polyrefuse.errors import PolyRefuseError
from polyrefuse.sqlite_file import DamagedError, in_words, is_corrupt

APPLICATION_ID = 0x506F5265  # "PoRe"
SCHEMA_VERSION = 1

_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS translations (
    engine TEXT NOT NULL, revision TEXT NOT NULL, source TEXT NOT NULL, target TEXT NOT NULL,
    text TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'ok', 'failed')),
    answer TEXT, kind TEXT, reason TEXT, requests INTEGER NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY (engine, revision, source, target, text)
) WITHOUT ROWID;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""


class CacheError(PolyRefuseError):
    """A cache file that cannot be opened or written."""


@in_words()
def connect(path: Path) -> sqlite3.Connection:
    """Open `path`, check that it is a sound translation cache, make the table where new."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=10, check_same_thread=False)
    try:
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise DamagedError(verdict)
        identity = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        is_new = not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        if not is_new and (identity, version) != (APPLICATION_ID, SCHEMA_VERSION):
            raise CacheError(
                f"{path}: is a SQLite database, but no translation cache of this version.",
                "Name another path for the cache.",
            )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # an answer that was paid for is on disk
        if is_new:
            connection.executescript(_SCHEMA)
    except BaseException:
        connection.close()
        raise
    return connection


def hold_lock(path: Path) -> sqlite3.Connection:
    """Keep other runs out: SQLite's own file lock, on a file beside; gone when the process is."""
    connection = None
    try:
        beside = path.with_name(path.name + ".lock")
        connection = sqlite3.connect(beside, isolation_level=None, timeout=0)
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.DatabaseError as error:
        if connection is not None:
            connection.close()
        if getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY"):
            raise CacheError(
                f"{path}: another run is using this translation cache.",
                "Wait for it to end, or name another cache.",
            ) from error
        raise cache_error(path, error) from error
    return connection


def cache_error(path: Path, error: sqlite3.DatabaseError) -> CacheError:
    """Say in one line what an error of SQLite means for the cache at `path`."""
    name = getattr(error, "sqlite_errorname", "")
    if name in ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE"):  # the journal's index had no room
        problem, remedy = "no space left on the disk", "Free some space and run again to resume"
    elif is_corrupt(error):
        problem, remedy = "has become corrupt", "Run again: it will be moved aside"
    elif name.startswith("SQLITE_IOERR"):
        problem, remedy = f"the disk failed ({name})", "Check space and disk, and run again"
    elif name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM")):
        problem, remedy = "cannot be written", "Check the permissions, or name another path"
    else:
        problem, remedy = f"cannot be used ({error})", "Name another path for the cache"
    return CacheError(f"{path}: {problem}; what is in it is kept.", f"{remedy}.")
