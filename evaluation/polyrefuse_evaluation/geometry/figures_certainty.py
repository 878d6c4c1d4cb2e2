"""Figures of separation, of how sure the directions are, and of what is beyond one direction."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from polyrefuse_evaluation.geometry import drawing as d
from polyrefuse_evaluation.geometry.analyse_cosines import PAIR
from polyrefuse_evaluation.geometry.results import GeometryTables
from polyrefuse_evaluation.geometry.rows import TransferRow
from polyrefuse_evaluation.geometry.transfer_rows import ABLATION, NONE

_DOT: dict[str, Any] = {
    "linestyle": "none",
    "color": d.INK,
    "markersize": 3.4,
    "elinewidth": 0.8,
    "capsize": 1.6,
}


def separation_figure(tables: GeometryTables) -> Figure:
    """Draw silhouettes by language and layer, and against base compliance where it is known."""
    compliance = {
        row.target: row
        for row in tables.transfer
        if row.intervention == NONE and row.label == "harmful"
    }
    figure = Figure(figsize=(d.WIDTH, 3.3), layout="constrained")
    panels = figure.subplots(1, 2, width_ratios=[1, 1.1]) if compliance else [figure.subplots()]
    languages = tables.analysed
    values = d.matrix(
        {(r.language, str(r.layer)): r.silhouette for r in tables.separation},
        languages,
        [str(layer) for layer in range(tables.layers)],
    )
    finite = values[np.isfinite(values)]
    low, high = (
        (min(0.0, float(finite.min())), max(0.1, float(finite.max())))
        if len(finite)
        else (0.0, 1.0)
    )
    few = tables.layers <= 12
    image = d.heat(panels[0], values, low, high, text=d.cosine_text if few else None)
    d.label_rows(panels[0], languages)
    d.layer_ticks(panels[0], tables.layers)
    panels[0].set_xlabel("Layer")
    panels[0].set_title("Silhouette of harmful against harmless", loc="left")
    if not few:
        figure.colorbar(image, ax=panels[0], shrink=0.6, aspect=25)
    if compliance:
        _against_compliance(panels[1], tables, compliance)
    return figure


def _against_compliance(
    axes: Axes, tables: GeometryTables, compliance: dict[str, TransferRow]
) -> None:
    here = [
        row
        for row in tables.separation
        if row.layer == tables.layer
        and row.silhouette is not None
        and compliance.get(row.language) is not None
        and compliance[row.language].compliance is not None
    ]
    x = [float(row.silhouette or 0) for row in here]
    y = [100 * float(compliance[row.language].compliance or 0) for row in here]
    cells = [compliance[row.language] for row in here]
    axes.errorbar(
        x,
        y,
        xerr=[
            [max(a - float(r.silhouette_low or 0), 0) for a, r in zip(x, here, strict=True)],
            [max(float(r.silhouette_high or 0) - a, 0) for a, r in zip(x, here, strict=True)],
        ],
        yerr=[
            [max(b - 100 * float(c.compliance_low or 0), 0) for b, c in zip(y, cells, strict=True)],
            [
                max(100 * float(c.compliance_high or 0) - b, 0)
                for b, c in zip(y, cells, strict=True)
            ],
        ],
        marker="o",
        **_DOT,
    )
    axes.set_ylim(-3, 103)
    relation = next((r for r in tables.relations if r.measure == "silhouette"), None)
    if relation is not None and relation.rho is not None:
        axes.set_title(
            f"Rank correlation {d.cosine_text(relation.rho)} "
            f"[{d.cosine_text(relation.low or -1)}, {d.cosine_text(relation.high or 1)}]",
            loc="left",
        )
    axes.set_xlabel(f"Silhouette at layer {tables.layer}")
    axes.set_ylabel("Compliance without intervention (%)")
    d.plain_axes(axes)
    d.label_lane(axes, [row.language for row in here], x, y)


def probe_matrix(tables: GeometryTables) -> Figure:
    """Draw the AUROC of each language's probe in each language."""
    languages = tables.analysed
    values = d.matrix({(r.fitted, r.read): r.auroc for r in tables.probes}, languages, languages)
    figure = Figure(figsize=(d.WIDTH, 4.2), layout="constrained")
    axes = figure.subplots()
    image = d.heat(axes, values, 0, 1, text=d.cosine_text, size=6.5)
    d.label_rows(axes, languages)
    d.label_columns(axes, languages)
    axes.set_title(
        "AUROC of a probe fitted on the row's language, read in the column's", loc="left"
    )
    axes.set_xlabel("Read in")
    figure.colorbar(image, ax=axes, shrink=0.6, aspect=25, label="AUROC (0.5 is chance)")
    return figure


def certainty_figure(tables: GeometryTables) -> Figure:
    """Draw cosines with the leading language against their nulls, and reliability."""
    leader = tables.leader or tables.analysed[0]
    languages = tables.analysed
    figure = Figure(figsize=(d.WIDTH, 3.4), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=[1.1, 0.8, 1.1])
    pairs = {
        r.target: r
        for r in tables.cosines
        if (r.kind, r.source, r.layer) == (PAIR, leader, tables.layer)
    }
    for at, code in enumerate(languages):
        row = pairs[code]
        if row.cosine is None or code == leader:
            continue
        if row.null_bound is not None:
            left.barh(at, 2 * row.null_bound, 0.7, -row.null_bound, color="#d9d9d9", hatch="....",
                      edgecolor="#aaaaaa", linewidth=0)  # fmt: skip
        low, high = float(row.low or -1), float(row.high or 1)
        left.plot([low, high], [at, at], color=d.INK, linewidth=1.2)
        left.plot(row.cosine, at, "o", color=d.INK, markersize=3.4)
    left.set_xlim(-1.03, 1.03)
    left.set_xlabel(f"Cosine with {d.name_of(leader)}\n(shaded: 95% of the null)")
    reliability = {row.language: row for row in tables.reliability}
    for at, code in enumerate(languages):
        found = reliability[code]
        if found.cosine is not None:
            middle.plot([found.low or 0, found.high or 0], [at, at], color=d.INK, linewidth=1.2)
            middle.plot(found.cosine, at, "o", color=d.INK, markersize=3.4)
    middle.set_xlim(min(-0.05, *(float(r.low or 0) - 0.05 for r in tables.reliability)), 1.03)
    middle.set_xlabel("Split-half cosine\n(95% of splits)")
    for axes in (left, middle):
        axes.set_ylim(len(languages) - 0.4, -0.6)
        axes.set_yticks(
            range(len(languages)),
            [d.name_of(x) if axes is left else "" for x in languages],
            fontsize=7,
        )
        axes.axvline(0, color="#999999", linewidth=0.6)
        axes.grid(axis="x", color="#dddddd", linewidth=0.5)
        d.plain_axes(axes)
    _learning(right, tables)
    return figure


def _learning(axes: Axes, tables: GeometryTables) -> None:
    ends: list[tuple[str, float, float]] = []
    for code in tables.analysed:
        curve = [r for r in tables.learning if r.language == code][
            :-1
        ]  # the last is of all prompts
        curve = [r for r in curve if r.between_seeds is not None]
        if curve:
            axes.plot([r.size for r in curve], [float(r.between_seeds or 0) for r in curve], "o-",
                      color=d.INK, markersize=2.2, linewidth=0.7)  # fmt: skip
            ends.append((code, curve[-1].size, float(curve[-1].between_seeds or 0)))
    axes.set_xscale("log", base=2)
    sizes = sorted({r.size for r in tables.learning})[:-1]
    if sizes:
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.set_xlim(0.85 * sizes[0], 1.9 * sizes[-1])
    axes.minorticks_off()
    axes.set_xlabel("Prompts of each label")
    axes.set_ylabel("Cosine between seeds")
    axes.set_ylim(min(-0.05, axes.get_ylim()[0]), 1.05)
    axes.grid(axis="y", color="#dddddd", linewidth=0.5)
    d.plain_axes(axes)
    _lane_beside(axes, ends)


def _lane_beside(axes: Axes, ends: list[tuple[str, float, float]]) -> None:
    """Write the codes at the ends of curves, those at one height on one line."""
    heights: list[tuple[float, float, list[str]]] = []
    for code, x, y in sorted(ends, key=lambda end: end[2]):
        if heights and y - heights[-1][1] < 0.06:
            heights[-1][2].append(code)
        else:
            heights.append((x, y, [code]))
    for x, y, codes in heights:
        lines = [", ".join(codes[i : i + 4]) for i in range(0, len(codes), 4)]
        axes.annotate("\n".join(lines), (x, y), (4, 0), textcoords="offset points", va="center",
                      fontsize=6, annotation_clip=False)  # fmt: skip


def subspace_figure(tables: GeometryTables) -> Figure:
    """Draw the spectrum against its null, leaving one out, and shared against own ablation."""
    own = {
        row.target: row.refusal
        for row in tables.transfer
        if row.intervention == ABLATION and row.source == row.target
    }
    figure = Figure(figsize=(d.WIDTH, 3.4), layout="constrained")
    panels = figure.subplots(1, 3 if own else 2, width_ratios=[1, 1.1, 1.1] if own else [1, 1.1])
    shown = tables.spectrum[:8]
    at = [row.component for row in shown]
    shares = [100 * float(row.share or 0) for row in shown]
    panels[0].bar(at, shares, 0.7, edgecolor=d.INK, linewidth=0.5,
                  color=[d.HARMFUL_COLOUR if row.in_rank else "#cccccc" for row in shown],
                  yerr=[[100 * max(float(r.share or 0) - float(r.low or 0), 0) for r in shown],
                        [100 * max(float(r.high or 0) - float(r.share or 0), 0) for r in shown]],
                  error_kw={"elinewidth": 0.7, "capsize": 1.5})  # fmt: skip
    panels[0].plot(at, [100 * float(row.null or 0) for row in shown], "k_--", markersize=9,
                   linewidth=0.6, label="95% of the null")  # fmt: skip
    panels[0].set_xticks(at)
    panels[0].set_xlabel("Component")
    panels[0].set_ylabel("Share of the stacked directions (%)")
    panels[0].set_ylim(0, 103)
    panels[0].legend(frameon=False, loc="upper right")
    d.plain_axes(panels[0])
    _left_out(panels[1], tables)
    if own:
        _shared_ablation(panels[2], tables, own)
    return figure


def _left_out(axes: Axes, tables: GeometryTables) -> None:
    for at, row in enumerate(tables.left_out):
        if row.captured is None:
            continue
        if row.null_bound is not None:
            axes.barh(at, row.null_bound, 0.7, color="#d9d9d9", hatch="....", edgecolor="#aaaaaa",
                      linewidth=0)  # fmt: skip
        axes.plot(
            [row.captured_low or 0, row.captured_high or 0], [at, at], color=d.INK, linewidth=1.2
        )
        axes.plot(row.captured, at, "o", color=d.INK, markersize=3.4)
    rank = tables.left_out[0].rank
    axes.set_xlabel(f"Foretold by the others, rank {rank}\n(shaded: 95% of the null)")
    axes.set_xlim(0, 1.03)
    _language_ticks(axes, [row.language for row in tables.left_out], named=True)


def _shared_ablation(axes: Axes, tables: GeometryTables, own: dict[str, float | None]) -> None:
    languages = tables.analysed
    shared = [
        s for s in dict.fromkeys(r.source for r in tables.transfer) if s.startswith("shared-")
    ]
    series = [("Own", own, "o", d.INK)]
    for source, marker, colour in zip(
        shared, ("s", "D"), (d.HARMFUL_COLOUR, "#0072B2"), strict=False
    ):
        cells = {
            r.target: r.refusal
            for r in tables.transfer
            if (r.intervention, r.source) == (ABLATION, source)
        }
        series.append((d.name_of(source), cells, marker, colour))
    base = {
        r.target: r.refusal
        for r in tables.transfer
        if r.intervention == NONE and r.label == "harmful"
    }
    series.insert(0, ("None", base, "|", "#777777"))
    for k, (name, values, marker, colour) in enumerate(series):
        known = [(i, values.get(x)) for i, x in enumerate(languages)]
        axes.plot([100 * v for _, v in known if v is not None],
                  [i + 0.16 * (k - 1.5) for i, v in known if v is not None],
                  marker, color=colour, markersize=4, label=name, clip_on=False,
                  markerfacecolor="none" if marker == "s" else colour)  # fmt: skip
    axes.set_xlim(-3, 103)
    axes.set_xlabel("Harmful prompts refused (%)")
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(-0.1, 1.0), ncols=2, fontsize=6.5,
                handletextpad=0.2, columnspacing=0.8)  # fmt: skip
    _language_ticks(axes, languages, named=False)


def _language_ticks(axes: Axes, languages: list[str], *, named: bool) -> None:
    axes.set_ylim(len(languages) - 0.4, -0.6)
    names = [d.name_of(x) if named else x for x in languages]
    axes.set_yticks(range(len(languages)), names, fontsize=7)
    axes.grid(axis="x", color="#dddddd", linewidth=0.5)
    d.plain_axes(axes)
