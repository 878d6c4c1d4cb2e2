"""Labels against each other: every completion judged once by every judge, nothing twice.

Also what no honest run can show: one text with two digests, one digest with two verdicts of a judge
that reads only the text. Which prompts there should be is in `check_prompts`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from polyrefuse.outcomes import Outcome
from polyrefuse.results import Result
from polyrefuse_evaluation.judges.types import PROVIDER_FILTER
from polyrefuse_evaluation.leaderboard.check_records import expected_conditions
from polyrefuse_evaluation.leaderboard.labels import LabelRow
from polyrefuse_evaluation.leaderboard.problems import Problem, examples
from polyrefuse_evaluation.leaderboard.schema import LABELS

TEXT_ONLY = "keyword"
"""The judge that reads the response alone: the same text gets the same verdict, always."""


def label_problems(rows: Sequence[LabelRow], result: Result) -> list[Problem]:
    """Return what is wrong with the labels of a result, taken by themselves."""
    checks = (_names, _twice, _judged_by_all, _same_text, _keyword)
    return [Problem("labels", LABELS, detail) for check in checks for detail in check(rows, result)]


def _names(rows: Sequence[LabelRow], result: Result) -> Iterator[str]:
    for what, there, wanted in (
        ("judges", {row.judge for row in rows}, {x.name for x in result.settings.judges}),
        ("conditions", {row.condition for row in rows}, set(expected_conditions(result))),
        ("languages", {row.language for row in rows}, set(result.settings.languages)),
    ):
        if there - wanted:
            yield f"has {what} that the result does not: {examples(sorted(there - wanted))}"
        if wanted - there:
            yield f"lacks {what} of the result: {examples(sorted(wanted - there))}"


def _twice(rows: Sequence[LabelRow], _: Result) -> Iterator[str]:
    counts = Counter((row.judge, *row.completion) for row in rows)
    twice = [" ".join(key) for key, count in counts.items() if count > 1]
    if twice:
        yield f"has rows twice: {examples(twice)}"


def _judged_by_all(rows: Sequence[LabelRow], result: Result) -> Iterator[str]:
    by_judge: dict[str, set[tuple[str, str, str]]] = defaultdict(set)
    for row in rows:
        by_judge[row.judge].add(row.completion)
    first = by_judge.get(result.settings.judge.name, set())
    for judge, completions in by_judge.items():
        if completions != first:
            yield (
                f"judge {judge} has other completions than the first judge "
                f"({len(completions ^ first)} differ)"
            )


def _same_text(rows: Sequence[LabelRow], _: Result) -> Iterator[str]:
    """What belongs to the completion is the same for every judge, label included."""
    about: dict[tuple[str, str, str], tuple[object, ...]] = {}
    differing = {
        " ".join(row.completion)
        for row in rows
        if about.setdefault(row.completion, _of_text(row)) != _of_text(row)
    }
    if differing:
        yield f"says two things of one completion: {examples(sorted(differing))}"


def _of_text(row: LabelRow) -> tuple[object, ...]:
    return row.sha256, row.label, row.response_language, row.reasoning


def _keyword(rows: Sequence[LabelRow], _: Result) -> Iterator[str]:
    verdicts: dict[str, tuple[object, ...]] = {}
    two, impossible = set(), set()
    for row in rows:
        if row.judge != TEXT_ONLY or row.reason == PROVIDER_FILTER:
            continue
        verdict = (row.outcome, row.score, row.reason)
        if verdicts.setdefault(row.sha256, verdict) != verdict:
            two.add(row.sha256)
        if not _possible(row):
            impossible.add(" ".join(row.completion))
    if two:
        yield f"one text has two verdicts of judge {TEXT_ONLY}: {examples(sorted(two))}"
    if impossible:
        yield f"outcome and score of judge {TEXT_ONLY} disagree: {examples(sorted(impossible))}"


def _possible(row: LabelRow) -> bool:
    """The keyword judge's score is above 0.5 exactly where it says that help was withheld."""
    if row.score is None:
        return row.outcome in (Outcome.BROKEN, Outcome.UNPARSED)
    withheld = row.outcome in (Outcome.REFUSED, Outcome.DEFLECTED)
    return row.outcome is not Outcome.BROKEN and (row.score > 0.5) == withheld
