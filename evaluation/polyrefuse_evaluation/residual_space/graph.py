"""The layer x component graph: what feeds each component from one block input to the next."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from polyrefuse_evaluation.geometry import drawing
from polyrefuse_evaluation.residual_space.rows import EdgeRow

SHOWN = 4
"""Components drawn as nodes."""

GRAPH_LAYERS = 12
"""Block inputs at most: the last ones."""

WEAKEST = 0.01
"""Edges with a smaller share of relevance are left out."""


def graph_figure(edges: Sequence[EdgeRow]) -> Figure:
    """Draw components as nodes, layers as columns; lines as wide as their share of relevance."""
    layers = sorted({row.layer for row in edges})[-GRAPH_LAYERS:]
    shown = [row for row in edges if row.layer in layers and row.target < SHOWN]
    figure = Figure(figsize=(drawing.WIDTH, 3.4), layout="constrained")
    axes = figure.subplots()
    sources = {f"component-{index}": index for index in range(SHOWN)}
    sources |= {"rest": SHOWN, "elsewhere": SHOWN + 1}
    names = [f"Component {index}" for index in range(SHOWN)] + ["Rest, last token", "Other tokens"]
    columns = range(layers[0] - 1, layers[-1] + 1)
    nodes = {(row.layer - 1, sources[row.source]) for row in shown if row.source in sources}
    nodes |= {(row.layer, row.target) for row in shown}
    for layer, place in sorted(nodes):
        axes.plot(layer, place, "o", color="#ffffff", mec=drawing.INK, markersize=7)
    signs = _signs(edges)
    for row in shown:
        if row.source in sources and abs(row.share) >= WEAKEST:
            share = row.share * signs[row.layer, row.target]
            colour = "#0072B2" if share > 0 else "#D55E00"
            arrow = FancyArrowPatch(
                (row.layer - 1, sources[row.source]),
                (row.layer, row.target),
                arrowstyle="-",
                linestyle="-" if share > 0 else "--",
                linewidth=5 * abs(row.share),
                color=colour,
                alpha=0.75,
                shrinkA=5,
                shrinkB=5,
            )
            axes.add_patch(arrow)
    axes.set_yticks(range(len(names)), names)
    axes.set_xticks(list(columns), [str(layer) for layer in columns])
    axes.set_xlabel("Block input")
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(columns[0] - 0.4, columns[-1] + 0.4)
    axes.set_title(
        "Blue supports the component's coordinate; orange, dashed works against it", loc="left"
    )
    drawing.plain_axes(axes)
    axes.tick_params(length=0)
    return figure


def _signs(edges: Sequence[EdgeRow]) -> dict[tuple[int, int], float]:
    """Return the sign of each target's mean coordinate: the sum of what feeds it."""
    totals: dict[tuple[int, int], float] = {}
    for row in edges:
        totals[row.layer, row.target] = totals.get((row.layer, row.target), 0.0) + row.relevance
    return {key: 1.0 if total >= 0 else -1.0 for key, total in totals.items()}
