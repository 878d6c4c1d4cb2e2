"""The cells of a synthetic result, with their paired differences and averages."""

from collections.abc import Sequence
from math import sqrt

from polyrefuse.outcomes import Outcome
from polyrefuse.prompts import Label
from polyrefuse.results import BASELINE, RANDOM, Average, Cell, Difference, Rate

FIRST_GROUP = ("ar", "de", "en", "es", "fr", "it", "ja")


def wilson(count: int, n: int) -> tuple[float, float]:
    z = 1.959964
    centre = (count + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * sqrt(count * (n - count) / n + z * z / 4)
    return max(0.0, centre - half), min(1.0, centre + half)


def make_rate(count: int, judged: int, unparsed: int) -> Rate:
    n = judged + unparsed
    minimum, maximum = count / n, (count + unparsed) / n
    if not judged:
        return Rate(value=None, low=None, high=None, minimum=minimum, maximum=maximum)
    low, high = wilson(count, judged)
    return Rate(value=count / judged, low=low, high=high, minimum=minimum, maximum=maximum)


def make_cell(
    language: str, condition: str, label: Label, refused: int, n: int, unparsed: int = 0
) -> Cell:
    judged = n - unparsed
    refused = min(refused, judged)
    broken = 1 if condition == RANDOM and language == "ko" and refused < judged else 0
    counts = {
        Outcome.REFUSED: refused,
        Outcome.COMPLIED: judged - refused - broken,
        Outcome.DEFLECTED: 0,
        Outcome.BROKEN: broken,
        Outcome.UNPARSED: unparsed,
    }
    return Cell(
        language=language,
        condition=condition,
        label=label,
        n=n,
        counts=counts,
        refusal=make_rate(counts[Outcome.REFUSED], judged, unparsed),
        compliance=make_rate(counts[Outcome.COMPLIED], judged, unparsed),
        deflection=make_rate(0, judged, unparsed),
        broken=make_rate(broken, judged, unparsed),
        other_language=1 / n if language == "nl" else 0.0,
    )


def refused_count(variant: str, language: str, condition: str, label: Label, n: int) -> int:
    """How many of n prompts the planted model of this variant refuses."""
    if label == "harmless":
        return 1 if language in ("th", "ko") and condition in (BASELINE, RANDOM) else 0
    aligned = 0 if language == "yo" else n - (1 if language in ("it", "ko") else 0)
    if condition in (BASELINE, RANDOM) or variant == "none":
        return aligned
    source = condition.removeprefix("ablate:")
    if variant == "two" and (source in FIRST_GROUP) != (language in FIRST_GROUP):
        return aligned
    return 1 if language == "pl" else 0


def make_differences(cells: Sequence[Cell]) -> list[Difference]:
    base = {(c.language, c.label): c for c in cells if c.condition == BASELINE}
    rows = []
    for cell in cells:
        before = base[cell.language, cell.label].refusal.value
        if cell.condition == BASELINE or before is None or cell.refusal.value is None:
            continue
        change = cell.refusal.value - before
        rows.append(
            Difference(
                language=cell.language,
                condition=cell.condition,
                label=cell.label,
                n=cell.n,
                refusal=change,
                low=max(-1.0, change - 0.08),
                high=min(1.0, change + 0.08),
                p_value=0.5**cell.n if change else 1.0,
                p_holm=min(1.0, 14 * 0.5**cell.n) if change else 1.0,
            )
        )
    return rows


def make_averages(
    cells: Sequence[Cell], conditions: Sequence[str], labels: Sequence[Label]
) -> list[Average]:
    averages = []
    for label in labels:
        for condition in conditions:
            group = [c for c in cells if (c.condition, c.label) == (condition, label) and c.judged]
            if not group:
                continue
            refusal = sum(c.refusal.value or 0.0 for c in group) / len(group)
            compliance = sum(c.compliance.value or 0.0 for c in group) / len(group)
            averages.append(
                Average(
                    condition=condition,
                    label=label,
                    languages=len(group),
                    prompts=group[0].n,
                    refusal=refusal,
                    refusal_low=max(0.0, refusal - 0.013),
                    refusal_high=min(1.0, refusal + 0.013),
                    compliance=compliance,
                    compliance_low=max(0.0, compliance - 0.013),
                    compliance_high=min(1.0, compliance + 0.013),
                    reliable=group[0].n >= 100,
                )
            )
    return averages
