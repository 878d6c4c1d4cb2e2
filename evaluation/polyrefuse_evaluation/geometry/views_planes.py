"""Planes of the page: principal components, and silhouette against base compliance."""

from polyrefuse_evaluation.geometry.analyse import CENTRED, OWN, SHARED
from polyrefuse_evaluation.geometry.drawing import name_of
from polyrefuse_evaluation.geometry.results import GeometryTables
from polyrefuse_evaluation.geometry.transfer_rows import NONE
from polyrefuse_evaluation.geometry.views import Mark, Plane, Step, bounds
from polyrefuse_evaluation.report.views import number, percent


def planes(tables: GeometryTables) -> list[Plane]:
    """Return the shared planes, then each language's own."""
    titles = {SHARED: "All languages together", CENTRED: "Each language's own mean taken off"}
    found = [_plane(tables, basis, None, title) for basis, title in titles.items()]
    return found + [_plane(tables, OWN, code, name_of(code)) for code in tables.analysed]


def _plane(tables: GeometryTables, basis: str, language: str | None, title: str) -> Plane:
    points = [p for p in tables.points if p.basis == basis and language in (None, p.language)]
    arrows = [a for a in tables.arrows if a.basis == basis and language in (None, a.language)]
    own = [p for p in tables.points if p.basis == basis]  # own planes share one scale
    left, right = min(p.x for p in own), max(p.x for p in own)
    bottom, top = min(p.y for p in own), max(p.y for p in own)

    def place(x: float, y: float) -> tuple[float, float]:
        return (x - left) / max(right - left, 1e-9), (top - y) / max(top - bottom, 1e-9)

    marks = tuple(
        Mark(*place(p.x, p.y), p.label, f"{name_of(p.language)}, {p.label}: {p.x:.1f}, {p.y:.1f}")
        for p in points
    )
    steps = tuple(
        Step(
            *place(a.from_x, a.from_y),
            *place(a.to_x, a.to_y),
            a.language,
            f"{name_of(a.language)}, layer {tables.layer}: from harmless to harmful "
            f"{a.to_x - a.from_x:+.1f}, {a.to_y - a.from_y:+.1f}; "
            f"{100 * a.in_plane:.0f}% of the difference lies in this plane",
        )
        for a in arrows
    )
    first = arrows[0]
    return Plane(
        title,
        f"Component 1 ({100 * first.explained_x:.0f}% of variance)",
        f"Component 2 ({100 * first.explained_y:.0f}%)",
        marks,
        steps,
        small=language is not None,
    )


def compliance_plane(tables: GeometryTables) -> Plane | None:
    """Return silhouette at the reference layer against base compliance; None without answers."""
    base = {r.target: r for r in tables.transfer if r.intervention == NONE and r.label == "harmful"}
    rows = [
        r
        for r in tables.separation
        if r.layer == tables.layer and r.silhouette is not None and r.language in base
    ]
    if not rows:
        return None
    values = [row.silhouette or 0 for row in rows]
    low, high = min(0.0, *values), max(0.1, *values)
    marks = []
    for row, value in zip(rows, values, strict=True):
        cell = base[row.language]
        if cell.compliance is not None:
            sentence = (
                f"{name_of(row.language)}, layer {row.layer}: silhouette "
                f"{bounds(row.silhouette, row.silhouette_low, row.silhouette_high)}, "
                f"base compliance {percent(cell.compliance)}% [{percent(cell.compliance_low)}, "
                f"{percent(cell.compliance_high)}]"
            )
            marks.append(
                Mark((value - low) / (high - low), 1 - cell.compliance, row.language, sentence)
            )
    across = f"Silhouette, {number(low)} to {number(high)}"
    marks.sort(key=lambda mark: mark.x)  # neighbours get labels at different heights
    return Plane(
        "Silhouette and base compliance", across, "Compliance, 0 to 100%", tuple(marks), ()
    )
