"""The report in a terminal: tables per language, selected directions, findings as sentences.

Returns rich renderables and prints nothing. Fits 80 columns; no language is lost
below that either.
"""

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from polyrefuse.prompts import LABELS
from polyrefuse.results import BASELINE, DirectionRecord, Proof, Result
from polyrefuse_evaluation.report import gaps, judges, outcomes, wording
from polyrefuse_evaluation.report.notes import top_notes
from polyrefuse_evaluation.report.views import (
    MARK,
    MISSING,
    Condition,
    LanguageRow,
    Measure,
    Measured,
    clean,
    conditions,
    describe_condition,
    has_label,
    language_of,
    language_rows,
    number,
    panels,
    percent,
    prompts_per_cell,
)

_STYLES = {"baseline": "", "ablated": "bold", "control": "dim"}

MOST_INTERVALS = 4
"""With more conditions than this a terminal has room for the baseline's intervals only."""


def terminal_tables(result: Result) -> list[RenderableType]:
    """Return what a run prints at its end: tables by language, directions, then the findings."""
    parts: list[RenderableType] = []
    if has_label(result, "harmful"):
        for panel in panels(conditions(result)):
            parts.append(_language_table(result, "refusal", panel))
        for panel in panels(conditions(result)):
            parts.append(_language_table(result, "compliance", panel))
    elif has_label(result, "harmless"):
        parts.append(_over_refusal_table(result))
    if result.directions:
        parts.append(_direction_table(result.directions))
    parts.append(_outcome_table(result))
    parts.append(_findings(result))
    return parts


def _language_table(result: Result, measured: Measured, panel: Sequence[Condition]) -> Table:
    verb = "refused" if measured == "refusal" else "complied with"
    table = _table(
        f"Harmful prompts {verb}, % (95% interval), "
        f"{prompts_per_cell(result, 'harmful')} prompts a language"
    )
    table.add_column("Language", no_wrap=True)
    for condition in panel:
        style = _STYLES[condition.role]
        table.add_column(Text(_heading(condition)), justify="right", style=style)
    rows = language_rows(result, "harmful", measured, panel)
    narrow = len(panel) > MOST_INTERVALS
    over = _over_refusal(result) if measured == "refusal" else []
    if over:
        table.add_column("Over-\nrefusal", justify="right")
    for index, row in enumerate(rows):
        cells = [
            _cell(shown, interval=not narrow or condition.role == "baseline")
            for condition, shown in zip(panel, row.measures, strict=True)
        ]
        cells += [_cell(over[index].measures[0])] if over else []
        table.add_row(_language(row), *cells)
    ablated = any(condition.role != "baseline" for condition in panel)
    caption = "− X: direction X ablated. Random: a random direction ablated." if ablated else ""
    if narrow:
        caption += " Their intervals: report.html."
    if over:
        caption += " Over-refusal: harmless prompts refused, no ablation."
    table.caption = Text(caption.strip(), style="dim") if caption else None
    return table


def _over_refusal_table(result: Result) -> Table:
    table = _table("Harmless prompts refused (over-refusal), % (95% interval), no ablation")
    table.add_column("Language", no_wrap=True)
    table.add_column("Over-refusal", justify="right")
    for row in _over_refusal(result):
        table.add_row(_language(row), _cell(row.measures[0]))
    return table


def _over_refusal(result: Result) -> list[LanguageRow]:
    if not has_label(result, "harmless"):
        return []
    return language_rows(result, "harmless", "refusal", [describe_condition(BASELINE)])


def _language(row: LanguageRow) -> Text:
    return Text.assemble(clean(row.language.name), " ", (clean(row.language.code), "dim"))


def _cell(shown: Measure | None, *, interval: bool = True) -> Text:
    if shown is None or shown.value is None:
        return Text(MISSING + (MARK if shown and shown.marked else ""), style="dim")
    parts = Text(shown.text)
    if shown.marked:
        parts.append(MARK, style="bold red")
    if shown.interval and interval:
        parts.append(f" ({shown.interval})", style="not bold dim")
    if shown.bounds:
        parts.append(f" [{shown.bounds}]", style="not bold yellow")
    return parts


def _outcome_table(result: Result) -> Table:
    """Return the outcomes of all languages together, one row for each label and condition."""
    rows = [
        (label, condition, counts)
        for label in reversed(LABELS)
        for condition, counts in outcomes.totals(result, label)
    ]
    shown = [key for key in outcomes.PART_NAMES if any(counts[key] for *_, counts in rows)]
    table = _table("Outcomes of all responses")
    table.add_column("Prompts", no_wrap=True)
    table.add_column("Condition", overflow="fold")
    for key in shown:
        table.add_column(outcomes.SHORT_NAMES[key], justify="right")
    for label, condition, counts in rows:
        if label != rows[0][0] and condition == rows[0][1]:
            table.add_section()
        cells = [Text(f"{counts[key]:,}", style="" if counts[key] else "dim") for key in shown]
        table.add_row(label, Text(_heading(condition), style=_STYLES[condition.role]), *cells)
    return table


def _heading(condition: Condition) -> str:
    return clean(condition.short if condition.role != "ablated" else f"− {condition.short}")


def _direction_table(records: Sequence[DirectionRecord]) -> Group:
    planted = any(record.planted_cosine is not None for record in records)
    table = _table("Selected refusal directions")
    table.add_column("Source", no_wrap=True)
    for heading in ("Position", "Layer", "Bypass", "Induce", "KL", "Tokens\ncover"):
        table.add_column(heading, justify="right")
    if planted:
        table.add_column("|cos|\nplanted", justify="right")
    table.add_column("Rung", overflow="fold")
    for record in records:
        table.add_row(*_direction_row(record, planted))
    reasons: dict[str, list[str]] = {}
    for record in records:
        name = clean(language_of(record.language).name)
        reasons.setdefault(wording.selection_reason(record), []).append(name)
    lines = [Text(f"{', '.join(names)}: {why}", style="dim") for why, names in reasons.items()]
    return Group(table, *lines)


def _direction_row(record: DirectionRecord, planted: bool) -> list[Text]:
    coverage = record.refusal_token_coverage
    cells = [
        clean(language_of(record.language).name),
        number(record.position, 0),
        number(record.layer, 0),
        number(record.bypass),
        number(record.induce),
        number(record.kl, 3),
        MISSING if coverage is None else f"{percent(coverage)}%",
    ]
    if planted:
        cosine = record.planted_cosine
        cells.append(MISSING if cosine is None else number(abs(cosine), 3))
    return [Text(cell) for cell in [*cells, clean(record.rung)]]


def _findings(result: Result) -> Group:
    lines: list[RenderableType] = [Text(wording.headline(result), style="bold")]
    sentences = wording.finding_sentences(result)
    sentences += [*gaps.short_sentences(result), *judges.short_sentences(result)]
    lines += [Text(sentence) for sentence in sentences if sentence != wording.headline(result)]
    for note in top_notes(result):
        style = "bold red" if note.alarm else "yellow"
        lines.append(Text(clean(f"{note.strong} {note.text}"), style=style))
    if result.proof is not None:
        lines.append(_proof_line(result.proof))
    return Group(*lines)


def _proof_line(proof: Proof) -> Text:
    state = "verified" if proof.verified else "NOT VERIFIED"
    return Text(
        f"Ablation {state}: largest projection {proof.max_projection:.1e}, "
        f"bound {proof.bound:.0e}, {proof.sites} sites.",
        style="dim" if proof.verified else "bold red",
    )


def _table(title: str) -> Table:
    return Table(
        title=Text(title, style="bold"),
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
        pad_edge=False,
    )
