"""The figure of outcomes for print: stacked bars, a panel per condition, for each label.

Apart in colour, in lightness and in hatch. Knows how to draw; what is drawn is in outcomes.py.
"""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from polyrefuse.outcomes import Outcome
from polyrefuse.results import Result
from polyrefuse_evaluation.report import outcomes, views

INK = "#222222"
STYLES: dict[str, tuple[str, str]] = {
    Outcome.REFUSED: ("#35388C", ""),
    outcomes.FILTERED: ("#A9ABDB", "||||"),
    Outcome.DEFLECTED: ("#BFE6DE", "...."),
    Outcome.COMPLIED: ("#E0A21E", "////"),
    Outcome.BROKEN: ("#6B7480", "xxxx"),
    Outcome.UNPARSED: ("#FFFFFF", "\\\\\\\\"),
}
"""Colour and hatch of each part."""

_COLUMNS = 8
_WIDTH_INCHES = 7.2
_LANGUAGE_INCHES = 0.15


def draw_outcomes(result: Result) -> Figure:
    """Draw every label and condition of a result; the legend names only parts that occur."""
    charts = outcomes.mix_charts(result)
    panels = [(chart, at) for chart in charts for at in range(0, _count(chart), _COLUMNS)]
    columns = min(_COLUMNS, max(_count(chart) for chart in charts))
    height = len(panels) * (0.55 + _LANGUAGE_INCHES * len(charts[0].rows)) + 0.6
    figure = Figure(figsize=(_WIDTH_INCHES, height), layout="constrained")
    grid = figure.subplots(len(panels), columns, squeeze=False, sharex=True, sharey=True)
    for row, (chart, start) in zip(grid, panels, strict=True):
        shown = range(start, min(start + _COLUMNS, _count(chart)))
        for axes in row[len(shown) :]:
            axes.set_axis_off()
        for axes, at in zip(row, shown, strict=False):
            _draw_panel(axes, chart, at)
        row[0].set_ylabel(f"{chart.label.capitalize()} prompts")
    used = set().union(*(chart.used for chart in charts))
    handles = [_patch(key) for key in STYLES if key in used]
    figure.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False)
    note = "Share of responses (%)"
    if any(len(chart.columns.conditions) > 1 for chart in charts):
        note += ". − X: direction X ablated; Random: a random direction ablated"
    if any(chart.has_marks for chart in charts):
        note += f"\n{views.MARK_IN_PRINT}"
    figure.supxlabel(note, fontsize=8)
    return figure


def _draw_panel(axes: Axes, chart: outcomes.MixChart, at: int) -> None:
    for place, row in enumerate(chart.rows):
        mix = row.mixes[at]
        left = 0.0
        for part in mix.parts if mix else ():
            colour, hatch = STYLES[part.key]
            axes.barh(
                place,
                100 * part.share,
                0.78,
                left=left,
                color=colour,
                hatch=hatch,
                edgecolor=INK,
                linewidth=0.4,
            )
            left += 100 * part.share
        if mix and mix.marked:
            axes.annotate(views.MARK, (101, place), va="center", fontsize=8, annotation_clip=False)
    condition = chart.columns.conditions[at]
    title = condition.short if condition.role != "ablated" else f"− {condition.short}"
    axes.set_title(views.plot_text(title), fontsize=7)
    names = [f"{row.language.name} ({row.language.code})" for row in chart.rows]
    axes.set_yticks(range(len(names)), [views.plot_text(name) for name in names], fontsize=7)
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.set_xlim(0, 100)
    axes.set_xticks([0, 50, 100])
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=7)


def _count(chart: outcomes.MixChart) -> int:
    return len(chart.columns.conditions)


def _patch(key: str) -> Patch:
    colour, hatch = STYLES[key]
    name = outcomes.PART_NAMES[key]
    return Patch(facecolor=colour, hatch=hatch, edgecolor=INK, linewidth=0.4, label=name)
