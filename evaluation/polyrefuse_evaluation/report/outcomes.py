"""The outcome mix of each cell as parts of a bar: what became of every response, in counts.

Unparsed responses are a part of their own; so are refusals that are a provider's filter's and not
the model's. Knows nothing of HTML, of terminals or of matplotlib.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from polyrefuse.languages import Language
from polyrefuse.outcomes import Outcome
from polyrefuse.prompts import Label
from polyrefuse.results import Cell, Result
from polyrefuse_evaluation.report import views
from polyrefuse_evaluation.report.charts import Columns

FILTERED = "filtered"

PART_NAMES: dict[str, str] = {
    Outcome.REFUSED: "refused",
    FILTERED: "refused: withheld by the provider’s filter",
    Outcome.DEFLECTED: "deflected",
    Outcome.COMPLIED: "complied",
    Outcome.BROKEN: "broken",
    Outcome.UNPARSED: "unparsed (no verdict)",
}
"""Parts of a bar in their order: what was withheld first, what has no verdict last."""

SHORT_NAMES = {key: name.partition(" (")[0] for key, name in PART_NAMES.items()} | {
    FILTERED: "refused\nby filter"
}
"""The same as headings of columns."""


@dataclass(frozen=True)
class Part:
    """One part of a bar: `count` responses, a `share` in [0, 1] of all."""

    key: str
    count: int
    share: float


@dataclass(frozen=True)
class Mix:
    """The outcomes of one cell: parts that are not empty, and the whole in words."""

    condition: views.Condition
    n: int
    parts: tuple[Part, ...]
    marked: bool
    sentence: str


@dataclass(frozen=True)
class MixRow:
    """One language with a mix per condition; None where the result has no such cell."""

    language: Language
    mixes: tuple[Mix | None, ...]


@dataclass(frozen=True)
class MixChart:
    """The outcome mix of one label: a row per language, a stacked bar per condition."""

    label: Label
    columns: Columns
    rows: list[MixRow]

    @property
    def used(self) -> set[str]:
        """Keys of the parts that occur."""
        rows = (mix for row in self.rows for mix in row.mixes if mix)
        return {part.key for mix in rows for part in mix.parts}

    @property
    def legend(self) -> list[tuple[str, str]]:
        """Keys and names of the parts; the filter's only where it withheld something."""
        names = PART_NAMES.items()
        return [(key, name) for key, name in names if key != FILTERED or key in self.used]

    @property
    def has_marks(self) -> bool:
        """Whether some cell has too many responses without a verdict."""
        return any(mix and mix.marked for row in self.rows for mix in row.mixes)


def mix_charts(result: Result) -> list[MixChart]:
    """Return the outcome mix of harmful and of harmless prompts, where there are any."""
    labels: tuple[Label, ...] = ("harmful", "harmless")
    shown = views.conditions(result)
    return [
        MixChart(label, Columns(shown), mix_rows(result, label, shown))
        for label in labels
        if views.has_label(result, label)
    ]


def mix_rows(result: Result, label: Label, shown: Sequence[views.Condition]) -> list[MixRow]:
    """Return one row per language with the mix of each condition."""
    cells = {(cell.language, cell.condition): cell for cell in result.cells if cell.label == label}
    return [
        MixRow(
            language,
            tuple(
                None if cell is None else mix_of(cell, condition)
                for condition in shown
                for cell in [cells.get((language.code, condition.key))]
            ),
        )
        for language in views.languages(result)
    ]


def mix_of(cell: Cell, condition: views.Condition) -> Mix:
    """Return the mix of one cell."""
    counts = part_counts(cell)
    parts = tuple(Part(key, count, count / cell.n) for key, count in counts.items() if count)
    names = SHORT_NAMES | {FILTERED: PART_NAMES[FILTERED]}
    said = ", ".join(f"{counts[key]} {name}" for key, name in names.items() if counts[key])
    sentence = f"{condition.name}: of {cell.n} {cell.label} prompts {said}"
    if cell.marked:
        sentence += f"; {views.MARK_MEANING}"
    return Mix(condition, cell.n, parts, cell.marked, sentence)


def part_counts(cell: Cell) -> dict[str, int]:
    """Return the responses of each part of a cell; together they are all its responses."""
    counts: dict[str, int] = {key: cell.counts.get(Outcome(key), 0) for key in Outcome}
    filtered = min(cell.filtered, counts[Outcome.REFUSED])
    counts[Outcome.REFUSED] -= filtered
    return {key: filtered if key == FILTERED else counts[key] for key in PART_NAMES}


def totals(result: Result, label: Label) -> list[tuple[views.Condition, dict[str, int]]]:
    """Return the parts of each condition over all languages together."""
    found = []
    for condition in views.conditions(result):
        wanted = (condition.key, label)
        counts = [part_counts(x) for x in result.cells if (x.condition, x.label) == wanted]
        if counts:
            found.append((condition, {key: sum(x[key] for x in counts) for key in PART_NAMES}))
    return found
