"""What the page draws, apart from how: heat maps, points with intervals, planes.

Knows nothing of HTML. Every mark carries its value in words: language, layer, value, interval.
"""

from dataclasses import dataclass

from polyrefuse_evaluation.geometry.drawing import name_of
from polyrefuse_evaluation.geometry.rows import CosineRow
from polyrefuse_evaluation.report.views import MISSING, number


@dataclass(frozen=True)
class Cell:
    """One cell of a heat map: its colours, its short text and its sentence."""

    fill: str
    ink: str
    text: str
    sentence: str


@dataclass(frozen=True)
class Heat:
    """A heat map; `cells` by row, None where there is no value. `mark` is a column to point at."""

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[Cell | None, ...], ...]
    mark: int | None = None
    small: bool = False


@dataclass(frozen=True)
class Dot:
    """A value with its interval, and how far the null reaches to both sides."""

    name: str
    value: float
    low: float
    high: float
    null: float | None
    sentence: str


@dataclass(frozen=True)
class Dots:
    """Values on one axis from `low` to `high`."""

    title: str
    low: float
    high: float
    dots: tuple[Dot, ...]
    ticks: tuple[float, ...]


@dataclass(frozen=True)
class Mark:
    """One point of a plane; `kind` is harmful, harmless or language."""

    x: float
    y: float
    kind: str
    sentence: str


@dataclass(frozen=True)
class Step:
    """An arrow of a plane, ends in plane coordinates."""

    x1: float
    y1: float
    x2: float
    y2: float
    code: str
    sentence: str


@dataclass(frozen=True)
class Plane:
    """Points and arrows in a plane, scaled to the unit square (y downwards)."""

    title: str
    across: str
    up: str
    marks: tuple[Mark, ...]
    steps: tuple[Step, ...]
    small: bool = False


def bounds(value: float | None, low: float | None, high: float | None) -> str:
    """Return "0.98 [0.97, 0.99]", or a dash."""
    if value is None:
        return MISSING
    return number(value) if low is None else f"{number(value)} [{number(low)}, {number(high)}]"


def cosine_sentence(row: CosineRow) -> str:
    """Return a cosine in words: both languages and layers, value, interval, null."""
    text = (
        f"{name_of(row.source)} (layer {row.source_layer}) and {name_of(row.target)} (layer "
        f"{row.layer}): {bounds(row.cosine, row.low, row.high)}"
    )
    if row.null_bound is not None:
        text += f", null up to {number(row.null_bound)}"
    return text if row.determined else f"{text}; not determined"
