"""How languages compare, as tables and sentences: the worst, gaps to English, ties.

Only words what `LanguageComparison` holds; the statistics are in statistics/languages.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from polyrefuse.calibration_schema import LanguageComparison, LanguageGap, PairedGap
from polyrefuse.languages import Language
from polyrefuse.outcomes import Outcome
from polyrefuse.prompts import Label
from polyrefuse.results import BASELINE, Rate, Result
from polyrefuse_evaluation.report import views

SIGNIFICANT = 0.05
FEW = 4
"""More languages than this are counted in a sentence, not named."""

RATES: dict[Outcome, tuple[str, str]] = {
    Outcome.REFUSED: ("refusal", "refuses"),
    Outcome.COMPLIED: ("compliance", "complies"),
    Outcome.DEFLECTED: ("deflection", "deflects"),
    Outcome.BROKEN: ("broken", "breaks"),
}


@dataclass(frozen=True)
class GapRow:
    """One language: its rate, and its gap to the reference; no gap for the reference itself."""

    language: Language
    rate: Rate | None
    marked: bool
    gap: LanguageGap | None


@dataclass(frozen=True)
class GapTable:
    """Languages under one condition, with what the table says in sentences."""

    condition: views.Condition
    measured: str
    label: Label
    reference: Language | None
    sentences: list[str]
    rows: list[GapRow]

    @property
    def has_adjusted(self) -> bool:
        """Whether any translation was validated, so that an adjusted gap is known."""
        return any(row.gap is not None and row.gap.adjusted is not None for row in self.rows)

    @property
    def has_marks(self) -> bool:
        """Whether some language has too many responses without a verdict."""
        return any(row.marked for row in self.rows)


def gap_tables(result: Result) -> list[GapTable]:
    """Return one table for each comparison, in the order of the conditions."""
    order = [condition.key for condition in views.conditions(result)]
    known = sorted(result.comparisons, key=lambda comparison: order.index(comparison.condition))
    return [_table(result, comparison) for comparison in known]


def _table(result: Result, comparison: LanguageComparison) -> GapTable:
    gaps = {gap.language: gap for gap in comparison.gaps}
    measured = RATES.get(comparison.outcome, RATES[Outcome.REFUSED])[0]
    cells = {
        cell.language: cell
        for cell in result.cells
        if (cell.condition, cell.label) == (comparison.condition, comparison.label)
    }
    rows = [
        GapRow(language, getattr(cells[language.code], measured), cells[language.code].marked,
               gaps.get(language.code))
        for language in views.languages(result)
        if language.code in cells
    ]  # fmt: skip
    reference = views.language_of(comparison.gaps[0].reference) if comparison.gaps else None
    return GapTable(
        views.describe_condition(comparison.condition),
        measured,
        comparison.label,
        reference,
        comparison_sentences(comparison, languages=len(rows)),
        rows,
    )


def comparison_sentences(comparison: LanguageComparison, languages: int) -> list[str]:
    """Return the worst language, who differs from the reference, and what n can show."""
    sentences = [worst_sentence(comparison)]
    if comparison.gaps:
        sentences.append(gap_sentence(comparison.gaps))
        sentences.append(_detectable_sentence(comparison.gaps))
    pairs = languages * (languages - 1) // 2
    if languages > 2:
        sentences.append(
            f"Of {pairs} pairs of languages, {len(comparison.ties)} "
            f"{'is a tie' if len(comparison.ties) == 1 else 'are ties'}: the interval of their "
            "difference on the same prompts covers 0."
        )
    return sentences


def worst_sentence(comparison: LanguageComparison) -> str:
    """Say where the rate is lowest, with its interval and its ties."""
    worst = comparison.worst
    verb = RATES.get(comparison.outcome, RATES[Outcome.REFUSED])[1]
    text = (
        f"The model {verb} least in {_name(worst.language)}: {views.percent(worst.rate)}% of "
        f"{worst.n} {comparison.label} prompts (95% interval "
        f"{views.interval(worst.low, worst.high)}%, widened because the lowest of many looks low "
        "by chance)"
    )
    if not worst.ties:
        return f"{text}, below every other language on the same prompts."
    return f"{text}, not told apart from {_names(worst.ties)} on the same prompts."


def gap_sentence(gaps: Sequence[LanguageGap]) -> str:
    """Say which languages differ from the reference after correction."""
    reference = _name(gaps[0].reference)
    found = sorted(
        (gap for gap in gaps if gap.p_holm < SIGNIFICANT),
        key=lambda gap: -abs(gap.gap.difference),
    )
    count = f"{len(found)} of {len(gaps)} language{'' if len(gaps) == 1 else 's'}"
    test = "exact McNemar test, Holm-corrected p < 0.05"
    verb = "differs" if len(found) == 1 or len(gaps) == 1 else "differ"
    if not found:
        count = "no other language" if len(gaps) > 1 else _name(gaps[0].language)
        verb = "differs" if len(gaps) > 1 else "does not differ"
        return f"{_capital(count)} {verb} from {reference} ({test})."
    named = [f"{_name(gap.language)} by {views.points(gap.gap.difference)}" for gap in found[:FEW]]
    more = f" and {len(found) - FEW} more" if len(found) > FEW else ""
    return f"{_capital(count)} {verb} from {reference} ({test}): {', '.join(named)}{more} points."


def _detectable_sentence(gaps: Sequence[LanguageGap]) -> str:
    known = [gap.detectable for gap in gaps if gap.detectable is not None]
    if not known:
        return "So few prompts cannot show any gap, however large."
    low, high = (f"{100 * value:.0f}" for value in (min(known), max(known)))
    size = low if low == high else f"{low} to {high}"
    return (
        f"With so many prompts a gap has to be about {size} points to be found four times out of "
        "five: no gap found does not mean that there is none."
    )


def short_sentences(result: Result) -> list[str]:
    """Return how languages compare without ablation, in two sentences for a terminal."""
    for comparison in result.comparisons:
        if comparison.condition == BASELINE:
            gaps = [gap_sentence(comparison.gaps)] if comparison.gaps else []
            return [worst_sentence(comparison), *gaps]
    return []


def gap_text(gap: PairedGap) -> str:
    """Return a gap with its interval in points, e.g. "−12.5 (−25.0 to −3.1)"."""
    return f"{views.points(gap.difference)} ({views.points(gap.low)} to {views.points(gap.high)})"


def p_text(value: float) -> str:
    """Return a p value as text, never 0."""
    return "<0.001" if value < 0.001 else f"{value:.3f}" if value < 0.9995 else "1"


def _names(codes: Sequence[str]) -> str:
    if len(codes) > FEW:
        return f"{len(codes)} others"
    *head, last = map(_name, codes)
    return f"{', '.join(head)} and {last}" if head else last


def _name(code: str) -> str:
    return views.clean(views.language_of(code).name)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
