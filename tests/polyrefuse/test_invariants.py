"""Every kind of violation is planted and found; errata excuse what they list, nothing else."""

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyrefuse.invariants import (
    Erratum,
    ViolationKind,
    find_violations,
    unlisted,
)
from polyrefuse.prompts import normalised


def without(rows, language, id_):
    return [row for row in rows if (row.language, row.id) != (language, id_)]


def changed(rows, index, **fields):
    row = rows[index].model_copy(update=fields)
    return [*rows[:index], row, *rows[index + 1 :]]


TRAIN0, TEST0 = "harmful-test-train0", "harmful-test-test0"

# kind -> (how to plant it in the 12 small rows; language, split and id where it must be found)
PLANTED = {
    "duplicate_id": (lambda rows: [*rows, rows[0]], ("de", "train", TRAIN0)),
    "missing": (lambda rows: without(rows, "de", TEST0), ("de", "test", TEST0)),
    "two_splits": (lambda rows: changed(rows, 6, split="test"), ("en", "test", TRAIN0)),
    "leak": (
        lambda rows: [
            row.model_copy(update={"prompt_en": "  prompt TRAIN 0"}) if row.id == TEST0 else row
            for row in rows
        ],
        ("*", "test", TEST0),
    ),
    "duplicate_text": (
        lambda rows: [
            row.model_copy(update={"prompt_en": "Prompt test 1"}) if row.id == TEST0 else row
            for row in rows
        ],
        ("*", "test", "harmful-test-test1"),
    ),
    "empty": (lambda rows: changed(rows, 6, prompt=" \n"), ("en", "train", TRAIN0)),
    "not_nfc": (lambda rows: changed(rows, 6, prompt="e\u0301"), ("en", "train", TRAIN0)),
    "inconsistent": (lambda rows: changed(rows, 6, label="harmless"), ("en", "train", TRAIN0)),
    "dangling_pair": (
        lambda rows: [
            row.model_copy(update={"pair_id": "gone"}) if row.id == TRAIN0 else row for row in rows
        ],
        ("de", "train", TRAIN0),
    ),
    "failed_row": (lambda rows: changed(rows, 6, status="failed"), ("en", "train", TRAIN0)),
}


def test_the_packaged_sample_has_no_violation(sample):
    assert find_violations(sample) == []


def test_the_small_rows_have_no_violation(small_rows):
    assert find_violations(small_rows) == []


def test_a_fault_is_planted_for_every_kind_there_is():
    assert set(PLANTED) == set(get_args(ViolationKind))


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_fault_is_found_where_it_is_and_nothing_else_is(small_rows, kind):
    plant, place = PLANTED[kind]
    found = find_violations(plant(small_rows))
    assert {violation.kind for violation in found} == {kind}
    first = found[0]
    assert (first.language, first.split, first.id) == place


@pytest.mark.parametrize("kind", PLANTED)
def test_a_violation_reads_as_kind_place_and_remedy(small_rows, kind):
    plant, (language, split, id_) = PLANTED[kind]
    line = str(find_violations(plant(small_rows))[0])
    assert line.startswith(f"{kind}: language {language}, {split}, id {id_}: ")
    assert len(line.split(": ", 3)[-1]) > 10


@pytest.mark.parametrize("field", ["label", "prompt_en", "category", "source", "pair_id"])
def test_what_translations_share_must_be_the_same_in_every_language(small_rows, field):
    value = {"label": "harmless", "category": "violence", "pair_id": TEST0}.get(field, "other")
    found = find_violations(changed(small_rows, 6, **{field: value}))
    assert [v.kind for v in found] == ["inconsistent"]
    assert field in found[0].detail


@pytest.mark.parametrize("field", ["prompt", "prompt_en"])
def test_both_texts_of_a_row_are_checked_for_emptiness(small_rows, field):
    found = find_violations(changed(small_rows, 6, **{field: ""}))
    assert next(v.detail for v in found if v.kind == "empty").startswith(f"{field} is empty")


def test_an_id_that_one_language_lacks_is_missing_once_and_names_who_has_it(make_row):
    rows = [make_row(code) for code in ("de", "en", "fr")] + [make_row("de", 1), make_row("en", 1)]
    (found,) = find_violations(rows)
    assert (found.kind, found.language) == ("missing", "fr")
    assert "de, en only" in found.detail


def test_one_text_under_three_ids_is_reported_for_the_two_later_ones(make_row):
    rows = [make_row(number=number, prompt_en="Same.") for number in range(3)]
    assert [v.id for v in find_violations(rows)] == [rows[1].id, rows[2].id]


@pytest.mark.parametrize("kind", PLANTED)
def test_an_erratum_excuses_the_violation_that_it_lists(small_rows, kind):
    violations = find_violations(PLANTED[kind][0](small_rows))
    errata = [Erratum(kind=v.kind, language=v.language, ids=[v.id], detail="") for v in violations]
    assert unlisted(violations, errata) == []


@pytest.mark.parametrize(
    "other",
    [
        {"kind": "empty"},
        {"kind": "not_parallel"},
        {"language": "en"},
        {"ids": []},
        {"ids": [TRAIN0]},
        {"ids": [TEST0 + "0"]},
    ],
)
def test_an_erratum_of_another_kind_language_or_id_excuses_nothing(small_rows, other):
    violations = find_violations(without(small_rows, "de", TEST0))
    exact = {"kind": "missing", "language": "de", "ids": [TEST0], "detail": ""}
    assert unlisted(violations, [Erratum(**exact)]) == []
    assert unlisted(violations, [Erratum(**exact | other)]) == violations


def test_an_erratum_for_all_languages_excuses_its_ids_in_each(make_row):
    rows = [make_row(code, status="failed") for code in ("de", "en")]
    violations = find_violations(rows)
    assert len(violations) == 2
    assert unlisted(violations, [Erratum(kind="failed_row", ids=[rows[0].id], detail="")]) == []


@settings(deadline=None)
@given(data=st.data())
def test_removing_any_rows_of_one_language_reports_exactly_these(small_rows, data):
    ids = sorted({row.id for row in small_rows})
    gone = data.draw(st.lists(st.sampled_from(ids), unique=True, max_size=len(ids) - 1))
    rows = [row for row in small_rows if not (row.language == "de" and row.id in gone)]
    found = find_violations(data.draw(st.permutations(rows)))
    assert sorted((v.kind, v.language, v.id) for v in found) == [
        ("missing", "de", id_) for id_ in sorted(gone)
    ]


@given(st.text())
def test_normalised_text_ignores_case_and_white_space(text):
    assert normalised(normalised(text)) == normalised(text)
    assert normalised(f"  {text}\t\n") == normalised(text)
