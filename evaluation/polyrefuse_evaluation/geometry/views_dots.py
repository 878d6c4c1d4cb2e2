"""Values with intervals and nulls, as the page draws them: certainty, shared directions."""

from polyrefuse_evaluation.geometry.analyse_cosines import PAIR
from polyrefuse_evaluation.geometry.drawing import name_of
from polyrefuse_evaluation.geometry.results import GeometryTables
from polyrefuse_evaluation.geometry.views import Dot, Dots, bounds, cosine_sentence
from polyrefuse_evaluation.report.views import number


def certainty_dots(tables: GeometryTables) -> list[Dots]:
    """Return cosines with the leading language against the null, and split halves."""
    leader = tables.leader or tables.analysed[0]
    pairs = [
        row
        for row in tables.cosines
        if (row.kind, row.source, row.layer) == (PAIR, leader, tables.layer)
        and row.target != leader
        and row.cosine is not None
    ]
    one = tuple(
        _dot(row.target, row.cosine, row.low, row.high, row.null_bound, cosine_sentence(row))
        for row in pairs
    )
    halves = tuple(
        _dot(
            row.language, row.cosine, row.low, row.high, None,
            f"{name_of(row.language)}: split halves {bounds(row.cosine, row.low, row.high)}",
        )
        for row in tables.reliability
        if row.cosine is not None
    )  # fmt: skip
    ticks = (-1.0, -0.5, 0.0, 0.5, 1.0)
    return [
        Dots(f"Cosine with {name_of(leader)}; shaded: 95% of the null", -1, 1, one, ticks),
        Dots("Cosine between two halves of the prompts", -1, 1, halves, ticks),
    ]


def subspace_dots(tables: GeometryTables) -> list[Dots]:
    """Return the spectrum of shared directions, and languages foretold by the others."""
    shares = tuple(
        _dot(
            f"Component {row.component}", row.share, row.low, row.high, row.null,
            f"Component {row.component}: share {bounds(row.share, row.low, row.high)}, null up to "
            f"{number(row.null)}",
        )
        for row in tables.spectrum[:8]
        if row.share is not None
    )  # fmt: skip
    left = tuple(
        _dot(
            row.language, row.captured, row.captured_low, row.captured_high, row.null_bound,
            f"{name_of(row.language)}: foretold "
            f"{bounds(row.captured, row.captured_low, row.captured_high)} at rank {row.rank}, "
            f"cosine with the first {number(row.cosine)}, null up to {number(row.null_bound)}",
        )
        for row in tables.left_out
        if row.captured is not None
    )  # fmt: skip
    ticks = (0.0, 0.25, 0.5, 0.75, 1.0)
    return [
        Dots("Share of the stacked directions; shaded: 95% of the null", 0, 1, shares, ticks),
        Dots("Foretold by the other languages; shaded: 95% of the null", 0, 1, left, ticks),
    ]


def _dot(
    name: str,
    value: float | None,
    low: float | None,
    high: float | None,
    null: float | None,
    sentence: str,
) -> Dot:
    assert value is not None
    shown = name if name.startswith("Component") else name_of(name)
    ends = (value if low is None else low, value if high is None else high)
    return Dot(shown, value, *ends, null, sentence)
