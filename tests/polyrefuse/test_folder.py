"""Dataset folders: every error names file, line and remedy; what is written reads back."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyrefuse.check import check_folder
from polyrefuse.errors import DatasetError, UnknownLanguageError
from polyrefuse.folder import (
    content_digest,
    folder_languages,
    read_errata,
    read_prompts,
    write_jsonl,
    write_prompts,
)
from polyrefuse.invariants import Erratum
from polyrefuse.prompts import QualityCheck, Verdict


def spoil(folder: Path, line: bytes, number: int = 2) -> Path:
    """Replace one line of the English test file; return the file."""
    path = folder / "data" / "en" / "test.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[number - 1] = line + b"\n"
    path.write_bytes(b"".join(lines))
    return path


def refused(folder: Path, **arguments) -> DatasetError:
    with pytest.raises(DatasetError) as caught:
        read_prompts(folder, **arguments)
    assert caught.value.remedy, "an error says what to do"
    return caught.value


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"id": "x\xff"}', "byte 10 is not UTF-8"),
        (b'{"id": "x",', "Invalid JSON"),
        (b"not json", "Invalid JSON"),
        (b'["a", "list"]', "object"),
        (b'{"id": "\\ud800"}', "at column 15"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_by_file_and_line(small_folder, line, reason):
    path = spoil(small_folder, line)
    error = refused(small_folder)
    assert error.problem.startswith(f"{path}, line 2: ")
    assert reason in error.problem


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"colour": "red"}, "colour"), ({"label": "evil"}, "label"), ({"qa": [{}]}, "qa.0.check")],
)
def test_a_field_that_does_not_fit_is_named_with_its_line(small_folder, make_row, fields, field):
    good = make_row(number=1, split="test").model_dump_json()[:-1]
    extra = str(fields)[1:-1].replace("'", '"')
    path = spoil(small_folder, f"{good}, {extra}}}".encode())
    assert refused(small_folder).problem.startswith(f"{path}, line 2: {field}: ")


@pytest.mark.parametrize("place", [("de", "test"), ("en", "train")])
def test_a_row_in_the_file_of_another_language_or_split_is_refused(small_folder, make_row, place):
    language, split = place
    row = make_row(language, number=1, split=split)
    path = spoil(small_folder, row.model_dump_json().encode())
    error = refused(small_folder)
    assert f"{path}, line 2: row says {language}/{split}, the file is en/test" in error.problem


def test_a_folder_that_is_no_known_language_is_refused(small_folder):
    (small_folder / "data" / "tlh").mkdir()
    error = refused(small_folder)
    assert str(small_folder / "data" / "tlh") in error.problem
    assert "languages.py" in error.remedy


def test_a_folder_without_readme_is_refused(small_folder):
    (small_folder / "README.md").unlink()
    error = refused(small_folder)
    assert f"{small_folder}: README.md is missing" in error.problem
    assert "polyrefuse data export" in error.remedy


@pytest.mark.parametrize("name", ["nowhere", "file"])
def test_what_is_no_folder_is_refused(tmp_path, name):
    (tmp_path / "file").write_text("text")
    assert f"{tmp_path / name}: no such dataset folder" in refused(tmp_path / name).problem


def test_a_folder_without_data_is_refused(tmp_path):
    (tmp_path / "README.md").write_text("card")
    assert "no folder data/" in refused(tmp_path).problem
    (tmp_path / "data").mkdir()
    assert "holds no language" in refused(tmp_path).problem


def test_a_missing_split_is_named_when_it_was_asked_for(small_folder):
    path = small_folder / "data" / "de" / "test.jsonl"
    path.unlink()
    error = refused(small_folder, splits=["test"])
    assert error.problem == f"{path}: split 'test' is missing for language 'de'."


def test_a_missing_split_is_a_violation_of_every_id_in_it_otherwise(small_folder):
    (small_folder / "data" / "de" / "test.jsonl").unlink()
    report = check_folder(small_folder)
    assert {(v.kind, v.language, v.split) for v in report.unlisted} == {("missing", "de", "test")}
    assert len(report.unlisted) == 2


def test_a_language_without_any_row_does_not_vanish_in_silence(small_folder):
    for path in (small_folder / "data" / "de").iterdir():
        path.write_text("\n")
    assert f"{small_folder / 'data' / 'de'}: holds no rows" in refused(small_folder).problem


def test_a_file_that_is_no_split_does_not_vanish_in_silence(small_folder):
    path = (small_folder / "data" / "de" / "test.jsonl").rename(
        small_folder / "data" / "de" / "val.jsonl"
    )
    error = refused(small_folder)
    assert error.problem == f"{path}: 'val' is no split."
    assert "train, validation, test" in error.remedy


def test_a_language_that_the_folder_lacks_is_named_beside_those_it_has(small_folder):
    error = refused(small_folder, languages=["fr"])
    assert "'fr'" in error.problem
    assert "de, en" in error.remedy
    with pytest.raises(UnknownLanguageError, match="tlh"):
        read_prompts(small_folder, ["tlh"])


def test_rows_are_read_by_language_split_and_line(small_folder, small_rows):
    assert folder_languages(small_folder) == ["de", "en"]
    assert read_prompts(small_folder) == small_rows
    assert read_prompts(small_folder, ["en"], ["test"]) == small_rows[-2:]


def test_empty_lines_and_carriage_returns_do_no_harm(small_folder, small_rows):
    path = small_folder / "data" / "en" / "test.jsonl"
    path.write_bytes(b"\r\n" + path.read_bytes().replace(b"\n", b"\r\n\n"))
    assert read_prompts(small_folder) == small_rows


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@settings(deadline=None)  # files: a busy disk is no fault
@given(st.lists(st.tuples(TEXT, TEXT, st.floats(allow_nan=False, allow_infinity=False))))
def test_any_rows_read_back_as_they_were_written(make_row, tmp_path_factory, texts):
    first = make_row()
    rows = [first] + [
        make_row(
            number=number + 1,
            prompt=text,
            prompt_en=english,
            qa=[QualityCheck(check=text, score=score, verdict=Verdict.SUSPECT)],
        )
        for number, (text, english, score) in enumerate(texts)
    ]
    folder = tmp_path_factory.mktemp("folder")
    (folder / "README.md").write_text("card")
    write_prompts(folder, rows)
    assert read_prompts(folder) == rows


def test_the_same_rows_give_the_same_bytes_with_scripts_left_readable(tmp_path, make_row):
    for name in ("a", "b"):
        write_prompts(tmp_path / name, [make_row("th", prompt="ภาษาไทย")])
    one, two = ((tmp_path / name / "data/th/train.jsonl").read_bytes() for name in ("a", "b"))
    assert one == two
    assert "ภาษาไทย".encode() in one


def test_errata_read_back_and_a_folder_without_them_has_none(small_folder):
    assert read_errata(small_folder) == []
    errata = [Erratum(kind="missing", language="de", split="test", ids=["a"], detail="lost")]
    write_jsonl(small_folder / "errata.jsonl", errata)
    assert read_errata(small_folder) == errata


def test_an_erratum_with_an_unknown_field_is_named_by_line(small_folder):
    (small_folder / "errata.jsonl").write_text('\n{"kind": "leak", "detail": "", "id": "a"}\n')
    with pytest.raises(DatasetError, match=r"errata\.jsonl, line 2: id: Extra inputs"):
        read_errata(small_folder)


@settings(deadline=None)
@given(data=st.data())
def test_the_content_digest_does_not_depend_on_order(small_rows, data):
    shuffled = data.draw(st.permutations(small_rows))
    assert content_digest(shuffled) == content_digest(small_rows)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("language", "fr"),
        ("split", "validation"),
        ("label", "harmless"),
        ("id", "other"),
        ("prompt", "Other."),
    ],
)
def test_the_content_digest_depends_on_each_field_that_an_evaluation_reads(
    small_rows, field, value
):
    other = [small_rows[0].model_copy(update={field: value}), *small_rows[1:]]
    assert content_digest(other) != content_digest(small_rows)


def test_the_content_digest_depends_on_rows_lost_or_repeated_and_not_on_provenance(small_rows):
    digest = content_digest(small_rows)
    assert digest.startswith("sha256:")
    assert content_digest(small_rows[1:]) != digest
    assert content_digest([*small_rows, small_rows[0]]) != digest
    other = small_rows[0].model_copy(update={"translator": "other", "translated_at": "2026"})
    assert content_digest([other, *small_rows[1:]]) == digest
