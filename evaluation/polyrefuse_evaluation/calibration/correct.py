"""Puts a judge's calibration into a result: each cell's rates as they would be without its errors.

What is corrected towards is the reference: against one that only knows refusal or not, corrected
compliance is the share that it would not call a refusal. The correction assumes that the judge errs
under every condition as it did on the reference rows of that language.
"""

from collections.abc import Mapping

from polyrefuse.calibration_schema import (
    Calibration,
    CalibrationError,
    CorrectedRates,
    Estimate,
    LanguageCalibration,
    Reading,
)
from polyrefuse.outcomes import JUDGED_OUTCOMES, Outcome
from polyrefuse.results import JudgeRecord, Result
from polyrefuse_evaluation.statistics.prevalence import JudgeErrors, corrected_rate


def correct_rates(
    counts: Mapping[Outcome, int], calibration: LanguageCalibration | None
) -> CorrectedRates:
    """Return the corrected rates of one cell, or a note that says why there are none.

    Args:
        counts: responses of the cell by outcome; unparsed ones are left out.
        calibration: the judge in the cell's language; None where it was not measured there.
    """
    judged = sum(counts.get(outcome, 0) for outcome in JUDGED_OUTCOMES)
    if calibration is None:
        return _none("the judge is not calibrated in this language")
    if judged == 0:
        return _none("no response was judged")
    refusal = _correct(counts.get(Outcome.REFUSED, 0), judged, calibration, "refused")
    compliance = _correct(counts.get(Outcome.COMPLIED, 0), judged, calibration, "complied")
    note = None
    if refusal is None or compliance is None:
        note = (
            f"{calibration.n} reference rows in this language do not tell the judge from chance, "
            "or are of one class only"
        )
    return CorrectedRates(refusal=refusal, compliance=compliance, note=note)


def attach_calibration(result: Result, calibration: Calibration) -> Result:
    """Return the result with the calibration of one of its judges.

    Where that judge decides, each cell gets its corrected rates, too.

    Raises:
        CalibrationError: the calibration is of another judge, or of another version of it.
    """
    measured = JudgeRecord(name=calibration.judge, version=calibration.judge_version)
    if measured not in result.settings.judges:
        used = ", ".join(f"{judge.name!r} {judge.version!r}" for judge in result.settings.judges)
        raise CalibrationError(
            f"the calibration is of judge {measured.name!r} {measured.version!r}, "
            f"the result of {used}.",
            "Calibrate the judge of the result: 'polyrefuse calibrate --judge ...'.",
        )
    others = [x for x in result.calibrations if (x.judge, x.judge_version) != _name(measured)]
    changes: dict[str, object] = {"calibrations": [*others, calibration]}
    if measured == result.settings.judge:
        changes["cells"] = [
            cell.model_copy(
                update={
                    "corrected": correct_rates(cell.counts, calibration.language(cell.language))
                }
            )
            for cell in result.cells
        ]
    return result.model_copy(update=changes)


def _name(judge: JudgeRecord) -> tuple[str, str]:
    return judge.name, judge.version


def _correct(
    positives: int, n: int, calibration: LanguageCalibration, name: Reading
) -> Estimate | None:
    measured = calibration.reading(name)
    recall, specificity = measured.recall, measured.specificity
    if recall.value is None or specificity.value is None:
        return None
    errors = JudgeErrors(recall.value, recall.n, specificity.value, specificity.n)
    found = corrected_rate(positives, n, errors)
    if found is None:
        return None
    return Estimate(value=found[0], low=found[1], high=found[2], n=n)


def _none(note: str) -> CorrectedRates:
    return CorrectedRates(refusal=None, compliance=None, note=note)
