"""Rows are read, checked and digested one at a time: the same findings as with all in memory."""

import hashlib
import json
import time
import tracemalloc
import unicodedata
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyrefuse import check, export, row_index
from polyrefuse import folder as folder_module
from polyrefuse.check import check_folder, check_prompts
from polyrefuse.errors import DatasetError
from polyrefuse.export import export_dataset
from polyrefuse.folder import content_digest, read_prompts, write_prompts
from polyrefuse.invariants import Violation, find_violations
from polyrefuse.prompts import SPLITS, normalised
from polyrefuse.row_index import RowIndex

TEXTS = (
    "One.",
    "one. ",
    "Two",
    "",
    " ",
    "e\u0301",
    "\u00e9",
    "a\x00b",
    "a\x00c",
    "\U00010400",
    "\uffff",
)


def all_in_memory(prompts):
    """Find violations with every row at hand, as plainly as it can be said."""
    return [*row_faults(prompts), *id_faults(prompts), *gaps(prompts), *text_faults(prompts)]


def at(row, kind, detail):
    return Violation(kind, row.language, row.split, row.id, detail)


def row_faults(prompts):
    for row in prompts:
        for name in ("prompt", "prompt_en"):
            text = getattr(row, name)
            if not text.strip():
                yield at(row, "empty", f"{name} is empty; translate it or remove the row")
            elif not unicodedata.is_normalized("NFC", text):
                yield at(row, "not_nfc", f"{name} is not NFC; normalise it")
        if row.status == "failed":
            yield at(row, "failed_row", "status is failed; translate it again or list it")


def id_faults(prompts):
    seen = {}
    known = {row.id for row in prompts}
    for row in prompts:
        first = seen.get((row.language, row.id))
        if first is None:
            seen[row.language, row.id] = row
        else:
            yield at(row, "duplicate_id", f"stands twice (also in {first.split}); keep one")
        if row.pair_id is not None and row.pair_id not in known:
            yield at(row, "dangling_pair", f"pair_id {row.pair_id} is no id of this dataset")


def gaps(prompts):
    by_id = defaultdict(list)
    for row in prompts:
        by_id[row.id].append(row)
    languages = sorted({row.language for row in prompts})
    for rows in by_id.values():
        first, present = rows[0], {row.language for row in rows}
        where = f"is in {', '.join(sorted(present))} only; add it or list it in errata.jsonl"
        for language in languages:
            if language not in present:
                yield Violation("missing", language, first.split, first.id, where)
        for row in rows[1:]:
            if row.split != first.split and row.language != first.language:
                yield at(row, "two_splits", f"is in {first.split} in {first.language}")
            for name in ("label", "prompt_en", "category", "source", "pair_id"):
                if getattr(row, name) != getattr(first, name):
                    yield at(row, "inconsistent", f"{name} differs from {first.language}")


def text_faults(prompts):
    first_by_text, done = {}, set()
    for row in prompts:
        text = normalised(row.prompt_en)
        if not text or row.id in done:
            continue
        done.add(row.id)
        first = first_by_text.setdefault(text, row)
        if first.id != row.id:
            kind = "duplicate_text" if first.split == row.split else "leak"
            detail = f"has the English text of {first.id} in {first.split}; keep one"
            yield Violation(kind, "*", row.split, row.id, detail)


def digest_in_memory(prompts):
    keys = sorted((row.language, row.split, row.label, row.id, row.prompt) for row in prompts)
    return "sha256:" + hashlib.sha256(json.dumps(keys).encode()).hexdigest()


IDS = st.sampled_from(["a", "b", "c", "a\x00", "é", "\U00010400", "\uffff"])
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "id": IDS,
            "language": st.sampled_from(["de", "en", "th"]),
            "split": st.sampled_from(SPLITS),
            "label": st.sampled_from(["harmful", "harmless"]),
            "prompt": st.sampled_from(TEXTS) | st.text(st.characters(exclude_categories=["Cs"])),
            "prompt_en": st.sampled_from(TEXTS),
            "category": st.sampled_from([None, "fraud"]),
            "source": st.sampled_from(["test", "other"]),
            "pair_id": st.none() | IDS,
            "status": st.sampled_from(["ok", "failed"]),
        }
    ),
    max_size=12,
)


def agree(rows):
    assert find_violations(iter(rows)) == all_in_memory(rows)
    assert content_digest(iter(rows)) == digest_in_memory(rows)
    report = check_prompts(iter(rows))
    assert (report.violations, report.digest) == (all_in_memory(rows), digest_in_memory(rows))


@settings(max_examples=150, deadline=None)
@given(ROWS)
def test_any_faults_are_found_as_with_all_rows_in_memory_and_in_that_order(make_row, fields):
    agree([make_row(**row) for row in fields])


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_faults_among_parallel_rows_are_found_in_that_order(make_row, data):
    """Nearly good datasets, whose few faults lie among many rows without one."""
    rows = [make_row(code, n, split) for code in ("de", "en") for split in SPLITS for n in (0, 1)]
    for _ in range(data.draw(st.integers(0, 4))):
        place = data.draw(st.integers(0, len(rows) - 1))
        field = data.draw(st.sampled_from(["id", "split", "label", "prompt_en", "pair_id"]))
        other = getattr(data.draw(st.sampled_from(rows)), "id" if field == "pair_id" else field)
        rows[place] = rows[place].model_copy(update={field: other})
        if data.draw(st.booleans()):
            del rows[data.draw(st.integers(0, len(rows) - 1))]
    agree(data.draw(st.permutations(rows)))


def test_more_rows_than_a_batch_agree(make_row, monkeypatch):
    monkeypatch.setattr(row_index, "BATCH", 7)
    rows = [make_row(code, n) for code in ("de", "en") for n in range(25)]
    rows[20] = rows[20].model_copy(update={"pair_id": "gone"})
    agree([*rows[3:], *rows[:5]])


def test_no_rows_have_no_violation_and_the_digest_of_an_empty_list():
    agree([])


MUTATIONS = [
    ("ORDER BY 1, 2, 3, 4, 5", ""),
    ("ORDER BY id, number", "ORDER BY id, number DESC"),
    ("pair_id NOT IN", "pair_id IN"),
    ("ORDER BY text, number", "ORDER BY text, number DESC"),
    ("MIN(number)", "MAX(number)"),
]


@pytest.mark.parametrize(("part", "instead"), MUTATIONS)
def test_a_question_that_is_put_wrongly_is_noticed(make_row, monkeypatch, part, instead):
    """Mutation: each part of a question to the index matters to what is found."""
    rows = [
        make_row(code, id=name, prompt_en=f"Text {n % 2}", prompt=code + name * n, split=split)
        for code, split in (("en", "test"), ("de", "train"))
        for n, name in enumerate(["c", "a", "b", "a", "d"])
    ]
    rows.append(make_row("de", id="d", pair_id="gone", source="other"))
    agree(rows)
    ask = RowIndex.ask
    monkeypatch.setattr(
        RowIndex, "ask", lambda self, question: ask(self, question.replace(part, instead))
    )
    with pytest.raises(AssertionError):
        agree(rows)


@pytest.fixture
def grown_by(make_row, tmp_path, monkeypatch):
    """Return a function: bytes a row by which its peak grows from 1,000 rows of a folder to 3,000.

    pydantic's cache of 16,384 short strings fills up meanwhile: that is some 200 bytes a row.
    """
    monkeypatch.setattr(row_index, "BATCH", 100)

    def measure(work):
        peaks = []
        for ids in (500, 1_500):
            folder = tmp_path / str(ids)
            write_prompts(folder, [make_row(c, n) for c in ("de", "en") for n in range(ids)])
            (folder / "README.md").write_text("card")
            tracemalloc.start()
            try:
                work(folder)
                peaks.append(tracemalloc.get_traced_memory()[1])
            finally:
                tracemalloc.stop()
        return (peaks[1] - peaks[0]) / 2_000

    return measure


def export_beside(folder):
    export_dataset(folder.with_name(f"{folder.name}-exported-{time.monotonic_ns()}"), folder)


@pytest.mark.parametrize(("module", "work"), [(check, check_folder), (export, export_beside)])
def test_memory_does_not_grow_with_rows(grown_by, monkeypatch, module, work):
    """Mutation: the same over a list of all rows."""
    assert grown_by(work) < 500
    read = module.iter_lines
    monkeypatch.setattr(module, "iter_lines", lambda folder: iter(list(read(folder))))
    assert grown_by(work) > 1_000


def test_a_line_that_is_too_long_is_refused_without_being_read(small_folder, monkeypatch):
    path = small_folder / "data" / "en" / "test.jsonl"
    monkeypatch.setattr(folder_module, "MAX_LINE_MIB", 1)
    with path.open("ab") as file:
        file.write(b'{"id": "' + b"x" * 2**24)
    tracemalloc.start()
    try:
        with pytest.raises(DatasetError) as caught:
            read_prompts(small_folder)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(caught.value).startswith(f"{path}, line 3: is longer than 1 MiB.")
    assert peak < 2**23


def test_a_line_as_long_as_may_be_is_read(small_folder, make_row, monkeypatch):
    monkeypatch.setattr(folder_module, "MAX_LINE_MIB", 1)
    row = make_row("en", 2, "test", prompt="")
    room = 2**20 - len(row.model_dump_json()) - 1
    row = row.model_copy(update={"prompt": "x" * room})
    path = small_folder / "data" / "en" / "test.jsonl"
    before = path.read_bytes()
    path.write_bytes(before + row.model_dump_json().encode() + b"\n")
    assert read_prompts(small_folder)[-1] == row
    longer = row.model_copy(update={"prompt": "x" * (room + 1)})
    path.write_bytes(before + longer.model_dump_json().encode() + b"\n")
    with pytest.raises(DatasetError, match="longer than 1 MiB"):
        read_prompts(small_folder)


def test_a_full_folder_for_temporary_files_is_named(make_row, monkeypatch):
    """SQLite itself refuses: its database may have two pages."""
    monkeypatch.setattr(RowIndex, "schema", f"{RowIndex.schema}; PRAGMA max_page_count=2")
    with pytest.raises(DatasetError, match=r"disk is full.*SQLITE_TMPDIR"):
        check_prompts(make_row(number=n, prompt="x" * 5_000) for n in range(10))


def test_an_interrupted_check_leaves_no_file(make_row, tmp_path, monkeypatch):
    monkeypatch.setenv("SQLITE_TMPDIR", str(tmp_path))

    def rows():
        for number in range(20_000):
            yield make_row(number=number)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_prompts(rows())
    assert list(tmp_path.iterdir()) == []
