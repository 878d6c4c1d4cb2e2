"""What is known of the judges: who decides, their errors against references, their agreement.

Tables as data and plain sentences; knows nothing of HTML or of terminals.
"""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from polyrefuse.calibration_schema import (
    ALL_LANGUAGES,
    Calibration,
    Estimate,
    JudgeAgreement,
    Reading,
    ReadingCalibration,
    Reference,
)
from polyrefuse.languages import Language
from polyrefuse.results import JudgeRecord, Result
from polyrefuse_evaluation.calibration.tables import calibration_remarks
from polyrefuse_evaluation.report import views

__all__ = [
    "READING_NAMES",
    "agreement_tables",
    "calibrated_language",
    "calibration_of",
    "calibration_remarks",
    "figure",
    "figure_interval",
    "grouped_notes",
    "how_to_measure",
    "reading_notes",
    "reading_rows",
    "reference_text",
    "short_sentences",
]

FIGURES = ("precision", "recall", "f1", "kappa")

READING_NAMES: dict[Reading, str] = {
    "refused": "Refused",
    "refused+deflected": "Refused or deflected",
    "complied": "Complied",
}

_KINDS = {
    "refusal": "labels say refusal or not",
    "outcome": "labels name one of the four outcomes",
    "annotators": "labelled by people, on sheets of judge-sample",
}


@dataclass(frozen=True)
class ReadingRow:
    """The judge in one language (None: all), for one reading of the outcomes."""

    language: Language | None
    n: int
    reading: ReadingCalibration

    @property
    def counts(self) -> list[int]:
        """True and false positives, false and true negatives."""
        confusion = self.reading.confusion
        return [
            confusion.true_positive,
            confusion.false_positive,
            confusion.false_negative,
            confusion.true_negative,
        ]


@dataclass(frozen=True)
class AgreementTable:
    """How far two judges agree, by language; the row over all languages comes last."""

    judges: tuple[str, str]
    rows: list[tuple[Language | None, JudgeAgreement]] = field(default_factory=list)


def calibration_of(result: Result, judge: JudgeRecord) -> Calibration | None:
    """Return the calibration of a judge that the result carries, or None."""
    for calibration in result.calibrations:
        if (calibration.judge, calibration.judge_version) == (judge.name, judge.version):
            return calibration
    return None


def how_to_measure(judge: JudgeRecord) -> list[str]:
    """Return the commands that measure a judge's errors."""
    return [
        "polyrefuse judge-sample RUN_DIR --out sheet.csv",
        f"polyrefuse calibrate --judge {shlex.quote(judge.name)} --reference sheet.csv",
    ]


def reference_text(reference: Reference) -> str:
    """Say what a judge was compared with."""
    files = ", ".join(reference.files)
    labels = f"column “{reference.column}”; {_KINDS[reference.kind]}"
    return f"{reference.rows:,} rows of {files} ({labels})"


def reading_rows(calibration: Calibration, name: Reading) -> list[ReadingRow]:
    """Return one row per language, then all of them together."""
    return [
        ReadingRow(
            _language(item.language),
            item.n - item.unparsed,
            item.reading(name),
        )
        for item in (*calibration.languages, calibration.pooled)
    ]


def reading_notes(rows: Sequence[ReadingRow]) -> list[str]:
    """Return the notes of a table, each once, with the languages it holds for."""
    return grouped_notes((note, row.language) for row in rows for note in row.reading.notes)


def grouped_notes(notes: Iterable[tuple[str, Language | None]]) -> list[str]:
    """Return each note once, with the languages it holds for."""
    found: dict[str, list[str]] = {}
    for note, language in notes:
        names = found.setdefault(note, [])
        name = "all languages together" if language is None else language.name
        if name not in names:
            names.append(name)
    return [f"{_capital(', '.join(names))}: {note}." for note, names in found.items()]


def agreement_tables(result: Result) -> list[AgreementTable]:
    """Return one table for each pair of judges."""
    tables: dict[tuple[str, str], AgreementTable] = {}
    for row in sorted(result.agreement, key=lambda row: row.language == ALL_LANGUAGES):
        language = _language(row.language)
        table = tables.setdefault(row.judges, AgreementTable(row.judges))
        table.rows.append((language, row))
    return list(tables.values())


def short_sentences(result: Result) -> list[str]:
    """Return who judged, how well that is known, and how far the others agree, for a terminal."""
    judge = result.settings.judge
    calibration = calibration_of(result, judge)
    sentence = f"Judge: {judge.name}, version {judge.version}"
    if calibration is None:
        sentences = [
            f"{sentence}; its errors are unknown here. To measure them: "
            "'polyrefuse judge-sample', then 'polyrefuse calibrate'."
        ]
    else:
        kappa = calibration.pooled.reading("refused").kappa
        sentences = [
            f"{sentence}; kappa {figure(kappa)} of refusal against "
            f"{reference_text(calibration.reference)}. By language, and rates without its errors: "
            "report.html."
        ]
    for row in result.agreement:
        if row.language == ALL_LANGUAGES:
            sentences.append(
                f"{row.judges[0]} and {row.judges[1]} agree on {row.n - row.disagreements:,} of "
                f"{row.n:,} responses: kappa {figure(row.kappa_outcomes)}"
                + (f"; {row.unparsed:,} without both verdicts." if row.unparsed else ".")
            )
    return [views.clean(sentence) for sentence in sentences]


def calibrated_language(code: str) -> str:
    """Return the name of a language of a calibration, or "All languages"."""
    language = _language(code)
    return "All languages" if language is None else language.name


def _language(code: str) -> Language | None:
    return None if code == ALL_LANGUAGES else views.language_of(code)


def figure(estimate: Estimate) -> str:
    """Return a figure with its interval, e.g. "0.93 (0.90–0.95)"; a dash where there is none."""
    span = figure_interval(estimate)
    text = views.number(estimate.value)
    return f"{text} ({span})" if span else text


def figure_interval(estimate: Estimate) -> str:
    """Return the interval of a figure, e.g. "0.90–0.95", "−0.12 to 0.31", or ""."""
    if estimate.low is None or estimate.high is None:
        return ""
    low, high = views.number(estimate.low), views.number(estimate.high)
    return f"{low} to {high}" if low.startswith("−") else f"{low}–{high}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
