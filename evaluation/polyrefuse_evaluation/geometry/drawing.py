"""What all figures share: style, heat maps, labels that do not collide, files that do not change.

Cividis runs evenly from dark to light, so colours are safe for the colour-blind and readable in
greyscale; what is missing is hatched. Names are English with codes: matplotlib joins no Arabic.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from polyrefuse.atomic import whole_file
from polyrefuse_evaluation.geometry.groups import Array
from polyrefuse_evaluation.report import views
from polyrefuse_evaluation.run_directory import io_errors

FOLDER = "figures"
WIDTH = 7.2
INK = "#222222"
HARMFUL_COLOUR, HARMLESS_COLOUR = "#D55E00", "#56B4E9"
CMAP = "cividis"
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.linewidth": 0.6,
    "hatch.linewidth": 0.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "svg.hashsalt": "polyrefuse",
    "svg.fonttype": "path",
}

Key = tuple[str, str]


def name_of(code: str) -> str:
    """Return how a figure names a language or a control."""
    fixed = {
        "": "No intervention",
        "random": "Random direction",
        "harmless": "Harmless direction",
        "shared-1": "Shared direction",
    }
    if code in fixed:
        return fixed[code]
    if code.startswith("shared-"):
        return f"Shared, rank {code.removeprefix('shared-')}"
    return f"{views.language_of(code).name} ({code})"


def save(figure: Callable[[], Figure], folder: Path, name: str, title: str) -> list[Path]:
    """Draw in the common style and write ``figures/<name>.svg`` and ``.png``.

    Raises:
        RunDirectoryError: a file cannot be written.
    """
    svg = folder / FOLDER / f"{name}.svg"
    png = svg.with_suffix(".png")
    with io_errors(svg):
        svg.parent.mkdir(parents=True, exist_ok=True)
        with matplotlib.style.context(["default", STYLE]):
            drawn = figure()
            with whole_file(svg) as partial:
                about = {"Date": None, "Title": title}
                drawn.savefig(partial, format="svg", metadata=about)
            with whole_file(png) as partial:
                about = {"Software": None, "Title": title}
                drawn.savefig(partial, format="png", dpi=200, metadata=about)
    return [svg, png]


def matrix(
    values: Mapping[Key, float | None], rows: Sequence[str], columns: Sequence[str]
) -> Array:
    """Return values as (rows, columns), NaN where there is none."""
    found = [[values.get((row, column)) for column in columns] for row in rows]
    return np.array([[np.nan if x is None else x for x in row] for row in found], dtype=float)


def heat(
    axes: Axes,
    values: Array,
    low: float,
    high: float,
    *,
    text: Callable[[float], str] | None = None,
    size: float = 6.0,
) -> AxesImage:
    """Draw a heat map; hatch what is missing; write each value if `text` says how."""
    axes.set_facecolor("#ffffff")
    for row, column in zip(*np.nonzero(~np.isfinite(values)), strict=True):
        axes.fill_between(
            [column - 0.5, column + 0.5],
            row - 0.5,
            row + 0.5,
            facecolor="#f2f2f2",
            edgecolor="#999999",
            hatch="////",
            linewidth=0,
        )
    image = axes.imshow(values, cmap=CMAP, vmin=low, vmax=high, aspect="auto", interpolation="none")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    _gaps(axes, values)
    if text is not None:
        scale = colormaps[CMAP]
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                share = float(np.clip((value - low) / max(high - low, 1e-9), 0, 1))
                red, green, blue, _ = scale(share)
                dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
                axes.text(
                    column,
                    row,
                    text(float(value)),
                    ha="center",
                    va="center",
                    fontsize=size,
                    color="#ffffff" if dark else "#000000",
                )
    return image


def _gaps(axes: Axes, values: Array) -> None:
    """Part the cells by thin white lines."""
    for at in range(1, values.shape[0]):
        axes.axhline(at - 0.5, color="#ffffff", linewidth=0.4)
    for at in range(1, values.shape[1]):
        axes.axvline(at - 0.5, color="#ffffff", linewidth=0.4)


def label_rows(axes: Axes, rows: Sequence[str], size: float = 7) -> None:
    """Name the rows of a heat map."""
    axes.set_yticks(range(len(rows)), [name_of(row) for row in rows], fontsize=size)


def label_columns(
    axes: Axes, columns: Sequence[str], size: float = 7, *, top: bool = False
) -> None:
    """Put the codes of the columns under a heat map, or over it."""
    axes.set_xticks(range(len(columns)), list(columns), fontsize=size)
    if top:
        axes.tick_params(axis="x", labeltop=True, labelbottom=False)


def layer_ticks(axes: Axes, layers: int, size: float = 6) -> None:
    """Number the layers of a heat map, at most nine of them."""
    step = max(1, -(-layers // 9))
    shown = list(range(0, layers, step))
    axes.set_xticks(shown, [str(layer) for layer in shown], fontsize=size)


def label_lane(
    axes: Axes, labels: Sequence[str], xs: Sequence[float], ys: Sequence[float], size: float = 6.5
) -> None:
    """Write labels in a lane on the right, each joined by a thin line to its point.

    They are kept apart, and their lines do not cross, so that 14 points in one place can be read.
    """
    low, high = axes.get_ylim()
    left, right = axes.get_xlim()
    step = (high - low) / max(len(labels) + 1, 18)
    order = [int(i) for i in np.argsort(ys, kind="stable")]
    places = [ys[i] for i in order]
    for at in range(1, len(places)):
        places[at] = max(places[at], places[at - 1] + step)
    shift = float(np.mean(ys)) - float(np.mean(places))
    shift = min(max(shift, low + step / 2 - places[0]), high - step / 2 - places[-1])
    places = [place + shift for place in places]
    lane = right + 0.04 * (right - left)
    _uncross(order, places, xs, ys, lane)
    for place, i in zip(places, order, strict=True):
        axes.plot([xs[i], lane], [ys[i], place], color="#777777", linewidth=0.4, clip_on=False)
        axes.annotate(labels[i], (lane, place), (2, 0), textcoords="offset points", va="center",
                      fontsize=size, annotation_clip=False)  # fmt: skip
    axes.set_xlim(left, right)
    axes.set_ylim(low, high)


def _uncross(
    order: list[int], places: Sequence[float], xs: Sequence[float], ys: Sequence[float], lane: float
) -> None:
    """Swap neighbours in `order` until no two neighbours' lines cross; each swap shortens them."""
    for _ in order:
        for at in range(len(order) - 1):
            lower, upper = order[at], order[at + 1]
            start = max(xs[lower], xs[upper])

            def height(i: int, place: float, x: float = start) -> float:
                return ys[i] + (place - ys[i]) * (x - xs[i]) / (lane - xs[i])

            if height(lower, places[at]) > height(upper, places[at + 1]):
                order[at], order[at + 1] = upper, lower


def plain_axes(axes: Axes) -> None:
    """Take off the frame on the right and at the top."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)


def percent(value: float) -> str:
    """Return a rate in percent for a cell, without the sign."""
    return views.percent(value)


def cosine_text(value: float) -> str:
    """Return a cosine for a cell: two decimals, no leading zero, a true minus."""
    text = f"{value:.2f}"
    text = text.lstrip("-") if float(text) == 0 else text
    return text.replace("-0.", "−.").replace("0.", ".").replace("-", "−")
