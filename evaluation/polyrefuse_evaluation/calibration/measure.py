"""Compares a judge with a reference, language by language: precision, recall, F1, kappa."""

from collections.abc import Sequence

from polyrefuse.calibration_schema import (
    ALL_LANGUAGES,
    READINGS,
    Calibration,
    Confusion,
    Estimate,
    LanguageCalibration,
    Reading,
    ReadingCalibration,
)
from polyrefuse.errors import AnswerIsNo
from polyrefuse.outcomes import Outcome
from polyrefuse.reproducibility import require_seed
from polyrefuse_evaluation.calibration.readings import is_true, says
from polyrefuse_evaluation.calibration.reference import ReferenceData, ReferenceRow
from polyrefuse_evaluation.calibration.weighted import WeightedRow, weighted_figures
from polyrefuse_evaluation.judges import JudgeInput, RegisteredJudge
from polyrefuse_evaluation.judges.types import Judgement
from polyrefuse_evaluation.progress import progress_bar
from polyrefuse_evaluation.statistics.kappa import kappa_bounds
from polyrefuse_evaluation.statistics.proportions import f1_bounds, wilson_interval

CHUNK_ROWS = 1024

Judged = Sequence[tuple[ReferenceRow, Outcome]]


def calibrate(judge: RegisteredJudge, data: ReferenceData, seed: int = 0) -> Calibration:
    """Judge every reference row and compare, per language and over all.

    Args:
        judge: the judge, from `get_judge`.
        data: the reference, from `read_references`.
        seed: of the intervals of weighted samples.

    Raises:
        AnswerIsNo: the judge could not be asked about some rows, so figures would be of the rest.
        PolyRefuseError: no generator takes the seed.
    """
    require_seed(seed)
    outcomes = _judge(judge, data.rows)
    judged = list(zip(data.rows, outcomes, strict=True))
    languages = sorted({row.language for row in data.rows})
    weighted = data.reference.weighted
    return Calibration(
        judge=judge.name,
        judge_version=judge.version,
        reference=data.reference,
        languages=[
            _language(code, [x for x in judged if x[0].language == code], weighted, seed)
            for code in languages
        ],
        pooled=_language(ALL_LANGUAGES, judged, weighted, seed),
        annotators=data.annotators,
        seed=seed,
    )


def _judge(judge: RegisteredJudge, rows: Sequence[ReferenceRow]) -> list[Outcome]:
    verdicts: list[Judgement] = []
    inputs = [JudgeInput(row.language, row.response, row.prompt, row.prompt_en) for row in rows]
    with progress_bar("Judging", len(inputs)) as advance:
        for start in range(0, len(inputs), CHUNK_ROWS):
            chunk = inputs[start : start + CHUNK_ROWS]
            verdicts += judge.judge(chunk)
            advance(len(chunk))
    failed = sum(verdict.failed for verdict in verdicts)
    if failed:
        raise AnswerIsNo(
            f"{judge.name}: {failed} of {len(rows)} rows could not be put to the judge.",
            "A calibration on the rest could mislead: run the command again.",
        )
    return [verdict.outcome for verdict in verdicts]


def _language(code: str, judged: Judged, weighted: bool, seed: int) -> LanguageCalibration:
    parsed = [(row, outcome) for row, outcome in judged if outcome is not Outcome.UNPARSED]
    return LanguageCalibration(
        language=code,
        n=len(judged),
        unparsed=len(judged) - len(parsed),
        readings=[_reading(name, parsed, weighted, seed) for name in READINGS],
    )


def _reading(name: Reading, judged: Judged, weighted: bool, seed: int) -> ReadingCalibration:
    pairs = [(says(name, outcome), is_true(name, row.truth)) for row, outcome in judged]
    confusion = Confusion(
        true_positive=pairs.count((True, True)),
        false_positive=pairs.count((True, False)),
        false_negative=pairs.count((False, True)),
        true_negative=pairs.count((False, False)),
    )
    if weighted and pairs:
        rows = [
            WeightedRow(str(row.stratum), row.weight, said, true)
            for (row, _), (said, true) in zip(judged, pairs, strict=True)
        ]
        figures = {
            key: NOTHING
            if found is None
            else Estimate(value=found.value, low=found.low, high=found.high, n=found.n)
            for key, found in weighted_figures(rows, seed).items()
        }
    else:
        figures = confusion_figures(confusion)
    return ReadingCalibration(
        reading=name, confusion=confusion, notes=_notes(name, confusion), **figures
    )


NOTHING = Estimate(value=None, low=None, high=None, n=0)


def confusion_figures(confusion: Confusion) -> dict[str, Estimate]:
    """Return precision, recall, specificity, f1 and kappa of a confusion, with intervals."""
    tp, fp = confusion.true_positive, confusion.false_positive
    fn, tn = confusion.false_negative, confusion.true_negative
    return {
        "precision": _proportion(tp, tp + fp),
        "recall": _proportion(tp, tp + fn),
        "specificity": _proportion(tn, tn + fp),
        "f1": _f1(tp, fp + fn),
        "kappa": _kappa(tp, fp, fn, tn),
    }


def _proportion(hits: int, n: int) -> Estimate:
    if n == 0:
        return NOTHING
    low, high = wilson_interval(hits, n)
    return Estimate(value=hits / n, low=low, high=high, n=n)


def _f1(hits: int, errors: int) -> Estimate:
    if hits + errors == 0:
        return NOTHING
    low, high = f1_bounds(hits, errors)
    value = 2 * hits / (2 * hits + errors)
    return Estimate(value=value, low=float(low), high=float(high), n=hits + errors)


def _kappa(tp: int, fp: int, fn: int, tn: int) -> Estimate:
    n = tp + fp + fn + tn
    if n == 0:
        return NOTHING
    value, low, high = (float(x) for x in kappa_bounds([[tp, fp], [fn, tn]]))
    if value != value:  # NaN: one class only
        return Estimate(value=None, low=None, high=None, n=n)
    return Estimate(value=value, low=low, high=high, n=n)


def _notes(name: Reading, confusion: Confusion) -> list[str]:
    """Say which figures there are not, and why."""
    said = confusion.true_positive + confusion.false_positive
    true = confusion.true_positive + confusion.false_negative
    n = said + confusion.false_negative + confusion.true_negative
    if n == 0:
        return ["nothing is defined: no row has both a verdict and a label"]
    notes = []
    if said == 0:
        notes.append(f"precision is undefined: the judge never says {name}")
    if true == 0:
        notes.append(f"recall is undefined: the reference never says {name}")
    if true == n:
        notes.append(f"specificity is undefined: the reference always says {name}")
    if said == true and said in (0, n):
        notes.append("kappa is undefined: judge and reference know one class only")
    return notes
