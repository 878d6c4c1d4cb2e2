"""Validation in blocks: every row once and in order, in memory that one block bounds."""

import tracemalloc
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyrefuse.dataset import SAMPLE_FOLDER
from polyrefuse.folder import iter_lines, write_prompts
from polyrefuse.prompts import Prompt, QualityCheck, Verdict
from polyrefuse_builders.validation import (
    RowReport,
    ValidationOptions,
    blocks,
    report_table,
    run,
    validate_folder,
    validate_prompts,
    validate_to_file,
    write_report,
)
from polyrefuse_builders.validation.blocks import Blocks
from polyrefuse_builders.validation.report import ORDER, language_figures

ALONE = ValidationOptions(workers=1)


def lines_of(rows):
    return ((row, row.model_dump_json().encode()) for row in rows)


def blocks_of(rows):
    with Blocks() as kept:
        kept.keep(lines_of(rows))
        return [[(n, Prompt.model_validate_json(line)) for n, line in block] for block in kept]


@settings(deadline=None, max_examples=60)
@given(
    ids=st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(["de", "en"]))),
    most=st.integers(1, 9),
)
def test_a_block_has_all_rows_of_its_ids_in_order_and_blocks_are_even(prompt, ids, most):
    base = {code: prompt(code, "One.", "Eins.") for code in ("de", "en")}
    rows = [base[code].model_copy(update={"id": id_}) for id_, code in ids]
    before, blocks.BLOCK_IDS = blocks.BLOCK_IDS, most
    try:
        found = blocks_of(rows)
    finally:
        blocks.BLOCK_IDS = before
    assert sorted(pair for block in found for pair in block) == list(enumerate(rows))
    ids_of = [list(dict.fromkeys(row.id for _, row in block)) for block in found]
    assert [id_ for own in ids_of for id_ in own] == list(dict.fromkeys(id_ for id_, _ in ids))
    sizes = [len(own) for own in ids_of]
    assert len(sizes) == -(-sum(sizes) // most)
    assert max(sizes, default=0) - min(sizes, default=0) <= 1
    for block in found:
        assert [number for number, _ in block] == sorted(number for number, _ in block)


@pytest.fixture(scope="module")
def few(sample):
    return [row for row in sample if row.language in ("de", "en", "zh")]


def test_blocks_are_validated_apart_and_told_in_the_order_of_the_rows(few, monkeypatch):
    mixed = [*few[::2], *few[1::2]]  # rows of a block stand apart
    monkeypatch.setattr(blocks, "BLOCK_IDS", 100)
    parts = blocks_of(mixed)
    assert len(parts) == 2
    whole = validate_prompts(mixed, options=ALONE)
    alone = [validate_prompts([row for _, row in part], options=ALONE).rows for part in parts]
    by_key = {(row.language, row.id): row for rows in alone for row in rows}
    assert whole.rows == [
        by_key[row.language, row.id] for code in ("de", "en", "zh") for row in mixed
        if row.language == code
    ]  # fmt: skip
    assert {figures.rows for figures in whole.languages} == {192}
    assert whole.figures("de").yield_ == 1


def test_rows_and_languages_that_a_block_lacks_do_no_harm(few, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_IDS", 100)
    first = {row.id for _, row in blocks_of(few)[0]}
    rows = [row for row in few if row.language != "zh" or row.id in first]
    report = validate_prompts(rows, options=ALONE)
    assert Counter(row.language for row in report.rows) == {"de": 192, "en": 192, "zh": 96}
    assert report.figures("zh").yield_ == 0.5


def test_a_file_holds_what_memory_would(few, tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_IDS", 100)
    rows = [
        row.model_copy(update={"prompt": row.prompt_en}) if n % 40 == 5 else row
        for n, row in enumerate(few)
    ]
    write_prompts(tmp_path, rows)
    (tmp_path / "README.md").write_text("card")
    heard = []
    found = validate_to_file(tmp_path, tmp_path / "a.jsonl", options=ALONE, advance=heard.append)
    whole = validate_folder(tmp_path, options=ALONE)
    write_report(whole.rows, tmp_path / "b.jsonl")
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()
    assert (found.languages, found.ok) == (whole.languages, False)
    assert sum(heard) == sum(path.stat().st_size for path in tmp_path.rglob("data/*/*.jsonl"))
    assert report_table(found).row_count == 3


@pytest.mark.parametrize("fault", [KeyboardInterrupt, ZeroDivisionError])
def test_what_ends_early_leaves_the_report_that_was_there(few, tmp_path, monkeypatch, fault):
    path = tmp_path / "report.jsonl"
    path.write_text("old")

    def broken(rows):
        yield RowReport("de", "id", Verdict.OK, [], [])
        raise fault

    with pytest.raises(fault):
        write_report(broken(few), path)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"report.jsonl": "old"}


def peak_of_blocks(prompt, ids):
    base = prompt("de", "One.", "Eins.")
    rows = (base.model_copy(update={"id": f"id{number}"}) for number in range(ids))
    tracemalloc.start()
    try:
        with Blocks() as kept:
            kept.keep(lines_of(rows))
            assert sum(len(block) for block in kept) == ids
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_is_that_of_a_block(prompt, monkeypatch):
    """Mutation: one block of everything."""
    monkeypatch.setattr(blocks, "BLOCK_IDS", 200)
    assert peak_of_blocks(prompt, 4_000) < 1.2 * peak_of_blocks(prompt, 1_000)
    monkeypatch.setattr(blocks, "BLOCK_IDS", 10**9)
    assert peak_of_blocks(prompt, 4_000) > 2.5 * peak_of_blocks(prompt, 1_000)


def test_what_is_learned_of_a_language_goes_with_its_checks(sample_corpus, monkeypatch):
    corpus = sample_corpus("de", {0: "Etwas ganz anderes."})
    run.check_corpus(corpus, ALONE)
    assert not {"forward", "backward", "pairs"} & set(vars(corpus))


REPORTS = st.lists(
    st.builds(
        RowReport,
        language=st.just("de"),
        id=st.text(),
        verdict=st.sampled_from(Verdict),
        reasons=st.lists(st.text(max_size=3), max_size=3),
        qa=st.lists(
            st.builds(
                QualityCheck,
                check=st.sampled_from(["softening", "length", "empty", "merged"]),
                score=st.none() | st.floats(0, 1),
                verdict=st.sampled_from(Verdict),
            ),
            max_size=3,
        ),
    ),
    max_size=30,
)


@settings(deadline=None)
@given(REPORTS)
def test_figures_counted_row_by_row_are_those_of_all_rows(rows):
    found = language_figures("de", iter(rows), 40)
    soft = [
        check.score
        for row in rows
        for check in row.qa
        if check.check == "softening" and check.score is not None
    ]
    assert found.softening == (pytest.approx(sum(soft) / len(soft)) if soft else None)
    assert (found.rows, found.prompts) == (len(rows), 40)
    assert found.verdicts == Counter(row.verdict for row in rows)
    bad = Counter(check.check for row in rows for check in row.qa if check.verdict != Verdict.OK)
    assert list(found.by_check.items()) == list(bad.items())  # ties in the order they came
    worst = sorted(
        (row for row in rows if row.verdict != Verdict.OK),
        key=lambda row: (-ORDER.index(row.verdict), -len(row.reasons)),
    )
    assert found.worst == [row.id for row in worst[:10]]


@settings(deadline=None)
@given(REPORTS)
def test_reports_come_back_as_they_were_kept(rows):
    with Blocks() as kept:
        kept.add_reports(1, list(enumerate(rows))[::-1])
        kept.add_reports(0, [(10**6, RowReport("ar", "last", Verdict.OK, [], []))])
        first, *others = kept.reports()
    assert first.id == "last"
    assert others == rows


def test_the_sample_is_one_block():
    with Blocks() as kept:
        kept.keep(iter_lines(SAMPLE_FOLDER))
        assert len(list(kept)) == 1
