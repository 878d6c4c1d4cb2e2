"""The cache file: what it keeps, and what it does when damaged, foreign, full or forbidden."""

import os
import sqlite3

import pytest

from polyrefuse_builders.translation import (
    CacheError,
    CacheKey,
    FailureKind,
    TranslationCache,
    translate_rows,
)

KEY = CacheKey("engine", "1", "en", "de", "Hello.")


def known(cache, **other):
    fields = {"engine": "engine", "revision": "1", "source": "en", "target": "de", **other}
    return cache.known(*fields.values())


def test_what_is_stored_is_there_after_reopening(tmp_path):
    with TranslationCache(tmp_path / "deep" / "cache.db") as cache:
        cache.begin(KEY)
        cache.store(KEY, "Hallo.\0 Schön.")
    with TranslationCache(tmp_path / "deep" / "cache.db") as cache:
        entry = known(cache)["Hello."]
        assert (entry.status, entry.answer, entry.requests) == ("ok", "Hallo.\0 Schön.", 1)
        assert cache.moved_aside is None


@pytest.mark.parametrize("field", ["engine", "revision", "source", "target"])
def test_another_engine_revision_or_pair_is_another_translation(tmp_path, field):
    with TranslationCache(tmp_path / "cache.db") as cache:
        cache.store(KEY, "Hallo.")
        assert known(cache, **{field: "other"}) == {}


def test_requests_are_counted_over_all_tries(tmp_path):
    with TranslationCache(tmp_path / "cache.db") as cache:
        cache.begin(KEY)
        assert known(cache)["Hello."].status == "pending"
        cache.begin(KEY)
        entry = cache.fail(KEY, FailureKind.REFUSAL, "refused", "No.")
        assert known(cache)["Hello."] == entry
        assert (entry.requests, entry.kind, entry.answer) == (2, "refusal", "No.")
        cache.release(KEY)  # not pending: nothing to release
        assert known(cache)["Hello."] == entry


def test_validation_hands_a_translation_back(tmp_path, make_rows, counting_engine):
    engine = counting_engine()
    rows = make_rows(["First text.", "Second text."])
    translate_rows(rows, ["de"], engine, tmp_path / "cache.db")
    with TranslationCache(tmp_path / "cache.db") as cache:
        key = CacheKey("counting", "1", "en", "de", "First text.")
        cache.fail(key, FailureKind.VALIDATION, "half of it is missing")
    engine.asked.clear()
    kept = translate_rows(rows, ["de"], engine, tmp_path / "cache.db")
    assert [f.reason for f in kept.failures] == ["half of it is missing"]
    assert engine.asked == []
    assert translate_rows(rows, ["de"], engine, tmp_path / "cache.db", retry_failed=True).ok
    assert engine.asked == [("de", "First text.")]


@pytest.mark.parametrize("damage", ["text", "middle", "header"])
def test_a_corrupt_file_is_moved_aside_and_said_so(tmp_path, damage, make_rows, counting_engine):
    path = tmp_path / "cache.db"
    with TranslationCache(path) as cache:
        for n in range(500):
            cache.store(KEY._replace(text=f"text {n}" * 20), "x" * 100)
    data = bytearray(path.read_bytes())
    if damage == "text":
        data = bytearray(b"this is no database, it is a letter to a friend\n" * 100)
    elif damage == "middle":
        data[8192 : 8192 + 16384] = b"\xff" * 16384
    else:
        data[:100] = b"\0" * 100
    path.write_bytes(bytes(data))
    outcome = translate_rows(make_rows(["A text."]), ["de"], counting_engine(), path)
    assert outcome.ok
    assert "cache.db.corrupt-1" in outcome.notices[0]
    assert (tmp_path / "cache.db.corrupt-1").read_bytes() == bytes(data)
    path.write_bytes(b"broken again, and not a database either")
    with TranslationCache(path) as cache:
        assert cache.moved_aside.name == "cache.db.corrupt-2"


def test_somebody_elses_database_is_left_alone(tmp_path):
    path = tmp_path / "photos.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE photos (name TEXT)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(CacheError, match="no translation cache"):
        TranslationCache(path)
    assert path.read_bytes() == before
    with pytest.raises(CacheError, match="no translation cache"):  # and no lock was left behind
        TranslationCache(path)


def test_a_full_disk_is_one_line_and_keeps_what_was_there(tmp_path, make_rows, counting_engine):
    path = tmp_path / "cache.db"
    rows = make_rows([f"Text number {n}, " + "word " * 100 for n in range(100)])
    engine = counting_engine()
    with TranslationCache(path) as cache:
        pages = cache._connection.execute("PRAGMA page_count").fetchone()[0]
        cache._connection.execute(f"PRAGMA max_page_count = {pages + 8}")
        with pytest.raises(CacheError, match="no space left on the disk") as caught:
            translate_rows(rows, ["de"], engine, cache)
    assert "\n" not in str(caught.value)
    assert "run again" in str(caught.value)
    paid = len(engine.asked)
    assert 0 < paid < 100
    outcome = translate_rows(rows, ["de"], engine, path)
    assert outcome.ok
    assert len(engine.asked) <= 100 + engine.max_concurrency


def test_a_folder_or_a_forbidden_place_is_a_clear_error(tmp_path):
    with pytest.raises(CacheError, match="is a folder"):
        TranslationCache(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CacheError, match="is no plain file"):
        TranslationCache(tmp_path / "pipe")
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheError, match="cannot be made"):
        TranslationCache(tmp_path / "file" / "cache.db")
    with pytest.raises(CacheError, match=r"cannot be (written|made)"):
        TranslationCache("/proc/polyrefuse/cache.db")
