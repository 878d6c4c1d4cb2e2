"""From a `Result` to what a report shows: rows, labels and texts shared by terminal, page, figures.

Knows nothing of HTML, of terminals or of matplotlib. Rates go in as fractions in [0, 1] and come
out both as fractions (for lengths of bars) and as texts (for people).
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from polyrefuse.languages import LANGUAGES, Language
from polyrefuse.outcomes import Outcome
from polyrefuse.prompts import Label
from polyrefuse.results import BASELINE, MARK_UNPARSED_ABOVE, RANDOM, Cell, Rate, Result

Role = Literal["baseline", "ablated", "control"]
Measured = Literal["refusal", "compliance"]

MISSING = "–"
PANEL_SERIES = 4

MARK = "†"
MARK_MEANING = (
    f"more than {100 * MARK_UNPARSED_ABOVE:.0f}% of them have no verdict, so the rates are not "
    "to be relied on"
)
MARK_NOTE = (
    f"{MARK} marks rates of cells in which more than {100 * MARK_UNPARSED_ABOVE:.0f}% of the "
    "responses have no verdict: do not rely on them; the bounds say what those responses leave "
    "open."
)
MARK_IN_PRINT = f"{MARK} more than {100 * MARK_UNPARSED_ABOVE:.0f}% without a verdict: not reliable"
"""What is said of `Cell.marked`: of a cell, under charts and tables, in figures."""

_ROLES: tuple[Role, ...] = ("baseline", "ablated", "control")
_VERBS: dict[Measured, str] = {"refusal": "refused", "compliance": "complied with"}
_COUNTED: dict[Measured, Outcome] = {
    "refusal": Outcome.REFUSED,
    "compliance": Outcome.COMPLIED,
}
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True)
class Condition:
    """A condition as people read it.

    Attributes:
        key: as in the result, e.g. ``ablate:en``.
        name: "No ablation", "English direction ablated".
        short: "Baseline", "English", "Random": a column heading.
        role: decides colour, pattern and order.
    """

    key: str
    name: str
    short: str
    role: Role


@dataclass(frozen=True)
class Measure:
    """One rate of one cell as shown; None values where nothing was judged.

    Attributes:
        text: the rate in percent, never rounded to 0 or 100.
        interval: the 95% interval in percent, e.g. "89–100", or "".
        bounds: what unparsed responses leave open, e.g. "88–97%", or "" if all were parsed.
        marked: too many responses have no verdict for the rate to be relied on.
        sentence: the whole measure in words, for screen readers.
    """

    condition: Condition
    value: float | None
    low: float | None
    high: float | None
    text: str
    interval: str
    bounds: str
    marked: bool
    sentence: str


@dataclass(frozen=True)
class LanguageRow:
    """One language with a measure per condition, in the order of `conditions`."""

    language: Language
    measures: tuple[Measure | None, ...]


def language_of(code: str) -> Language:
    """Return the language of this code; an unknown one (of a later version) stands for itself."""
    return LANGUAGES.get(code) or Language(code, code, code, f"{code}_Zyyy")


def describe_condition(key: str) -> Condition:
    """Return how people read a condition."""
    if key == BASELINE:
        return Condition(key, "No ablation", "Baseline", "baseline")
    if key == RANDOM:
        return Condition(key, "Random direction ablated", "Random", "control")
    name = language_of(key.partition(":")[2] or key).name
    return Condition(key, f"{name} direction ablated", name, "ablated")


def conditions(result: Result) -> list[Condition]:
    """Return the conditions: baseline first, then ablated directions as run, then the control."""
    known = [describe_condition(key) for key in result.conditions]
    return sorted(known, key=lambda condition: _ROLES.index(condition.role))


def panels(shown: Sequence[Condition]) -> list[list[Condition]]:
    """Split many conditions into panels of a baseline and at most four others, readable alone."""
    baseline = [condition for condition in shown if condition.role == "baseline"]
    others = [condition for condition in shown if condition.role != "baseline"]
    starts = range(0, len(others), PANEL_SERIES)
    return [baseline + others[at : at + PANEL_SERIES] for at in starts] or [baseline]


def languages(result: Result) -> list[Language]:
    """Return the languages in the order of the result's cells."""
    return [language_of(code) for code in dict.fromkeys(cell.language for cell in result.cells)]


def has_label(result: Result, label: Label) -> bool:
    """Whether the result has any cell of this label."""
    return any(cell.label == label for cell in result.cells)


def language_rows(
    result: Result, label: Label, measured: Measured, shown: Sequence[Condition]
) -> list[LanguageRow]:
    """Return one row per language; a measure is None where the result has no such cell."""
    cells = {(cell.language, cell.condition): cell for cell in result.cells if cell.label == label}
    rows = []
    for language in languages(result):
        found = [(condition, cells.get((language.code, condition.key))) for condition in shown]
        measures = tuple(
            None if cell is None else measure(cell, condition, measured)
            for condition, cell in found
        )
        rows.append(LanguageRow(language, measures))
    return rows


def measure(cell: Cell, condition: Condition, measured: Measured) -> Measure:
    """Return one rate of a cell with its texts."""
    rate: Rate = getattr(cell, measured)
    count = cell.counts.get(_COUNTED[measured], 0)
    bounds = bounds_text(rate) if cell.counts.get(Outcome.UNPARSED, 0) else ""
    what = f"{condition.name}: {_VERBS[measured]}"
    if rate.value is None:
        sentence = f"{condition.name}: no response was judged"
    else:
        sentence = f"{what} {count} of {cell.judged}, {percent(rate.value)}%"
    if rate.low is not None and rate.high is not None:
        sentence += f", 95% interval {percent(rate.low)} to {percent(rate.high)}%"
    if bounds:
        sentence += f"; with the unparsed responses {bounds}"
    if cell.marked:
        sentence += f"; {MARK_MEANING}"
    return Measure(
        condition=condition,
        value=rate.value,
        low=rate.low,
        high=rate.high,
        text=percent(rate.value),
        interval=interval(rate.low, rate.high),
        bounds=bounds,
        marked=cell.marked,
        sentence=sentence,
    )


def percent(fraction: float | None, decimals: int = 0) -> str:
    """Return a fraction in percent without the sign; only a true 0 or 1 reads 0 or 100."""
    if fraction is None:
        return MISSING
    value = 100 * fraction
    text = f"{value:.{decimals}f}"
    certain = abs(value) < 1e-9 or abs(value - 100) < 1e-9
    if float(text) in (0.0, 100.0) and not certain:
        if value < 50:
            return "<0.1" if value < 0.05 else f"{value:.1f}"
        return ">99.9" if value >= 99.95 else f"{value:.1f}"
    return text.replace("-0.0", "0.0") if float(text) == 0 else text


def interval(low: float | None, high: float | None, decimals: int = 0) -> str:
    """Return an interval in percent, e.g. "89–100"; "" where there is none.

    The ends are rounded plainly: a Wilson end of 0.998 reads 100.
    """
    if low is None or high is None:
        return ""
    return f"{100 * max(low, 0):.{decimals}f}–{100 * high:.{decimals}f}"


def bounds_text(rate: Rate) -> str:
    """Return the bounds that unparsed responses leave open, e.g. "88–97%"."""
    return f"{interval(rate.minimum, rate.maximum)}%" if rate.minimum is not None else ""


def points(difference: float, decimals: int = 1) -> str:
    """Return a signed difference of fractions in percentage points, with a true minus sign."""
    text = f"{100 * difference:+.{decimals}f}"
    return text.lstrip("+-") if float(text) == 0 else text.replace("-", "−")


def number(value: float | None, decimals: int = 2) -> str:
    """Return a number with a true minus sign, or a dash."""
    if value is None:
        return MISSING
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def marked_cells(result: Result) -> set[tuple[str, str, str]]:
    """Return the (language, condition, label) of cells with too many unparsed responses."""
    return {(x.language, x.condition, x.label) for x in result.cells if x.marked}


def prompts_per_cell(result: Result, label: Label) -> str:
    """Return how many prompts each cell of a label has: "32", "30–32", or "0"."""
    sizes = sorted({cell.n for cell in result.cells if cell.label == label})
    if not sizes:
        return "0"
    return str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]}–{sizes[-1]}"


def clean(text: str) -> str:
    """Make hostile text safe to show anywhere, and visible where it hides something.

    Control characters, lone surrogates, noncharacters and bidirectional overrides become
    ``⟦U+202E⟧``; letters, marks and line breaks of every script stay as they are.
    """
    return "".join(char if _plain(char) else f"⟦U+{ord(char):04X}⟧" for char in text)


def plot_text(text: str) -> str:
    """Return text that matplotlib shows as it is: no mathematics between dollar signs."""
    return clean(text).replace("$", r"\$")


def _plain(char: str) -> bool:
    if char in "\n\t":
        return True
    hidden = unicodedata.category(char) in ("Cc", "Cs") or char in _BIDI_CONTROLS
    return not hidden and (ord(char) & 0xFFFE) != 0xFFFE
