"""The figures of a residual-space run, as SVG and PNG; the same tables give the same bytes."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from polyrefuse_evaluation.geometry import drawing
from polyrefuse_evaluation.residual_space.effects import Effects
from polyrefuse_evaluation.residual_space.graph import graph_figure
from polyrefuse_evaluation.residual_space.layers import LayerTables
from polyrefuse_evaluation.residual_space.rows import CONTROL, EffectRow, ProbeRow

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P")
GREY = "#777777"
SHOWN = 4
"""Components drawn as lines."""


def write_figures(
    folder: Path, tables: LayerTables, effects: Effects, reference: int | None
) -> dict[str, str]:
    """Write the figures that have something to show; return title by name.

    Raises:
        RunDirectoryError: a figure cannot be written.
    """
    wanted: list[tuple[str, str, Callable[[], Figure], bool]] = [
        (
            "spectrum",
            "How many directions: variances at one layer, and effective rank by layer",
            lambda: _spectrum(tables, reference),
            bool(tables.spectrum),
        ),
        (
            "probes",
            "How well a component predicts refusal on held-out prompts, by layer",
            lambda: _probes(tables.probes),
            any(row.auroc is not None for row in tables.probes),
        ),
        (
            "cosines",
            "Cosine of the dominant component with each language's refusal direction",
            lambda: _cosines(tables),
            any(row.cosine is not None for row in tables.cosines),
        ),
        (
            "graph",
            "What feeds each component from one block input to the next",
            lambda: graph_figure(effects.edges),
            bool(effects.edges),
        ),
        (
            "effects",
            "Refusal with components removed, and by dose of the dominant one",
            lambda: _effects(effects.effects),
            bool(effects.effects),
        ),
    ]
    shown = {}
    for name, title, draw, there in wanted:
        if there:
            drawing.save(draw, folder, name, title)
            shown[name] = title
    return shown


def _spectrum(tables: LayerTables, reference: int | None) -> Figure:
    figure = Figure(figsize=(drawing.WIDTH, 2.7), layout="constrained")
    left, right = figure.subplots(1, 2)
    layers = sorted({row.layer for row in tables.spectrum})
    layer = layers[-1] if reference is None else reference
    here = [row for row in tables.spectrum if row.layer == layer]
    edge = next(row.noise_edge for row in tables.layers if row.layer == layer)
    places = [row.component for row in here]
    left.semilogy(places, [row.variance for row in here], "o-", color=COLOURS[0], label="Shift")
    null = [(row.component, row.null_variance) for row in here if row.null_variance]
    if null:
        left.semilogy(*zip(*null, strict=True), "x--", color=GREY, label="Base against base")
    if edge:
        left.axhline(edge, color="#000000", linewidth=0.8, linestyle=":", label="Noise edge")
    left.set_xlabel(f"Component at layer {layer}")
    left.set_ylabel("Variance")
    left.legend(frameon=False)
    for (threshold, colour), marker in zip(
        zip((0.5, 0.7, 0.9), COLOURS, strict=False), MARKERS, strict=False
    ):
        found = [row for row in tables.ranks if row.threshold == threshold]
        x = [row.layer for row in found]
        right.fill_between(
            x, [row.low for row in found], [row.high for row in found], color=colour, alpha=0.2
        )
        right.plot(
            x,
            [row.rank for row in found],
            marker=marker,
            color=colour,
            label=f"{threshold:.0%} of the variance",
        )
    right.set_xlabel("Layer")
    right.set_ylabel("Effective rank")
    highest = max((row.high for row in tables.ranks), default=1)
    right.set_ylim(0, 1.35 * highest + 0.3)
    right.xaxis.get_major_locator().set_params(integer=True)
    right.yaxis.get_major_locator().set_params(integer=True)
    right.legend(frameon=False, ncols=1, loc="upper left")
    for axes in (left, right):
        drawing.plain_axes(axes)
    return figure


def _probes(probes: Sequence[ProbeRow]) -> Figure:
    figure = Figure(figsize=(drawing.WIDTH, 2.7), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, projected in zip(panels, ("shift", "tuned"), strict=True):
        chosen = [
            row
            for row in probes
            if row.projected == projected and row.answers == "tuned" and row.auroc is not None
        ]
        _null_band(axes, [row for row in chosen if row.component == CONTROL])
        for component in range(SHOWN):
            found = [row for row in chosen if row.component == component]
            axes.plot(
                [row.layer for row in found],
                [row.auroc if row.auroc is not None else np.nan for row in found],
                marker=MARKERS[component],
                color=COLOURS[component],
                markersize=4,
                label=f"Component {component}",
            )
        axes.set_title(
            "Projection of the shift" if projected == "shift" else "Projection of the tuned model",
            loc="left",
        )
        axes.set_xlabel("Layer")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_ylim(0, 1.03)
        drawing.plain_axes(axes)
    panels[0].set_ylabel("AUROC, tuned model's refusals")
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, frameon=False, ncols=3, loc="outside upper left")
    return figure


def _null_band(axes: Axes, control: Sequence[ProbeRow]) -> None:
    x = [row.layer for row in control]
    low = [row.null_low or 0.0 for row in control]
    high = [row.null_high or 0.0 for row in control]
    axes.fill_between(x, low, high, color="#000000", alpha=0.12, linewidth=0)
    y = [row.auroc if row.auroc is not None else np.nan for row in control]
    axes.plot(x, y, "x--", color=GREY, markersize=4, label="Random, orthogonal (band: its null)")


def _cosines(tables: LayerTables) -> Figure:
    layers = sorted({row.layer for row in tables.cosines})
    languages = list(dict.fromkeys(row.language for row in tables.cosines))
    components = sorted({row.component for row in tables.cosines})[:3]
    height = 0.6 + 0.22 * len(languages) * len(components)
    figure = Figure(figsize=(drawing.WIDTH, max(2.4, height)), layout="constrained")
    panels = figure.subplots(len(components), 1, squeeze=False, sharex=True)[:, 0]
    for axes, component in zip(panels, components, strict=True):
        values = drawing.matrix(
            {
                (row.language, str(row.layer)): row.cosine
                for row in tables.cosines
                if row.component == component
            },
            languages,
            [str(layer) for layer in layers],
        )
        text = drawing.cosine_text if len(layers) <= 16 else None
        image = drawing.heat(axes, values, -1, 1, text=text)
        drawing.label_rows(axes, languages)
        axes.set_title(f"Component {component}", loc="left")
    step = max(1, -(-len(layers) // 16))
    panels[-1].set_xticks(range(0, len(layers), step), [str(layer) for layer in layers[::step]])
    panels[-1].set_xlabel("Layer")
    figure.colorbar(image, ax=list(panels), shrink=0.6, aspect=25)
    return figure


def _effects(effects: Sequence[EffectRow]) -> Figure:
    figure = Figure(figsize=(drawing.WIDTH, 3.0), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[2, 1])
    overall = [row for row in effects if row.language == "all"]
    harmful = [row for row in overall if row.label == "harmful"]
    sizes = {row.group: row.judged for row in harmful if row.group != "all"}
    framings = sorted(sizes, key=lambda name: (-sizes[name], name))
    few = 1 < len(framings) <= 5
    groups = [("harmful", name) for name in framings] if few else [("harmful", "all")]
    groups.append(("harmless", "all"))
    whole = [row for row in overall if row.dose == 1.0]
    conditions = list(dict.fromkeys(row.condition for row in whole))
    width = 0.84 / len(groups)
    for at, (label, group) in enumerate(groups):
        found = {row.condition: row for row in whole if row.label == label and row.group == group}
        places = np.arange(len(conditions)) + (at - (len(groups) - 1) / 2) * width
        rates = [_percent(found.get(name), "refusal") for name in conditions]
        bounds = [
            [_percent(found.get(name), side) for name in conditions] for side in ("low", "high")
        ]
        errors = np.abs(np.array(bounds) - np.array(rates))
        name = "Harmless" if label == "harmless" else f"Harmful, {group}" if few else "Harmful"
        left.bar(
            places,
            rates,
            width,
            yerr=errors,
            label=name,
            color=COLOURS[at % len(COLOURS)],
            hatch=("", "////", "....", "xxxx", "----", "\\\\\\\\")[at % 6],
            edgecolor=drawing.INK,
            linewidth=0.5,
            error_kw={"elinewidth": 0.7, "capsize": 1.4},
        )
    names = [name.replace("component-", "component ").replace("-", " ") for name in conditions]
    left.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor")
    left.set_ylabel("Refusal (%)")
    left.set_xlabel("Removed at every layer")
    figure.legend(
        *left.get_legend_handles_labels(), frameon=False, ncols=4, loc="outside upper left"
    )
    _dose(right, overall)
    for axes in (left, right):
        axes.set_ylim(0, 103)
        drawing.plain_axes(axes)
    return figure


def _dose(axes: Axes, overall: Sequence[EffectRow]) -> None:
    for index, label in enumerate(("harmful", "harmless")):
        found = [
            row
            for row in overall
            if row.label == label
            and row.group == "all"
            and row.condition in ("none", "component-0")
        ]
        curve = sorted(
            ((0.0 if row.condition == "none" else row.dose, row) for row in found),
            key=lambda point: point[0],
        )
        axes.plot(
            [dose for dose, _ in curve],
            [_percent(row, "refusal") for _, row in curve],
            marker=MARKERS[index],
            color=COLOURS[index],
            label=label.capitalize(),
        )
    axes.set_xlabel("Share of component 0 removed")
    axes.legend(frameon=False)


def _percent(row: EffectRow | None, name: str) -> float:
    value = None if row is None else getattr(row, name)
    return float("nan") if value is None else 100 * float(value)
