"""All tables of a run together: kept in memory, on disk, and read back."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from polyrefuse.errors import RunDirectoryError
from polyrefuse_evaluation.geometry import rows as t
from polyrefuse_evaluation.geometry.tables import read_table, write_table

REFERENCE = "reference"

CONTENTS: dict[str, type] = {
    "languages": t.LanguageRow,
    "cosines": t.CosineRow,
    "points": t.PointRow,
    "arrows": t.ArrowRow,
    "separation": t.SeparationRow,
    "probes": t.ProbeRow,
    "relations": t.RelationRow,
    "reliability": t.ReliabilityRow,
    "learning": t.LearningRow,
    "spectrum": t.SpectrumRow,
    "left_out": t.LeftOutRow,
    "angles": t.AngleRow,
    "transfer": t.TransferRow,
    "sources": t.SourceRow,
}


@dataclass
class GeometryTables:
    """Every table of a run, and the reference place.

    Attributes:
        position: of the reference place.
        layer: of the reference place.
        leader: language whose place it is; None where no direction could be selected.
    """

    position: int
    layer: int
    leader: str | None
    languages: list[t.LanguageRow] = field(default_factory=list)
    cosines: list[t.CosineRow] = field(default_factory=list)
    points: list[t.PointRow] = field(default_factory=list)
    arrows: list[t.ArrowRow] = field(default_factory=list)
    separation: list[t.SeparationRow] = field(default_factory=list)
    probes: list[t.ProbeRow] = field(default_factory=list)
    relations: list[t.RelationRow] = field(default_factory=list)
    reliability: list[t.ReliabilityRow] = field(default_factory=list)
    learning: list[t.LearningRow] = field(default_factory=list)
    spectrum: list[t.SpectrumRow] = field(default_factory=list)
    left_out: list[t.LeftOutRow] = field(default_factory=list)
    angles: list[t.AngleRow] = field(default_factory=list)
    transfer: list[t.TransferRow] = field(default_factory=list)
    sources: list[t.SourceRow] = field(default_factory=list)

    @property
    def rank(self) -> int:
        """Number of shared directions."""
        return sum(row.in_rank for row in self.spectrum)

    @property
    def layers(self) -> int:
        """Number of layers looked at."""
        return 1 + max(row.layer for row in self.separation)

    @property
    def analysed(self) -> list[str]:
        """Languages that were analysed, in order."""
        return [row.language for row in self.languages if row.status == "ok"]

    @property
    def sourced(self) -> list[str]:
        """Source languages, in order."""
        return [row.language for row in self.languages if row.source]


def save_tables(folder: Path, tables: GeometryTables) -> None:
    """Write every table.

    Raises:
        RunDirectoryError: a table cannot be written.
    """
    reference = t.ReferenceRow(tables.position, tables.layer, tables.leader)
    write_table(folder, REFERENCE, t.ReferenceRow, [reference])
    for name, row in CONTENTS.items():
        write_table(folder, name, row, getattr(tables, name))


def load_tables(folder: Path) -> GeometryTables:
    """Read every table back: what pages and figures are made from.

    Raises:
        RunDirectoryError: a table is missing or of another version.
    """
    reference = read_table(folder, REFERENCE, t.ReferenceRow)
    if not reference:
        raise RunDirectoryError(
            f"{folder}: holds no tables of a geometry run.", "Run 'polyrefuse geometry' first."
        )
    row = reference[0]
    contents: dict[str, Any] = {
        name: read_table(folder, name, kind) for name, kind in CONTENTS.items()
    }
    return GeometryTables(row.position, row.layer, row.leader, **contents)
