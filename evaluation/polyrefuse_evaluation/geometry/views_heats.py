"""The heat maps of the page: transfer, cosines, silhouettes, probes, learning curves."""

from collections.abc import Callable, Mapping, Sequence

from matplotlib import colormaps

from polyrefuse_evaluation.geometry import rows as t
from polyrefuse_evaluation.geometry.analyse_cosines import LAYERS, PAIR
from polyrefuse_evaluation.geometry.drawing import CMAP, name_of
from polyrefuse_evaluation.geometry.results import GeometryTables
from polyrefuse_evaluation.geometry.transfer_rows import ABLATION, ADDITION, NONE
from polyrefuse_evaluation.geometry.views import Cell, Heat, bounds, cosine_sentence
from polyrefuse_evaluation.report.views import number, percent


def colour(value: float, low: float, high: float) -> tuple[str, str]:
    """Return fill and ink of a value on the scale that the printed figures use."""
    share = min(max((value - low) / max(high - low, 1e-9), 0.0), 1.0)
    red, green, blue = (round(255 * float(x)) for x in colormaps[CMAP](share)[:3])
    dark = 0.299 * red + 0.587 * green + 0.114 * blue < 128
    return f"#{red:02x}{green:02x}{blue:02x}", "#fff" if dark else "#000"


def _heat(
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    found: Mapping[tuple[str, str], tuple[float, str, str]],
    scale: tuple[float, float],
    *,
    named: Callable[[str], str] = name_of,
    mark: int | None = None,
    small: bool = False,
) -> Heat:
    """Build a heat map from (value, text, sentence) by (row, column)."""
    cells = []
    for row in rows:
        line: list[Cell | None] = []
        for column in columns:
            known = found.get((row, column))
            line.append(None if known is None else Cell(*colour(known[0], *scale), *known[1:]))
        cells.append(tuple(line))
    return Heat(title, tuple(map(named, rows)), tuple(columns), tuple(cells), mark, small)


def transfer_heats(tables: GeometryTables) -> list[Heat]:
    """Return refusal and compliance under ablation, and refusal under addition."""
    wanted = (
        ("Harmful prompts refused (%) after ablation", ABLATION, "harmful", "refusal"),
        ("Harmful prompts complied with (%) after ablation", ABLATION, "harmful", "compliance"),
        ("Harmless prompts refused (%) after addition", ADDITION, "harmless", "refusal"),
    )
    return [_transfer(tables, *choice) for choice in wanted]


def _transfer(tables: GeometryTables, title: str, kind: str, label: str, what: str) -> Heat:
    rows = [r for r in tables.transfer if r.label == label and r.intervention in (NONE, kind)]
    found = {}
    for row in rows:
        value = getattr(row, what)
        if value is not None:
            low, high = getattr(row, f"{what}_low"), getattr(row, f"{what}_high")
            sentence = (
                f"{name_of(row.source)} → {name_of(row.target)}: {what} {percent(value)}% "
                f"[{percent(low)}, {percent(high)}] of {row.judged}"
            )
            found[row.source, row.target] = (value, percent(value), sentence)
    sources = list(dict.fromkeys(row.source for row in rows))
    return _heat(title, sources, tables.analysed, found, (0, 1))


def _cosine_scale(rows: Sequence[t.CosineRow]) -> tuple[float, float]:
    return min([0.0, *(row.cosine for row in rows if row.cosine is not None)]), 1.0


def layer_heats(tables: GeometryTables) -> list[Heat]:
    """Return, for each source, targets by layer (figure 4 of the paper)."""
    rows = [row for row in tables.cosines if row.kind == LAYERS]
    scale = _cosine_scale(rows)
    columns = [str(layer) for layer in range(tables.layers)]
    heats = []
    for source in [x for x in tables.analysed if x in {row.source for row in rows}]:
        own = [row for row in rows if row.source == source]
        found = {
            (row.target, str(row.layer)): (row.cosine, number(row.cosine), cosine_sentence(row))
            for row in own
            if row.cosine is not None
        }
        title = f"{name_of(source)} at position −{-own[0].position}, layer {own[0].source_layer}"
        heats.append(
            _heat(title, tables.analysed, columns, found, scale, named=str,
                  mark=own[0].source_layer, small=True)
        )  # fmt: skip
    return heats


def pair_heats(tables: GeometryTables) -> list[Heat]:
    """Return language by language at the reference layer, then at every layer."""
    rows = [row for row in tables.cosines if row.kind == PAIR]
    scale = _cosine_scale(rows)
    heats: list[Heat] = []
    for layer in [tables.layer, *range(tables.layers)]:
        found = {
            (row.source, row.target): (row.cosine, number(row.cosine), cosine_sentence(row))
            for row in rows
            if row.layer == layer and row.cosine is not None
        }
        small = bool(heats)
        heats.append(
            _heat(f"Layer {layer}", tables.analysed, tables.analysed, found, scale,
                  named=str if small else name_of, small=small)
        )  # fmt: skip
    return heats


def silhouette_heat(tables: GeometryTables) -> Heat:
    """Return silhouettes, language by layer."""
    known = [row for row in tables.separation if row.silhouette is not None]
    values = [row.silhouette or 0 for row in known]
    found = {
        (row.language, str(row.layer)): (
            row.silhouette or 0,
            number(row.silhouette),
            f"{name_of(row.language)}, layer {row.layer}: silhouette "
            f"{bounds(row.silhouette, row.silhouette_low, row.silhouette_high)}, scaled distance "
            f"{bounds(row.scaled_distance, row.scaled_low, row.scaled_high)}, probe AUROC "
            f"{bounds(row.auroc, row.auroc_low, row.auroc_high)}",
        )
        for row in known
    }
    columns = [str(layer) for layer in range(tables.layers)]
    scale = (min([0.0, *values]), max([0.1, *values]))
    return _heat("Silhouette by layer", tables.analysed, columns, found, scale, mark=tables.layer)


def probe_heat(tables: GeometryTables) -> Heat:
    """Return AUROC of probes, fitted in the row's language and read in the column's."""
    found = {
        (row.fitted, row.read): (
            row.auroc,
            number(row.auroc),
            f"Fitted in {name_of(row.fitted)}, read in {name_of(row.read)}: AUROC "
            f"{bounds(row.auroc, row.low, row.high)}",
        )
        for row in tables.probes
        if row.auroc is not None
    }
    return _heat("AUROC of probes", tables.analysed, tables.analysed, found, (0, 1))


def learning_heat(tables: GeometryTables) -> Heat:
    """Return agreement between seeds, language by number of prompts."""
    sizes = [str(size) for size in sorted({row.size for row in tables.learning})]
    found = {
        (row.language, str(row.size)): (
            row.to_full,
            number(row.to_full),
            f"{name_of(row.language)}, {row.size} prompts of each label: cosine with all prompts "
            f"{bounds(row.to_full, row.low, row.high)}, between seeds {number(row.between_seeds)}, "
            f"with the prompts left out {number(row.to_rest)}",
        )
        for row in tables.learning
        if row.to_full is not None
    }
    title = "Cosine with the direction of all prompts, by prompts of each label"
    return _heat(title, tables.analysed, sizes, found, (0, 1))
