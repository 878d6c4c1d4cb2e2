"""Figures of cosines: the paper's figure 4, and language by language at one and at all layers."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from polyrefuse_evaluation.geometry import drawing as d
from polyrefuse_evaluation.geometry.analyse_cosines import LAYERS, PAIR
from polyrefuse_evaluation.geometry.results import GeometryTables

COLUMNS = 4


def _floor(values: Sequence[float]) -> float:
    """Return where the colours begin: 0, or the lowest cosine rounded down to a tenth."""
    finite = [x for x in values if np.isfinite(x)]
    return min(0.0, math.floor(10 * min(finite)) / 10) if finite else 0.0


def source_layers(tables: GeometryTables) -> Figure:
    """Draw each source's direction against each target's difference at every layer (figure 4)."""
    rows = [row for row in tables.cosines if row.kind == LAYERS]
    sources = [x for x in tables.analysed if x in {row.source for row in rows}]
    columns = min(COLUMNS, len(sources))
    lines = -(-len(sources) // columns)
    figure = Figure(figsize=(d.WIDTH, 0.5 + 1.85 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
    low = _floor([np.nan if row.cosine is None else row.cosine for row in rows])
    targets = tables.analysed
    image = None
    for at, axes in enumerate(panels.flat):
        if at >= len(sources):
            axes.set_axis_off()
            continue
        own = [row for row in rows if row.source == sources[at]]
        values = np.full((len(targets), tables.layers), np.nan)
        for row in own:
            if row.cosine is not None:
                values[targets.index(row.target), row.layer] = row.cosine
        image = d.heat(axes, values, low, 1)
        axes.axvline(own[0].source_layer, color="#ffffff", linewidth=2.2)
        axes.axvline(own[0].source_layer, color="#000000", linewidth=0.8, linestyle="--")
        axes.set_title(
            f"{d.name_of(sources[at])} at −{-own[0].position}, {own[0].source_layer}", fontsize=7
        )
        axes.set_yticks(range(len(targets)), targets, fontsize=5.5)
        d.layer_ticks(axes, tables.layers)
        axes.tick_params(labelbottom=at + columns >= len(sources))
    if image is not None:
        figure.colorbar(image, ax=panels, shrink=0.4, aspect=25, label="Cosine")
    figure.supxlabel("Layer of the target's difference in means", fontsize=8)
    return figure


def pair_matrix(tables: GeometryTables) -> Figure:
    """Draw language x language at the reference layer, with values; what is within the null."""
    rows = [row for row in tables.cosines if row.kind == PAIR and row.layer == tables.layer]
    languages = tables.analysed
    values = d.matrix({(r.source, r.target): r.cosine for r in rows}, languages, languages)
    figure = Figure(figsize=(d.WIDTH, 4.4), layout="constrained")
    axes = figure.subplots()
    low = _floor(list(values.ravel()))
    image = d.heat(axes, values, low, 1, text=d.cosine_text, size=6.5)
    for row in rows:
        if row.source != row.target and not beyond_null(row.low, row.high, row.null_bound):
            at = languages.index(row.target), languages.index(row.source)
            axes.plot(at[0] + 0.36, at[1] - 0.34, "o", markersize=2.4, markerfacecolor="#ffffff",
                      markeredgecolor="#000000", markeredgewidth=0.5)  # fmt: skip
    d.label_rows(axes, languages)
    d.label_columns(axes, languages)
    axes.set_title(
        f"Cosine between directions, position −{-tables.position}, layer {tables.layer} "
        "(○ interval not beyond the null)",
        loc="left",
    )
    figure.colorbar(image, ax=axes, shrink=0.6, aspect=25, label="Cosine")
    return figure


def beyond_null(low: float | None, high: float | None, bound: float | None) -> bool:
    """Whether an interval lies beyond the null on either side."""
    if low is None or high is None or bound is None:
        return False
    return low > bound or high < -bound


def pair_layers(tables: GeometryTables) -> Figure:
    """Draw language x language at every layer, as small multiples."""
    rows = [row for row in tables.cosines if row.kind == PAIR]
    languages = tables.analysed
    columns = min(COLUMNS if tables.layers <= 16 else 6, tables.layers)
    lines = -(-tables.layers // columns)
    side = d.WIDTH / columns
    figure = Figure(figsize=(d.WIDTH, 0.5 + 1.05 * side * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
    low = _floor([np.nan if row.cosine is None else row.cosine for row in rows])
    image = None
    for layer, axes in enumerate(panels.flat):
        if layer >= tables.layers:
            axes.set_axis_off()
            continue
        here = {(r.source, r.target): r.cosine for r in rows if r.layer == layer}
        image = d.heat(axes, d.matrix(here, languages, languages), low, 1)
        chosen = " (reference)" if layer == tables.layer else ""
        axes.set_title(f"Layer {layer}{chosen}", fontsize=7)
        size = 5.0 if columns <= COLUMNS else 4.5
        axes.set_xticks(range(len(languages)), languages, fontsize=size, rotation=90)
        axes.set_yticks(range(len(languages)), languages, fontsize=size)
    if image is not None:
        figure.colorbar(image, ax=panels, shrink=0.6, aspect=25, label="Cosine")
    return figure
