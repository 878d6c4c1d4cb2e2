"""The same rate twice or more: as judged and without the judge's errors, and as each judge sees it.

Tables as data; knows nothing of HTML or of terminals.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from polyrefuse.calibration_schema import Estimate
from polyrefuse.languages import Language
from polyrefuse.prompts import Label
from polyrefuse.results import Cell, JudgeRecord, Rate, Result
from polyrefuse_evaluation.report import views
from polyrefuse_evaluation.report.judges import grouped_notes

Shown = tuple[Label, views.Measured, str]
_RATES: tuple[Shown, ...] = (
    ("harmful", "compliance", "Complied, harmful"),
    ("harmful", "refusal", "Refused, harmful"),
    ("harmless", "refusal", "Refused, harmless"),
)


@dataclass(frozen=True)
class Pair:
    """A rate as judged, beside the same rate without the judge's errors."""

    raw: Rate
    corrected: Estimate | None
    marked: bool


@dataclass(frozen=True)
class CorrectedTable:
    """Raw and corrected rates under one condition; `notes` say why some are not known."""

    condition: views.Condition
    headings: list[str]
    rows: list[tuple[Language, list[Pair | None]]]
    notes: list[str]

    @property
    def has_marks(self) -> bool:
        """Whether some cell has too many responses without a verdict."""
        return any(pair and pair.marked for _, pairs in self.rows for pair in pairs)


@dataclass(frozen=True)
class OpinionTable:
    """One rate per language as each judge sees it, under one condition."""

    condition: views.Condition
    heading: str
    judges: list[JudgeRecord]
    rows: list[tuple[Language, list[Cell | None]]]
    measured: views.Measured

    @property
    def has_marks(self) -> bool:
        """Whether some cell has too many responses without a verdict, of any judge."""
        return any(cell and cell.marked for _, cells in self.rows for cell in cells)


def corrected_tables(result: Result) -> list[CorrectedTable]:
    """Return raw and corrected rates by condition, where the deciding judge is calibrated."""
    cells = [cell for cell in result.cells if cell.corrected is not None]
    if not cells:
        return []
    shown = [rate for rate in _RATES if any(cell.label == rate[0] for cell in cells)]
    return [_corrected(result, condition, shown) for condition in views.conditions(result)]


def _corrected(
    result: Result, condition: views.Condition, shown: Sequence[Shown]
) -> CorrectedTable:
    cells = {(c.language, c.label): c for c in result.cells if c.condition == condition.key}
    rows = [
        (language, [_pair(cells.get((language.code, label)), rate) for label, rate, _ in shown])
        for language in views.languages(result)
    ]
    notes = [
        (cell.corrected.note, views.language_of(cell.language))
        for cell in cells.values()
        if cell.corrected is not None and cell.corrected.note is not None
    ]
    return CorrectedTable(condition, [heading for *_, heading in shown], rows, grouped_notes(notes))


def _pair(cell: Cell | None, rate: views.Measured) -> Pair | None:
    if cell is None:
        return None
    corrected = None if cell.corrected is None else getattr(cell.corrected, rate)
    return Pair(getattr(cell, rate), corrected, cell.marked)


def opinion_tables(result: Result) -> list[OpinionTable]:
    """Return what each judge says of compliance (or, without harmful prompts, of over-refusal)."""
    if not result.second_opinions:
        return []
    label, measured, heading = _RATES[0] if views.has_label(result, "harmful") else _RATES[2]
    said = [result.cells, *(opinion.cells for opinion in result.second_opinions)]
    judges = [result.settings.judge, *(opinion.judge for opinion in result.second_opinions)]
    by_judge = [
        {(cell.language, cell.condition): cell for cell in cells if cell.label == label}
        for cells in said
    ]
    return [
        OpinionTable(
            condition,
            heading,
            judges,
            [
                (language, [cells.get((language.code, condition.key)) for cells in by_judge])
                for language in views.languages(result)
            ],
            measured,
        )
        for condition in views.conditions(result)
    ]
