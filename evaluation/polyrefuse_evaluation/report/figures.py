"""The figures for print: compliance before and after ablation, over-refusal, and outcomes.

The paper's figure 1 with Wilson whiskers. Colours are Okabe and Ito's, apart in greyscale, and each
series has a hatch of its own. The same result gives the same bytes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from polyrefuse.atomic import whole_file
from polyrefuse.errors import RunDirectoryError
from polyrefuse.prompts import Label
from polyrefuse.results import Result
from polyrefuse_evaluation.report import views
from polyrefuse_evaluation.report.outcome_figure import INK, draw_outcomes

FOLDER = "figures"

_BASELINE = ("#0072B2", "")
_CONTROL = ("#FFFFFF", "xxxx")
_ABLATED = (("#D55E00", "////"), ("#E69F00", "...."), ("#F0E442", "\\\\\\\\"), ("#CC79A7", "----"))
_STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "hatch.linewidth": 0.5,
    "svg.hashsalt": "polyrefuse",
    "svg.fonttype": "path",
    "axes.linewidth": 0.6,
}
_WIDTH_INCHES = 7.2
_PANEL_INCHES = 2.5


def write_figures(result: Result, folder: Path) -> list[Path]:
    """Write the figures as SVG and PNG into `folder`/figures and return their paths.

    A figure without cells to show (no harmless prompts, say) is left out. Rates of cells with too
    many unparsed responses are marked, and the figure says what the mark means.

    Raises:
        RunDirectoryError: a figure cannot be written.
    """
    target = folder / FOLDER
    wanted: list[tuple[str, Label, views.Measured, str]] = [
        ("compliance", "harmful", "compliance", "Compliance with\nharmful prompts (%)"),
        ("over_refusal", "harmless", "refusal", "Refusal of\nharmless prompts (%)"),
    ]
    written = []
    try:
        target.mkdir(parents=True, exist_ok=True)
        for name, label, measured, axis in wanted:
            if views.has_label(result, label):
                with matplotlib.style.context(["default", _STYLE]):
                    figure = _draw(result, label, measured, axis)
                    written += _save(figure, target / name, f"{axis}: {result.model.name}")
        with matplotlib.style.context(["default", _STYLE]):
            title = f"Outcomes of responses: {result.model.name}"
            written += _save(draw_outcomes(result), target / "outcomes", title)
    except OSError as error:
        raise RunDirectoryError(
            f"{target}: figures cannot be written ({error.strerror}).",
            "Free some space or make the folder writable, then run the same command again.",
        ) from error
    return written


def _save(figure: Figure, stem: Path, title: str) -> list[Path]:
    title = views.clean(title).replace("\n", " ")
    svg, png = stem.with_suffix(".svg"), stem.with_suffix(".png")
    with whole_file(svg) as partial:
        figure.savefig(partial, format="svg", metadata={"Date": None, "Title": title})
    about = {"Software": None, "Title": title.encode("ascii", "replace").decode()}
    with whole_file(png) as partial:
        figure.savefig(partial, format="png", dpi=200, metadata=about)
    return [svg, png]


def _draw(result: Result, label: Label, measured: views.Measured, axis: str) -> Figure:
    """Draw one panel per group of conditions, sharing the languages below."""
    groups = views.panels(views.conditions(result))
    height = _PANEL_INCHES * len(groups) + 0.4
    figure = Figure(figsize=(_WIDTH_INCHES, height), layout="constrained")
    panels = figure.subplots(len(groups), 1, squeeze=False, sharex=True)[:, 0]
    for axes, group in zip(panels, groups, strict=True):
        rows = views.language_rows(result, label, measured, group)
        _draw_panel(axes, rows, group)
        axes.set_ylabel(axis)
    names = [f"{row.language.name} ({row.language.code})" for row in rows]
    panels[-1].set_xticks(
        range(len(names)),
        [views.plot_text(name) for name in names],
        rotation=40,
        ha="right",
        rotation_mode="anchor",
    )
    if any(cell.marked for cell in result.cells if cell.label == label):
        figure.supxlabel(views.MARK_IN_PRINT, fontsize=7)
    return figure


def _draw_panel(
    axes: Axes, rows: Sequence[views.LanguageRow], group: Sequence[views.Condition]
) -> None:
    width = 0.84 / len(group)
    for at, (condition, (colour, hatch)) in enumerate(zip(group, _styles(group), strict=True)):
        offset = (at - (len(group) - 1) / 2) * width
        shown = [(place, row.measures[at]) for place, row in enumerate(rows)]
        _draw_series(axes, shown, offset, width, colour, hatch, views.plot_text(condition.name))
    axes.set_ylim(0, 103)
    axes.set_xlim(-0.55, len(rows) - 0.45)
    axes.set_yticks([0, 25, 50, 75, 100])
    axes.grid(axis="y", color="#dddddd", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="x", length=0)
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=3 if len(group) > 3 else len(group),
        frameon=False,
        handlelength=1.6,
        borderaxespad=0.2,
        columnspacing=1.4,
    )


def _draw_series(
    axes: Axes,
    shown: Sequence[tuple[int, views.Measure | None]],
    offset: float,
    width: float,
    colour: str,
    hatch: str,
    name: str,
) -> None:
    """Draw the bars and whiskers of one condition; nothing where nothing was judged."""
    places, heights, below, above = [], [], [], []
    for place, measure in shown:
        if measure is None or measure.value is None:
            continue
        low = measure.value if measure.low is None else measure.low
        high = measure.value if measure.high is None else measure.high
        places.append(place + offset)
        heights.append(100 * measure.value)
        below.append(100 * max(measure.value - low, 0))
        above.append(100 * max(high - measure.value, 0))
        if measure.marked:
            axes.annotate(
                views.MARK,
                (places[-1], heights[-1] + above[-1]),
                xytext=(0, 2),
                textcoords="offset points",
                ha="center",
                fontsize=7,
                color="#8A1509",
                fontweight="bold",
                annotation_clip=False,
            )
    axes.bar(
        places,
        heights,
        width,
        label=name,
        color=colour,
        hatch=hatch,
        edgecolor=INK,
        linewidth=0.5,
        yerr=[below, above] if places else None,
        error_kw={"ecolor": "#000000", "elinewidth": 0.7, "capsize": 1.4, "capthick": 0.7},
    )


def _styles(group: Sequence[views.Condition]) -> list[tuple[str, str]]:
    ablated = iter(_ABLATED)
    fixed = {"baseline": _BASELINE, "control": _CONTROL}
    return [fixed.get(condition.role) or next(ablated) for condition in group]
