"""What each figure shows, in one paragraph with its numbers; the same on the page and in print.

Reads tables and computes nothing new but counts, ranges and who frees whom.
"""

from statistics import median

from polyrefuse_evaluation.geometry.analyse import CENTRED, SHARED
from polyrefuse_evaluation.geometry.analyse_cosines import CONTROL, LAYERS, PAIR
from polyrefuse_evaluation.geometry.figures_cosines import beyond_null
from polyrefuse_evaluation.geometry.phrases import bounds, names, span
from polyrefuse_evaluation.geometry.results import GeometryTables
from polyrefuse_evaluation.geometry.rows import CosineRow
from polyrefuse_evaluation.geometry.transfer_rows import ABLATION
from polyrefuse_evaluation.geometry.wording_transfer import ablation, addition, own_change
from polyrefuse_evaluation.report.views import number, points


def paragraphs(tables: GeometryTables) -> dict[str, str]:
    """Return one paragraph by section, in the order of the page."""
    found = {"languages": languages(tables)}
    if tables.transfer:
        found |= {"ablation": ablation(tables), "addition": addition(tables)}
    return found | {
        "components": components(tables),
        "layers": layers(tables),
        "pairs": pairs(tables),
        "separation": separation(tables),
        "probes": probes(tables),
        "certainty": certainty(tables),
        "subspace": subspace(tables),
    }


def place(tables: GeometryTables) -> str:
    """Return the reference place in words."""
    return f"position −{-tables.position}, layer {tables.layer}"


def languages(tables: GeometryTables) -> str:
    """Say which languages were compared, where, and which could not be."""
    done = tables.analysed
    whose = (
        f"the place selected for {names([tables.leader])}"
        if tables.leader
        else "60% of depth, as no direction could be selected in any source language"
    )
    count = f"{len(done)} of {len(tables.languages)} languages"
    text = f"{count} are compared at {place(tables)}: {whose}."
    short = [row for row in tables.languages if row.status != "ok"]
    if short:
        listed = "; ".join(f"{names([row.language])}: {row.status}" for row in short)
        text += f" Not compared, for want of prompts: {listed}."
    rungs = [row.language for row in tables.languages if row.source and row.rung != "published"]
    if rungs:
        text += f" No candidate passed the published filters in {names(rungs)}."
    return text


def components(tables: GeometryTables) -> str:
    """Say how much of variance and of the arrows lies in the drawn planes."""
    arrows = {
        basis: [row for row in tables.arrows if row.basis == basis] for basis in (SHARED, CENTRED)
    }
    shown = []
    for basis, what in ((SHARED, "all languages"), (CENTRED, "languages around their own means")):
        first = arrows[basis][0]
        inside = [row.in_plane for row in arrows[basis]]
        shown.append(
            f"the plane of {what} holds {100 * (first.explained_x + first.explained_y):.0f}% of "
            f"variance and a median {100 * median(inside):.0f}% of the length of the arrows "
            f"(least: {names([min(arrows[basis], key=lambda row: row.in_plane).language])}, "
            f"{100 * min(inside):.0f}%)"
        )
    return f"At {place(tables)}, {shown[0]}; {shown[1]}. What is outside the plane is not drawn."


def layers(tables: GeometryTables) -> str:
    """Say at which layer targets agree best with each source."""
    rows = [
        row
        for row in tables.cosines
        if row.kind == LAYERS and row.source != row.target and row.cosine is not None
    ]
    best: dict[tuple[str, str], CosineRow] = {}
    for row in rows:
        known = best.get((row.source, row.target))
        if known is None or (row.cosine or 0) > (known.cosine or 0):
            best[row.source, row.target] = row
    if not best:
        return "No cosine is defined at any layer."
    peaks = [row.layer for row in best.values()]
    typical = max(sorted(set(peaks)), key=peaks.count)
    values = [row.cosine or 0 for row in best.values()]
    near = sum(abs(row.layer - row.source_layer) <= 1 for row in best.values())
    return (
        f"Over {len(best)} source and target pairs the highest cosine has median "
        f"{number(median(values))} (range {span(values)}); it is most often at layer {typical}, "
        f"and within one layer of the source's own in {near} of {len(best)}."
    )


def pairs(tables: GeometryTables) -> str:
    """Say how parallel languages are at the reference place, and what is beyond the null."""
    rows = [
        row
        for row in tables.cosines
        if row.kind == PAIR and row.layer == tables.layer and row.source < row.target
    ]
    known = [row for row in rows if row.determined and row.cosine is not None]
    text = f"At {place(tables)}, "
    if known:
        values = [row.cosine or 0 for row in known]
        beyond = sum(beyond_null(row.low, row.high, row.null_bound) for row in known)
        text += (
            f"{len(known)} pairs of languages have cosines of median {number(median(values))} "
            f"(range {span(values)}); {beyond} of them have an interval beyond the permutation "
            f"null, which reaches {span([row.null_bound or 0 for row in known])}. "
        )
    else:
        text += "no pair of languages has directions that are determined. "
    vague = _undetermined(tables)
    if vague:
        most = max(
            (abs(row.plain or 0) for row in rows if {row.source, row.target} & set(vague)),
            default=0.0,
        )
        text += (
            f"The difference between harmful and harmless is within its noise in {names(vague)}: "
            f"no direction is determined there (plain cosines up to {number(most)} in "
            "absolute value). "
        )
    controls = [abs(r.cosine or 0) for r in tables.cosines if r.kind == CONTROL]
    if controls:
        text += f"Controls (random, harmless) reach {number(max(controls))} in absolute value."
    return text.strip()


def _undetermined(tables: GeometryTables) -> list[str]:
    return [
        row.source
        for row in tables.cosines
        if row.kind == PAIR
        and row.layer == tables.layer
        and row.source == row.target
        and not row.determined
    ]


def separation(tables: GeometryTables) -> str:
    """Say how separated harmful and harmless are, and how that goes with base compliance."""
    here = [r for r in tables.separation if r.layer == tables.layer and r.silhouette is not None]
    if not here:
        return "Harmful and harmless prompts are all in one place at this layer."
    least = min(here, key=lambda row: row.silhouette or 0)
    text = (
        f"At layer {tables.layer} silhouettes range over "
        f"{span([r.silhouette or 0 for r in here])}; lowest in {names([least.language])}, "
        f"{bounds(least.silhouette, least.silhouette_low, least.silhouette_high)}. "
    )
    relation = next((r for r in tables.relations if r.measure == "silhouette"), None)
    if relation is None:
        return text + "Base compliance was not measured (no transfer)."
    if relation.rho is None:
        return text + "Base compliance does not vary between languages: there is no correlation."
    text += (
        "Rank correlation of silhouette with base compliance over "
        f"{relation.languages} languages: {bounds(relation.rho, relation.low, relation.high)}, "
        f"p = {relation.p_value:.3f}. "
    )
    if relation.distinct < 4:
        text += (
            f"Compliance has only {relation.distinct} different values, so most languages are tied "
            "and the correlation cannot say much."
        )
    return text.strip()


def probes(tables: GeometryTables) -> str:
    """Say how well probes read other languages."""
    within = [r.auroc for r in tables.probes if r.fitted == r.read and r.auroc is not None]
    across = [r.auroc for r in tables.probes if r.fitted != r.read and r.auroc is not None]
    if not within or not across:
        return "There are too few prompts to fit and read out probes."
    return (
        f"On prompts it has not seen in any language, a probe has AUROC {number(median(within))} "
        f"in its own language (median; range {span(within)}) and {number(median(across))} in "
        f"others ({span(across)}); 0.5 is chance, and below it a probe reads the other language "
        "reversed."
    )


def certainty(tables: GeometryTables) -> str:
    """Say how much of the directions is the prompts they were fitted on."""
    known = [row for row in tables.reliability if row.cosine is not None]
    if not known:
        return "There are too few prompts to split."
    least = min(known, key=lambda row: row.cosine or 0)
    text = (
        f"Directions of two halves of the prompts have cosines of median "
        f"{number(median(row.cosine or 0 for row in known))}; least in {names([least.language])}, "
        f"{bounds(least.cosine, least.low, least.high)}. "
    )
    first = [
        r.between_seeds for r in tables.learning if r.size == 8 and r.between_seeds is not None
    ]
    if first:
        text += (
            f"With 8 prompts of each label two seeds agree to {number(median(first))} "
            f"(range {span(first)})."
        )
    return text.strip()


def subspace(tables: GeometryTables) -> str:
    """Say how many directions the languages share, and whether they do the work of their own."""
    first = tables.spectrum[0]
    text = (
        f"The first shared direction holds {100 * (first.share or 0):.0f}% of the stacked unit "
        f"directions [{100 * (first.low or 0):.0f}, {100 * (first.high or 0):.0f}]; the null "
        f"reaches {100 * (first.null or 0):.0f}%. "
    )
    rank = tables.rank
    text += (
        "No component surely holds more than one and a half languages' worth: nothing is shared. "
        if rank == 0
        else f"{rank} {'component is' if rank == 1 else 'components are'} surely shared, with more "
        "than one and a half languages' worth. "
    )
    captured = [row for row in tables.left_out if row.captured is not None]
    if captured:
        least = min(captured, key=lambda row: row.captured or 0)
        text += (
            f"From the others, at rank {captured[0].rank}, a language's direction is foretold with "
            f"cosine {span([r.captured or 0 for r in captured])}, least in "
            f"{names([least.language])}. "
        )
    shared = [
        r for r in tables.sources if r.intervention == ABLATION and r.source.startswith("shared")
    ]
    listed = [
        f"{points(r.change)} points (rank {r.source[7:]})" for r in shared if r.change is not None
    ]
    own = own_change(tables)
    if listed and own is not None:
        text += f"Ablating it changes refusal by {', '.join(listed)}; each language's own, {own}."
    return text.strip()
