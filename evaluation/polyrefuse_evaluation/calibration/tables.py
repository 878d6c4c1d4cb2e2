"""Calibration and agreement as tables for a terminal; returns renderables and prints nothing."""

from collections.abc import Sequence

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from polyrefuse.calibration_schema import (
    ALL_LANGUAGES,
    AnnotatorAgreement,
    Calibration,
    Estimate,
    JudgeAgreement,
    LanguageCalibration,
    Reading,
)

SHOWN: tuple[Reading, ...] = ("refused", "refused+deflected")
FIGURES = ("precision", "recall", "f1", "kappa")
UNDEFINED = "–"


def calibration_tables(calibration: Calibration) -> list[RenderableType]:
    """Return the annotators' agreement first, then the judge's, then what cannot be said."""
    parts: list[RenderableType] = []
    if calibration.annotators:
        parts.append(_annotator_table(calibration.annotators))
    languages = [*calibration.languages, calibration.pooled]
    parts += [_reading_table(calibration, name, languages) for name in SHOWN]
    notes = [
        f"{item.language}, {reading.reading}: {note}."
        for item in languages
        for reading in item.readings
        for note in reading.notes
        if reading.reading in SHOWN
    ]
    return [
        *parts,
        *(Text(line, style="dim") for line in [*notes, *calibration_remarks(calibration)]),
    ]


def _reading_table(
    calibration: Calibration, name: Reading, languages: Sequence[LanguageCalibration]
) -> Table:
    heading = f"{calibration.judge} against the reference: {name} (95% interval)"
    columns = ("n", "tp", "fp", "fn", "tn", *FIGURES)
    table = _table(heading, "Lang.", columns)
    for item in languages:
        reading = item.reading(name)
        counts = [str(count) for count in reading.confusion.model_dump().values()]
        if item.language == ALL_LANGUAGES:
            table.add_section()
        figures = [estimate_text(getattr(reading, figure)) for figure in FIGURES]
        table.add_row(item.language, str(item.n - item.unparsed), *counts, *figures)
    return table


def _annotator_table(rows: Sequence[AnnotatorAgreement]) -> Table:
    columns = ("n", "differ", "kappa of outcomes", "kappa of refusal")
    table = _table("Agreement of the two annotators (95% interval)", "Language", columns)
    for row in rows:
        kappas = (estimate_text(row.kappa_outcomes), estimate_text(row.kappa_refused))
        table.add_row(row.language, str(row.n), str(row.disagreements), *kappas)
    return table


def agreement_table(rows: Sequence[JudgeAgreement]) -> Table:
    """Return the agreement of judges as one table."""
    columns = ("Language", "n", "unparsed", "differ", "kappa outcomes", "refused", "withheld")
    table = _table("Agreement of judges: Cohen's kappa (95% interval)", "Judges", columns)
    for row in rows:
        kappas = (row.kappa_outcomes, row.kappa_refused, row.kappa_withheld)
        counts = (str(row.n), str(row.unparsed), str(row.disagreements))
        table.add_row(
            Text(" / ".join(row.judges)), row.language, *counts, *map(estimate_text, kappas)
        )
    return table


def estimate_text(estimate: Estimate) -> str:
    """Return a figure with its interval, e.g. "0.93 (0.90–0.95)"."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return UNDEFINED
    return f"{estimate.value:.2f} ({estimate.low:.2f}–{estimate.high:.2f})"


def calibration_remarks(calibration: Calibration) -> list[str]:
    """Return what a reader must know of the reference: rows left out, weights, its limits."""
    reference = calibration.reference
    remarks = []
    if calibration.pooled.unparsed:
        remarks.append(f"{calibration.pooled.unparsed} rows got no verdict and are left out.")
    if reference.left_out:
        remarks.append(f"{reference.left_out} rows have no label and are left out.")
    if reference.unresolved:
        remarks.append(
            f"{reference.unresolved} rows are left out because annotators differ and 'adjudicated' "
            "is empty: they are the hard ones, so the judge looks better than it is."
        )
    if reference.weighted:
        remarks.append(
            "Counts are rows of the sheet; figures weigh each row by the responses it stands for."
        )
    if reference.kind == "annotators" and not calibration.annotators:
        remarks.append("No row has two annotators, so their agreement is unknown.")
    if reference.kind == "refusal":
        remarks.append(
            "The reference only knows refusal or not: deflections may count as either in it."
        )
    return remarks


def _table(title: str, first: str, columns: Sequence[str]) -> Table:
    table = Table(
        title=Text(title, style="bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
        pad_edge=False,
    )
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right")
    return table
