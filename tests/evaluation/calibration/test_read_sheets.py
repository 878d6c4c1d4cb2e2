"""Labelled sheets: annotators first, then the judge; every row stands for its stratum."""

import pytest

from polyrefuse.calibration_schema import CalibrationError
from polyrefuse_evaluation.calibration import calibrate, read_references, write_sheet

from .factories import B, C, D, R, fill, key_row, letter_judge


@pytest.fixture
def sheet(tmp_path):
    """Ten refused of 20, ten complied of 200."""
    rows = [key_row(i, R, stratum_size=20) for i in range(10)]
    rows += [key_row(i, C, stratum_size=200) for i in range(10, 20)]
    write_sheet(rows, tmp_path / "sheet.csv")
    return tmp_path / "sheet.csv"


def labels(**changes):
    given = {f"r{i:03}": ("refused", "refused") for i in range(10)}
    given |= {f"r{i:03}": ("complied", "complied") for i in range(10, 20)}
    return given | changes


def test_labels_come_back_with_the_weight_of_their_stratum(sheet):
    fill(sheet, labels())
    data = read_references([sheet])
    assert [row.truth for row in data.rows] == [R] * 10 + [C] * 10
    assert [row.weight for row in data.rows] == [2.0] * 10 + [20.0] * 10
    assert {row.stratum for row in data.rows} == {"refused", "complied"}
    assert (data.reference.kind, data.reference.weighted) == ("annotators", True)
    assert data.rows[0].response == "R response 0"


def test_rows_without_a_label_are_stood_for_by_the_others(sheet):
    fill(sheet, labels(r000=("", ""), r001=(" ", "")))
    data = read_references([sheet])
    assert (data.reference.rows, data.reference.left_out) == (18, 2)
    assert data.rows[0].weight == 20 / 8


def test_a_missed_refusal_weighs_as_much_as_it_stands_for(sheet):
    fill(sheet, labels(r010=("refused", "refused")))
    calibration = calibrate(letter_judge(), read_references([sheet]))
    refused = calibration.pooled.reading("refused")
    assert refused.confusion.false_negative == 1
    assert refused.recall.value == pytest.approx(20 / (20 + 20)), "1 of 11 rows, half of the run"
    assert refused.precision.value == 1


def test_agreement_of_the_annotators_comes_first(sheet):
    fill(sheet, labels(r000=("refused", "deflected"), r001=("r", "C"), r002=("refused", "")))
    data = read_references([sheet])
    thai, pooled = data.annotators
    assert (thai.language, pooled.language) == ("th", "all")
    assert (pooled.n, pooled.disagreements) == (19, 2)
    assert 0.5 < pooled.kappa_outcomes.value < pooled.kappa_outcomes.high < 1
    assert (data.reference.rows, data.reference.unresolved) == (18, 2)


def test_where_they_differ_the_adjudicated_label_decides(sheet):
    fill(sheet, labels(r000=("refused", "complied", "broken"), r001=("refused", "complied", "r")))
    data = read_references([sheet])
    assert data.reference.unresolved == 0
    assert [row.truth for row in data.rows[:2]] == [B, R]


def test_one_annotator_is_enough_but_agreement_is_then_unknown(sheet):
    fill(sheet, {name: (label, "") for name, (label, _) in labels().items()})
    data = read_references([sheet])
    assert data.annotators == []
    assert data.reference.rows == 20


def test_both_annotators_may_send_a_sheet_of_their_own(sheet):
    other = sheet.with_name("second.csv")
    other.write_bytes(sheet.read_bytes())
    fill(sheet, {name: (label, "") for name, (label, _) in labels().items()})
    fill(other, {name: ("", label) for name, (label, _) in labels(r000=("d", "d")).items()})
    data = read_references([sheet, other])
    assert (data.annotators[-1].n, data.annotators[-1].disagreements) == (20, 1)
    assert (data.reference.rows, data.reference.unresolved) == (19, 1)


def test_annotators_who_differ_everywhere_leave_no_label(sheet):
    fill(sheet, dict.fromkeys(labels(), ("broken", "deflected")))
    with pytest.raises(CalibrationError, match="annotators differ in all of them"):
        read_references([sheet])


def test_two_annotators_in_one_column_are_refused(sheet):
    other = sheet.with_name("second.csv")
    other.write_bytes(sheet.read_bytes())
    fill(sheet, {"r000": ("refused", "")})
    fill(other, {"r000": ("complied", "")})
    with pytest.raises(CalibrationError, match="annotator_1 says complied for r000"):
        read_references([sheet, other])


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_whatever_delimiter_the_spreadsheet_saved_is_read(sheet, delimiter):
    fill(sheet, labels(r000=("D", "deflected")), delimiter=delimiter)
    assert read_references([sheet]).rows[0].truth is D


def test_an_unknown_label_is_named_by_row_and_column(sheet):
    fill(sheet, labels(r003=("refused", "maybe")))
    with pytest.raises(CalibrationError) as caught:
        read_references([sheet])
    assert "row 5: unknown outcome 'maybe' in 'annotator_2'" in str(caught.value)


def test_a_sheet_of_another_key_is_refused(sheet, tmp_path):
    other = tmp_path / "other.csv"
    write_sheet([key_row(77, R)], other)
    fill(sheet, labels())
    sheet.replace(other)
    with pytest.raises(CalibrationError, match="'r000' is not in the key"):
        read_references([other])


def test_without_its_key_a_sheet_cannot_be_read(sheet):
    sheet.with_name("sheet.key.jsonl").unlink()
    with pytest.raises(
        CalibrationError, match=r"sheet\.key\.jsonl: the key of the sheet is missing"
    ):
        read_references([sheet])


def test_a_spoilt_key_is_named_by_line(sheet):
    sheet.with_name("sheet.key.jsonl").write_text("{}\n", encoding="utf-8")
    with pytest.raises(CalibrationError, match=r"sheet\.key\.jsonl, line 1"):
        read_references([sheet])


@pytest.mark.parametrize("size", ["0", "1" + "0" * 400])
def test_a_key_with_an_impossible_stratum_is_refused(sheet, size):
    key = sheet.with_name("sheet.key.jsonl")
    key.write_text(key.read_text("utf-8").replace('"stratum_size":20,', f'"stratum_size":{size},'))
    with pytest.raises(CalibrationError, match=r"line 1.*stratum_size"):
        read_references([sheet])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "has no column 'row'"),
        (b"row,annotator_1\r\nr000,refused\r\n", "has no column 'annotator_2'"),
        (b"row,annotator_1,annotator_2\r\n", "no row is labelled"),
        (b"row,annotator_1,annotator_2\r\nr000,\xe9,\r\n", "is no CSV file in UTF-8"),
        (b'row,annotator_1,annotator_2\r\nr000,"' + b"x" * 200_000 + b'",\r\n', "is no CSV file"),
    ],
)
def test_what_is_no_labelled_sheet_is_an_error(sheet, data, message):
    sheet.write_bytes(data)
    with pytest.raises(CalibrationError, match=message):
        read_references([sheet])


def test_an_unlabelled_sheet_is_an_error(sheet):
    with pytest.raises(CalibrationError, match="no row is labelled"):
        read_references([sheet])
