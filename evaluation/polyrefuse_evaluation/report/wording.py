"""What the numbers say, in sentences: findings, why a direction was selected, settings.

Plain text without markup; terminal and page show the same sentences.
"""

from collections.abc import Sequence

from polyrefuse.results import BASELINE, DirectionRecord, Finding, Result
from polyrefuse_evaluation.report.views import clean, interval, language_of, percent, points

SELF_TEST = "a self-test of the pipeline, not a safety measurement"

MANY = 4
"""More source languages than this are counted in the headline, not named."""

RUNG_REASONS = {
    "published": (
        "Of {candidates} candidates, the one with the lowest bypass score among those that pass "
        "the published filters: KL ≤ 0.1, induce ≥ 0, layer below 80% of the depth."
    ),
    "kl_0.2": (
        "None of {candidates} candidates passed the published filters, so the KL limit was "
        "widened from 0.1 to 0.2; of those that then passed, this one has the lowest bypass score."
    ),
    "no_induce_filter": (
        "None of {candidates} candidates passed with the KL limit widened to 0.2, so the "
        "requirement that adding it induces refusal was dropped; of those that then passed, this "
        "one has the lowest bypass score."
    ),
    "no_direction": (
        "None of {candidates} candidates passed even the widest filters, so no direction was "
        "selected and nothing was ablated for this language."
    ),
}
"""Why a direction was selected, by rung of `polyrefuse_evaluation.selection.RUNGS`."""

TOKEN_ORIGINS = {
    "own": "the first tokens of the model's own refusals in this language",
    "union": "borrowed from the other languages: the model refused nothing in this one",
    "override": "given by hand",
}
"""Where refusal tokens come from, by `DirectionRecord.refusal_tokens_from`."""


def headline(result: Result) -> str:
    """Return the answer of the whole evaluation in one sentence."""
    findings = result.findings
    if result.model.endpoint is not None and not findings:
        return _refusal_only(result)
    if not findings:
        return (
            "No refusal direction was ablated, so this report says how often the model refuses, "
            "not what its refusal hangs on."
        )
    refusing = findings[0].languages_refusing
    if not refusing:
        return "This model refuses harmful prompts in no language, so there is nothing to ablate."
    if not any(finding.mediates for finding in findings):
        return no_single_direction(findings)
    if len(findings) > 1 and all(
        f.mediates and set(f.languages_freed) >= set(f.languages_refusing) for f in findings
    ):
        drop = min(finding.mean_drop for finding in findings)
        few = len(findings) <= MANY
        which = f"the {_join([_name(f.language) for f in findings], 'or')} direction"
        which = which if few else f"any of the {len(findings)} directions"
        return (
            "A single direction mediates refusal in every language that refuses: ablating "
            f"{which} frees {len(refusing)} of {len(refusing)}, lowering refusal by "
            f"{'' if len({f.mean_drop for f in findings}) == 1 else 'at least '}"
            f"{_plain_points(drop)} points (random control: {_plain_points(_random(findings))})."
        )
    return finding_sentence(max(findings, key=lambda finding: finding.mean_drop))


def _refusal_only(result: Result) -> str:
    """Say how often a model behind an endpoint refuses, and that no more was measured."""
    scope = "Only refusal was measured: behind an endpoint nothing can be ablated."
    for average in result.averages:
        if average.condition == BASELINE and average.label == "harmful":
            many = average.languages > 1
            return (
                f"This model refuses {percent(average.refusal)}% of harmful prompts"
                f"{f', averaged over {average.languages} languages' if many else ''} "
                f"(95% interval {interval(average.refusal_low, average.refusal_high)}%). {scope}"
            )
    return scope


def finding_sentences(result: Result) -> list[str]:
    """Return what each ablation showed, a sentence or two per finding, then who never refused."""
    findings = result.findings
    if findings and not any(f.mediates for f in findings) and findings[0].languages_refusing:
        sentences = [no_single_direction(findings)]
    else:
        sentences = [finding_sentence(finding) for finding in findings]
    tested = {finding.language for finding in findings}
    for record in result.directions:
        if record.language not in tested:
            sentences.append(
                f"No ablation with the {_name(record.language)} direction: none was selected."
            )
    if findings:
        sentences += _never_refused(result, findings[0].languages_refusing)
    return sentences


def no_single_direction(findings: Sequence[Finding]) -> str:
    """Say that no ablation did more than the random control allows."""
    first, *others = findings
    changes = [
        f"ablating the {_name(first.language)} direction changes refusal by {_change(first)}"
    ]
    if len(findings) > MANY:
        strongest = max(findings, key=lambda finding: abs(finding.mean_drop))
        changes = [
            f"ablating any of {len(findings)} directions changes refusal by at most "
            f"{_change(strongest)} ({_name(strongest.language)})"
        ]
    else:
        changes += [f"the {_name(f.language)} by {points(-f.mean_drop)}" for f in others]
    changes.append(f"the random control by {points(-_random(findings))}")
    return f"No single direction mediates refusal in this model: {', '.join(changes)}."


def finding_sentence(finding: Finding) -> str:
    """Say what ablating one direction does, and to which languages."""
    name = _name(finding.language)
    refusing, freed = finding.languages_refusing, finding.languages_freed
    if not refusing:
        return f"No language refuses at baseline, so ablating the {name} direction shows nothing."
    control = f"the random control by {points(-finding.random_drop)}"
    change = f"changes refusal by {_change(finding)} on average, {control}"
    if not finding.mediates:
        return f"The {name} direction does not mediate refusal: ablating it {change}."
    sentence = (
        f"Ablating the {name} direction frees {len(freed)} of {len(refusing)} refusing "
        f"language{'' if len(refusing) == 1 else 's'}"
    )
    kept = [code for code in refusing if code not in freed]
    if kept and len(freed) <= len(kept) and freed:
        sentence += f" ({_join([_name(code) for code in freed])})"
    elif kept:
        sentence += f" (not {_join([_name(code) for code in kept])})"
    return f"{sentence}; it {change}."


def _change(finding: Finding) -> str:
    """Return the mean change in points with its interval: the drop with its sign turned."""
    text = f"{points(-finding.mean_drop)} points"
    if finding.mean_drop_low is None or finding.mean_drop_high is None:
        return text
    low, high = points(-finding.mean_drop_high), points(-finding.mean_drop_low)
    return f"{text} (95% interval {low} to {high})"


def selection_reason(record: DirectionRecord) -> str:
    """Say why this direction was selected, or why none was."""
    if record.rung not in RUNG_REASONS:
        return f"Selected by the rule “{clean(record.rung)}” of {record.candidates} candidates."
    return RUNG_REASONS[record.rung].format(candidates=record.candidates)


def token_reason(record: DirectionRecord) -> str:
    """Say where the refusal tokens come from and how much they cover."""
    origin = TOKEN_ORIGINS.get(record.refusal_tokens_from, clean(record.refusal_tokens_from))
    if record.refusal_token_coverage is None:
        return origin
    return f"{origin}, beginning {percent(record.refusal_token_coverage)}% of them"


def _never_refused(result: Result, refusing: Sequence[str]) -> list[str]:
    codes = dict.fromkeys(cell.language for cell in result.cells if cell.label == "harmful")
    others = [_name(code) for code in codes if code not in refusing]
    if not others or not refusing:
        return []
    verb = "is" if len(others) == 1 else "are"
    return [f"{_join(others)} {verb} not counted above: too few refusals without ablation."]


def _random(findings: Sequence[Finding]) -> float:
    return max((finding.random_drop for finding in findings), key=abs)


def _plain_points(drop: float) -> str:
    return f"{100 * drop:.1f}".removesuffix(".0").replace("-", "−")


def _name(code: str) -> str:
    return clean(language_of(code).name)


def _join(names: Sequence[str], word: str = "and") -> str:
    *head, last = names
    return f"{', '.join(head)} {word} {last}" if head else last
