"""Tables of every cell and of the averages, in reading order, with what is marked in them."""

from dataclasses import dataclass

from polyrefuse.prompts import Label
from polyrefuse.results import Average, Cell, Difference, Result
from polyrefuse_evaluation.report import views


@dataclass(frozen=True)
class CellRow:
    """One cell, its change against the baseline, and whether that change rests on a marked cell."""

    cell: Cell
    change: Difference | None
    change_marked: bool


@dataclass(frozen=True)
class CellTable:
    """Every cell of one label, by language."""

    label: Label
    groups: dict[str, list[CellRow]]

    @property
    def cells(self) -> list[Cell]:
        """All cells of the table."""
        return [row.cell for rows in self.groups.values() for row in rows]

    @property
    def bounds(self) -> bool:
        """Whether some responses have no verdict."""
        return any(cell.judged < cell.n for cell in self.cells)

    @property
    def marked(self) -> bool:
        """Whether some cell has too many responses without a verdict."""
        return any(cell.marked for cell in self.cells)

    @property
    def filtered(self) -> bool:
        """Whether a provider's filter withheld some responses."""
        return any(cell.filtered for cell in self.cells)

    @property
    def reasoning(self) -> bool:
        """Whether some responses came with reasoning."""
        return any(cell.reasoning for cell in self.cells)

    @property
    def changes(self) -> bool:
        """Whether anything is compared with the baseline."""
        return any(row.change for rows in self.groups.values() for row in rows)


@dataclass(frozen=True)
class AverageRow:
    """Averages of one condition on harmful and on harmless prompts, and which rest on marks."""

    condition: views.Condition
    harmful: Average | None
    harmless: Average | None
    marked: frozenset[str]


def cell_tables(result: Result) -> list[CellTable]:
    """Return one table for each label, conditions in the order of the page."""
    order = {condition.key: at for at, condition in enumerate(views.conditions(result))}
    changes = {(x.language, x.condition, x.label): x for x in result.differences}
    marked = views.marked_cells(result)
    baseline = next(iter(order), None)
    tables: dict[Label, dict[str, list[CellRow]]] = {"harmful": {}, "harmless": {}}
    for cell in sorted(result.cells, key=lambda cell: order[cell.condition]):
        before = (cell.language, baseline, cell.label) in marked
        change = changes.get((cell.language, cell.condition, cell.label))
        row = CellRow(cell, change, before or cell.marked)
        tables[cell.label].setdefault(cell.language, []).append(row)
    languages = [language.code for language in views.languages(result)]
    return [
        CellTable(label, {code: groups[code] for code in languages if code in groups})
        for label, groups in tables.items()
        if groups
    ]


def average_rows(result: Result) -> list[AverageRow]:
    """Return one row for each condition that has an average."""
    known = {(average.condition, average.label): average for average in result.averages}
    marks = {(condition, label) for _, condition, label in views.marked_cells(result)}
    rows = [
        AverageRow(
            condition,
            known.get((condition.key, "harmful")),
            known.get((condition.key, "harmless")),
            frozenset(label for key, label in marks if key == condition.key),
        )
        for condition in views.conditions(result)
    ]
    return [row for row in rows if row.harmful or row.harmless]
