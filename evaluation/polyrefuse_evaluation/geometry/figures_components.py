"""Figures of principal components (the paper's figures 3 and 5): shared planes, and own planes."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from polyrefuse_evaluation.geometry import drawing as d
from polyrefuse_evaluation.geometry.analyse import CENTRED, OWN, SHARED
from polyrefuse_evaluation.geometry.results import GeometryTables
from polyrefuse_evaluation.geometry.rows import ArrowRow, PointRow

_TITLES = {
    SHARED: "All languages together",
    CENTRED: "Each language's own mean taken off",
}


def _scatter(axes: Axes, points: list[PointRow], size: float) -> None:
    for label, marker, colour, face in (
        ("harmless", "o", d.HARMLESS_COLOUR, "none"),
        ("harmful", "^", d.HARMFUL_COLOUR, d.HARMFUL_COLOUR),
    ):
        own = [p for p in points if p.label == label]
        axes.scatter(
            [p.x for p in own],
            [p.y for p in own],
            s=size,
            marker=marker,
            facecolors=face,
            edgecolors=colour,
            linewidths=0.5,
            alpha=0.55,
            label=label.capitalize(),
            rasterized=True,
        )


def _arrow(axes: Axes, arrow: ArrowRow, width: float = 0.9) -> None:
    for line, colour in ((width + 1.2, "#ffffff"), (width, d.INK)):
        axes.annotate(
            "",
            xy=(arrow.to_x, arrow.to_y),
            xytext=(arrow.from_x, arrow.from_y),
            arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": line,
                        "mutation_scale": 6, "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip


def shared_planes(tables: GeometryTables) -> Figure:
    """Draw all languages in the shared plane, and with each language's mean taken off."""
    figure = Figure(figsize=(d.WIDTH, 6.6), layout="constrained")
    for axes, basis in zip(figure.subplots(2, 1), (SHARED, CENTRED), strict=True):
        points = [p for p in tables.points if p.basis == basis]
        arrows = [a for a in tables.arrows if a.basis == basis]
        _scatter(axes, points, 9)
        for arrow in arrows:
            _arrow(axes, arrow)
        first = arrows[0]
        axes.set_xlabel(f"Component 1 ({100 * first.explained_x:.0f}% of variance)")
        axes.set_ylabel(f"Component 2 ({100 * first.explained_y:.0f}%)")
        axes.set_title(_TITLES[basis], loc="left")
        d.plain_axes(axes)
        d.label_lane(
            axes,
            [d.name_of(a.language) for a in arrows],
            [a.to_x for a in arrows],
            [a.to_y for a in arrows],
        )
        if basis == SHARED:
            axes.legend(loc="lower left", bbox_to_anchor=(0.4, 1.0), ncols=2, frameon=False)
    return figure


def own_planes(tables: GeometryTables) -> Figure:
    """Draw each language in its own plane, all on one scale."""
    languages = tables.analysed
    columns = 5
    lines = -(-len(languages) // columns)
    figure = Figure(figsize=(d.WIDTH, 0.4 + 1.5 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
    for at, axes in enumerate(panels.flat):
        if at >= len(languages):
            axes.set_axis_off()
            continue
        code = languages[at]
        _scatter(axes, [p for p in tables.points if (p.basis, p.language) == (OWN, code)], 5)
        arrow = next(a for a in tables.arrows if (a.basis, a.language) == (OWN, code))
        _arrow(axes, arrow, 0.8)
        axes.set_title(f"{d.name_of(code)}: {100 * arrow.explained_x:.0f}%", fontsize=7)
        axes.tick_params(labelsize=5.5, length=2)
        d.plain_axes(axes)
    figure.supxlabel("Component 1 (its share of the language's variance above)", fontsize=8)
    figure.supylabel("Component 2", fontsize=8)
    return figure
