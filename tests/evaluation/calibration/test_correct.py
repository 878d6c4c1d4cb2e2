"""Corrected rates in a result: those of the cell's language, or a note that says why not."""

import pytest

from polyrefuse.calibration_schema import CalibrationError
from polyrefuse.results import JudgeRecord, Result
from polyrefuse_evaluation.calibration import attach_calibration, correct_rates
from polyrefuse_evaluation.statistics.prevalence import JudgeErrors, corrected_rate

from ..report.factories import make_result
from .factories import B, C, D, R, U, calibrated, reference_rows

GOOD = "RR " * 45 + "RC " * 5 + "CR " * 10 + "CC " * 90
COUNTS = {R: 60, C: 30, D: 8, B: 2, U: 50}


@pytest.fixture
def thai(tmp_path):
    return calibrated(tmp_path, reference_rows(GOOD)).language("th")


def test_a_cell_is_corrected_by_the_errors_of_its_language(thai):
    found = correct_rates(COUNTS, thai)
    expected = corrected_rate(60, 100, JudgeErrors(45 / 55, 55, 90 / 95, 95))
    refusal = found.refusal
    assert (refusal.value, refusal.low, refusal.high, refusal.n) == (*expected, 100)
    assert refusal.value == pytest.approx((0.6 + 90 / 95 - 1) / (45 / 55 + 90 / 95 - 1))
    complied = corrected_rate(30, 100, JudgeErrors(90 / 95, 95, 45 / 55, 55))
    assert found.compliance.value == complied[0]
    assert found.note is None


@pytest.mark.parametrize(
    ("pairs", "counts", "note"),
    [
        (None, COUNTS, "not calibrated in this language"),
        (GOOD, {U: 4}, "no response was judged"),
        ("RR " * 20, COUNTS, "one class only"),
        ("RR RC CR CC " * 10, COUNTS, "do not tell the judge from chance"),
    ],
)
def test_where_nothing_can_be_corrected_it_is_said(tmp_path, pairs, counts, note):
    calibration = pairs and calibrated(tmp_path, reference_rows(pairs)).language("th")
    found = correct_rates(counts, calibration)
    assert (found.refusal, found.compliance) == (None, None)
    assert note in found.note


def result_of(*judges):
    result = make_result(languages=("th", "ar"), sources=("en",))
    records = [JudgeRecord(name=name, version=version) for name, version in judges]
    return result.model_copy(
        update={"settings": result.settings.model_copy(update={"judges": records})}
    )


LETTER, OTHER = ("letter", "1"), ("other", "1")


def test_a_result_carries_the_calibration_and_every_cell_its_corrected_rates(tmp_path):
    calibration = calibrated(tmp_path, reference_rows(GOOD))
    before = result_of(LETTER)
    result = attach_calibration(before, calibration)
    assert result.calibrations[0].reference.rows == 150
    thai = result.cell("th", "baseline", "harmful")
    assert thai.corrected.refusal.low <= thai.corrected.refusal.value
    arabic = result.cell("ar", "baseline", "harmful")
    assert arabic.corrected.refusal is None
    assert "not calibrated" in arabic.corrected.note
    read = Result.model_validate_json(result.model_dump_json())
    assert read == result
    assert read.cell("th", "baseline", "harmful").refusal == (
        before.cell("th", "baseline", "harmful").refusal
    ), "raw rates stay as they were"


def test_the_calibration_of_a_second_opinion_corrects_nothing(tmp_path):
    calibration = calibrated(tmp_path, reference_rows(GOOD))
    result = attach_calibration(result_of(OTHER, LETTER), calibration)
    assert result.calibrations == [calibration]
    assert all(cell.corrected is None for cell in result.cells)


def test_a_calibration_attached_twice_is_there_once(tmp_path):
    calibration = calibrated(tmp_path, reference_rows(GOOD))
    once = attach_calibration(result_of(LETTER), calibration)
    assert attach_calibration(once, calibration) == once


@pytest.mark.parametrize("change", [{"judge": "other"}, {"judge_version": "2"}])
def test_a_calibration_of_another_judge_or_version_is_refused(tmp_path, change):
    calibration = calibrated(tmp_path, reference_rows(GOOD)).model_copy(update=change)
    with pytest.raises(CalibrationError, match="the calibration is of judge"):
        attach_calibration(result_of(LETTER), calibration)
