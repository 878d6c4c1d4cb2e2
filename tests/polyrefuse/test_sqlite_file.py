"""A damaged SQLite file is kept aside, and what can be read of it is read."""

import sqlite3
from contextlib import closing

import pytest

from polyrefuse.sqlite_file import move_aside, read_back
from polyrefuse_builders.translation import TranslationCache
from polyrefuse_evaluation.judges.verdict_cache import VerdictCache

TABLE = "CREATE TABLE things (name TEXT, value TEXT CHECK (value <> 'bad'), PRIMARY KEY (name))"


def fill(path, rows, table=TABLE):
    with closing(sqlite3.connect(path)) as database:
        database.execute(table)
        database.executemany("INSERT INTO things VALUES (?, ?)", rows)
        database.commit()


def fresh(path):
    database = sqlite3.connect(path, isolation_level=None)
    database.execute(TABLE)
    return database


def test_rows_before_and_behind_the_damage_are_read(tmp_path):
    path = tmp_path / "cache.sqlite"
    rows = [(f"name {n:05}", "x" * 200) for n in range(2000)]
    fill(path, rows, TABLE + " WITHOUT ROWID")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 8192] = b"\xff" * 8192
    path.write_bytes(data)
    aside = move_aside(path)
    assert aside.read_bytes() == bytes(data)
    with closing(fresh(path)) as database:
        count = read_back(aside, database, "things", "name")
        found = dict(database.execute("SELECT * FROM things"))
    assert 1000 < count < 2000
    assert len(found) == count
    assert found.items() <= dict(rows).items()
    assert {"name 00000", "name 01999"} <= found.keys(), "from both ends"


def test_what_is_no_database_gives_nothing(tmp_path):
    path = tmp_path / "cache.sqlite"
    path.write_text("a letter to a friend" * 500)
    aside = move_aside(path)
    with closing(fresh(path)) as database:
        assert read_back(aside, database, "things", "name") == 0
    path.write_text("again")
    assert move_aside(path).name == "cache.sqlite.corrupt-2"


def test_rows_that_the_table_refuses_are_left_out(tmp_path):
    path = tmp_path / "cache.sqlite"
    fill(path, [("a", "good"), ("b", "bad")], "CREATE TABLE things (name TEXT, value TEXT)")
    with closing(fresh(tmp_path / "new.sqlite")) as database:
        assert read_back(path, database, "things", "name") == 1


def spoil_name(path):
    """Give a table a name that is no UTF-8, and a definition that is none: SQLite quotes both."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA writable_schema = ON")
        query = "UPDATE sqlite_master SET name = CAST(? AS TEXT), sql = CAST(? AS TEXT)"
        database.execute(query, (b"\x80x", b"CREATE TABLE \x80x("))
        database.commit()


@pytest.mark.parametrize("cache", [TranslationCache, VerdictCache])
def test_damage_that_sqlite_describes_in_no_utf8_is_damage(tmp_path, cache):
    path = tmp_path / "cache.sqlite"
    cache(path).close()
    spoil_name(path)
    with closing(sqlite3.connect(path)) as database, pytest.raises(UnicodeDecodeError):
        database.execute("PRAGMA quick_check(1)")  # what Python makes of it, without `in_words`
    cache(path).close()
    assert (tmp_path / "cache.sqlite.corrupt-1").is_file()
    cache(path).close()
    assert not (tmp_path / "cache.sqlite.corrupt-2").exists()
