"""Judges and their calibrations: known ones, figures that follow from counts.

A calibration's own reference rows are not submitted; what can be checked is that its figures follow
from its confusion counts, and that the corrected rates follow from both (`recompute`).
"""

from collections.abc import Iterator, Sequence

from polyrefuse.calibration_schema import (
    READINGS,
    Calibration,
    Estimate,
    LanguageCalibration,
    ReadingCalibration,
)
from polyrefuse.results import JudgeRecord, Result
from polyrefuse_evaluation.calibration.measure import confusion_figures
from polyrefuse_evaluation.judges import known_judges
from polyrefuse_evaluation.judges.keyword import KEYWORD_JUDGE_VERSION
from polyrefuse_evaluation.leaderboard.problems import Problem, shown
from polyrefuse_evaluation.leaderboard.schema import RESULT

FIGURES = ("precision", "recall", "specificity", "f1", "kappa")
CLOSE = 1e-6
MOST_ROWS = 10**7

Fault = tuple[str, str]


def judge_problems(result: Result) -> list[Problem]:
    """Return what is wrong with the judges of a result and their calibrations."""
    faults = list(_judges(result.settings.judges))
    seen = set()
    for at, calibration in enumerate(result.calibrations):
        where = f"calibrations.{at}"
        judge = JudgeRecord(name=calibration.judge, version=calibration.judge_version)
        if judge not in result.settings.judges:
            faults.append((where, f"is of judge {shown(judge.name, 60)}, which the run has not"))
        if judge in seen:
            faults.append((where, "is the second of this judge"))
        seen.add(judge)
        faults += [(f"{where}.{field}", detail) for field, detail in _calibration(calibration)]
    return [Problem("judge", f"{RESULT}: {where}", detail) for where, detail in faults]


def _judges(judges: Sequence[JudgeRecord]) -> Iterator[Fault]:
    known = known_judges()
    for at, judge in enumerate(judges):
        where = f"settings.judges.{at}"
        for name in base_names(judge.name):
            if name not in known:
                yield where, f"{shown(name, 60)!r} is no judge that anyone else has"
        if judge.name == "keyword" and judge.version != KEYWORD_JUDGE_VERSION:
            yield where, f"is version {shown(judge.version, 40)}; known: {KEYWORD_JUDGE_VERSION}"


def base_names(name: str) -> list[str]:
    """Return the judges that a judge's name is made of: ``wildguard on English, then keyword``."""
    parts = [part.removesuffix(" on English") for part in name.split(", then ")]
    return [part.partition(":")[0].partition("@")[0] for part in parts]


def _calibration(calibration: Calibration) -> Iterator[Fault]:
    reference = calibration.reference
    sizes = (reference.rows, reference.left_out, reference.unresolved)
    if any(not 0 <= size <= MOST_ROWS for size in sizes):
        yield "reference", "has impossible numbers of rows"
    if calibration.pooled.n != sum(item.n for item in calibration.languages):
        yield "pooled", "is not of all languages together"
    codes = [item.language for item in calibration.languages]
    if len(set(codes)) < len(codes):
        yield "languages", "has a language twice"
    for item in (*calibration.languages, calibration.pooled):
        for field, detail in _language(item, weighted=reference.weighted):
            yield f"{item.language}{field}", detail
    for agreement in calibration.annotators:
        if not 0 <= agreement.disagreements <= agreement.n <= MOST_ROWS:
            yield "annotators", "have impossible counts"
        for estimate in (agreement.kappa_outcomes, agreement.kappa_refused):
            yield from _estimate("annotators", estimate, lowest=-1)


def _language(item: LanguageCalibration, *, weighted: bool) -> Iterator[Fault]:
    if not 0 <= item.unparsed <= item.n <= MOST_ROWS:
        yield "", "has impossible counts"
    if tuple(reading.reading for reading in item.readings) != READINGS:
        yield ".readings", "are not those of a calibration"
    for reading in item.readings:
        for field, detail in _reading(reading, item.n - item.unparsed, weighted=weighted):
            yield f".{reading.reading}{field}", detail


def _reading(reading: ReadingCalibration, n: int, *, weighted: bool) -> Iterator[Fault]:
    counts = list(reading.confusion.model_dump().values())
    if any(count < 0 for count in counts) or sum(counts) != n:
        yield ".confusion", f"does not add up to the {n} rows that have a verdict"
        return
    for name in FIGURES:
        yield from _estimate(
            f".{name}", getattr(reading, name), lowest=-1 if name == "kappa" else 0
        )
    if weighted:  # weights are not in the counts
        return
    for name, estimate in confusion_figures(reading.confusion).items():
        there = getattr(reading, name)
        pairs = [(getattr(there, x), getattr(estimate, x)) for x in ("value", "low", "high", "n")]
        if any(not _close(a, b) for a, b in pairs):
            yield f".{name}", "does not follow from its counts"


def _estimate(where: str, estimate: Estimate, *, lowest: float) -> Iterator[Fault]:
    for value in (estimate.value, estimate.low, estimate.high):
        if value is not None and not lowest <= value <= 1:
            yield where, f"is {shown(value, 40)}, not in [{lowest}, 1]"
    if not 0 <= estimate.n <= MOST_ROWS:
        yield where, "has an impossible n"


def _close(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= CLOSE
