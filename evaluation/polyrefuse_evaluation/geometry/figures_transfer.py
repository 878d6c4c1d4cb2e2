"""Figures of the transfer matrix: heat maps, and the paper's figures 1 and 2 as bars."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from polyrefuse_evaluation.geometry import drawing as d
from polyrefuse_evaluation.geometry.results import GeometryTables
from polyrefuse_evaluation.geometry.rows import TransferRow
from polyrefuse_evaluation.geometry.transfer_rows import ABLATION, ADDITION, NONE

PAPER_SOURCES = ("zh", "de", "th")
_BARS = (
    ("#0072B2", ""),
    ("#D55E00", "////"),
    ("#E69F00", "...."),
    ("#F0E442", "\\\\\\\\"),
    ("#FFFFFF", "xxxx"),
)


def sources_of(rows: Sequence[TransferRow], intervention: str) -> list[str]:
    """Return the sources of an intervention, in order."""
    return list(dict.fromkeys(row.source for row in rows if row.intervention == intervention))


def _matrix(axes: Axes, tables: GeometryTables, intervention: str, label: str, what: str) -> None:
    rows = [
        row
        for row in tables.transfer
        if row.label == label and row.intervention in (NONE, intervention)
    ]
    sources = ["", *sources_of(rows, intervention)]
    targets = tables.analysed
    values = {(row.source, row.target): getattr(row, what) for row in rows}
    d.heat(axes, d.matrix(values, sources, targets), 0, 1, text=d.percent, size=6.5)
    d.label_rows(axes, sources)
    d.label_columns(axes, targets)
    for at in (0.5, 0.5 + sum(s in tables.sourced for s in sources)):
        axes.axhline(at, color="#ffffff", linewidth=2.5)


def ablation_matrix(tables: GeometryTables) -> Figure:
    """Draw refusal and compliance after ablation, source by target."""
    count = 1 + len(sources_of(tables.transfer, ABLATION))
    figure = Figure(figsize=(d.WIDTH, 0.9 + 0.36 * count), layout="constrained")
    panels = figure.subplots(2, 1)
    for axes, what, title in zip(
        panels,
        ("refusal", "compliance"),
        ("Harmful prompts refused (%)", "Harmful prompts complied with (%)"),
        strict=True,
    ):
        _matrix(axes, tables, ABLATION, "harmful", what)
        axes.set_title(f"{title}, by the direction that is ablated (rows)", loc="left")
    panels[-1].set_xlabel("Language of the prompts")
    return figure


def addition_matrix(tables: GeometryTables) -> Figure:
    """Draw refusal of harmless prompts under addition, source by target."""
    count = 1 + len(sources_of(tables.transfer, ADDITION))
    figure = Figure(figsize=(d.WIDTH, 0.7 + 0.19 * count), layout="constrained")
    axes = figure.subplots()
    _matrix(axes, tables, ADDITION, "harmless", "refusal")
    axes.set_title(
        "Harmless prompts refused (%), by the direction that is added (rows)", loc="left"
    )
    axes.set_xlabel("Language of the prompts")
    return figure


def paper_bars(tables: GeometryTables) -> Figure:
    """Draw compliance before and after ablation, with the paper's panels and whiskers."""
    found = sources_of(tables.transfer, ABLATION)
    first = [source for source in ("en",) if source in found] or found[:1]
    others = [source for source in PAPER_SOURCES if source in found]
    panels = [[*first, "random"], others] if others else [[*first, "random"]]
    figure = Figure(figsize=(d.WIDTH, 0.3 + 2.2 * len(panels)), layout="constrained")
    drawn = figure.subplots(len(panels), 1, squeeze=False, sharex=True)[:, 0]
    for axes, sources in zip(drawn, panels, strict=True):
        _bars(axes, tables, ["", *sources])
    names = [d.name_of(code) for code in tables.analysed]
    drawn[-1].set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor")
    return figure


def _bars(axes: Axes, tables: GeometryTables, sources: Sequence[str]) -> None:
    cells = {
        (row.source, row.target): row
        for row in tables.transfer
        if row.label == "harmful" and row.intervention in (NONE, ABLATION)
    }
    width = 0.84 / len(sources)
    ablated = iter(_BARS[1:4])
    for at, source in enumerate(sources):
        colour, hatch = (
            _BARS[0] if source == "" else _BARS[4] if source == "random" else next(ablated)
        )
        shown = [(i, cells.get((source, x))) for i, x in enumerate(tables.analysed)]
        known = [(i, row) for i, row in shown if row is not None and row.compliance is not None]
        heights = [100 * float(row.compliance or 0) for _, row in known]
        below = [
            h - 100 * float(row.compliance_low or 0)
            for h, (_, row) in zip(heights, known, strict=True)
        ]
        above = [
            100 * float(row.compliance_high or 0) - h
            for h, (_, row) in zip(heights, known, strict=True)
        ]
        axes.bar(
            [i + (at - (len(sources) - 1) / 2) * width for i, _ in known],
            heights,
            width,
            label="No ablation" if source == "" else f"{d.name_of(source)} ablated",
            color=colour,
            hatch=hatch,
            edgecolor=d.INK,
            linewidth=0.5,
            yerr=[[max(x, 0) for x in below], [max(x, 0) for x in above]],
            error_kw={"elinewidth": 0.7, "capsize": 1.2, "capthick": 0.7},
        )
    axes.set_ylim(0, 103)
    axes.set_xlim(-0.55, len(tables.analysed) - 0.45)
    axes.set_ylabel("Compliance with\nharmful prompts (%)")
    axes.grid(axis="y", color="#dddddd", linewidth=0.5)
    axes.tick_params(axis="x", length=0)
    d.plain_axes(axes)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=len(sources), frameon=False)
