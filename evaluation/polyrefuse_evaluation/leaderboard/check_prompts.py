"""Labels against the pinned dataset: every prompt of it is there, none extra, none of another kind.

The dataset is recognised by its content, and by name and revision where it is on the Hub.
"""

from collections.abc import Sequence

from polyrefuse.dataset import SAMPLE_NAME
from polyrefuse.errors import PolyRefuseError
from polyrefuse.results import Result
from polyrefuse_evaluation.leaderboard.labels import LabelRow
from polyrefuse_evaluation.leaderboard.problems import Problem, examples, shown
from polyrefuse_evaluation.leaderboard.schema import LABELS, RESULT
from polyrefuse_evaluation.leaderboard.sources import Source
from polyrefuse_evaluation.prompt_sets import PromptSets


def find_prompts(
    result: Result, sources: Sequence[Source]
) -> tuple[PromptSets | None, list[Problem]]:
    """Return the prompts that the result is of, as they are in one of `sources`.

    Where no source has the content that the result names, the one of that name is returned with a
    problem, so that differing ids can be told.
    """
    read, reasons = [], []
    for source in sources:
        try:
            read.append((source, source.read(result.settings, result.dataset)))
        except PolyRefuseError as error:
            reasons.append(f"{source.name}: {error.problem}")
    digest = result.dataset.content_digest
    same = [(source, sets) for source, sets in read if sets.record.content_digest == digest]
    for source, sets in same:
        if not _wrong_name(result, source):
            return sets, []
    if same:
        return same[0][1], _wrong_name(result, same[0][0])
    named = next((sets for source, sets in read if source.name == result.dataset.name), None)
    there = [f"{source.name} {sets.record.content_digest[:19]}" for source, sets in read]
    detail = (
        f"{shown(result.dataset.name, 60)} with content {shown(digest, 30)} is none of the pinned "
        f"datasets ({examples(there or reasons)})"
    )
    return named or (read[0][1] if read else None), [Problem("prompts", RESULT, detail)]


def _wrong_name(result: Result, source: Source) -> list[Problem]:
    dataset = result.dataset
    known = source.folder is not None and dataset.name != SAMPLE_NAME
    if known or (dataset.name, dataset.revision) == (source.name, source.revision):
        return []
    detail = (
        f"calls the dataset {shown(dataset.name, 60)} at {shown(dataset.revision, 60)}, but it is "
        f"{source.name} at {source.revision}"
    )
    return [Problem("prompts", RESULT, detail)]


def prompt_problems(rows: Sequence[LabelRow], result: Result, sets: PromptSets) -> list[Problem]:
    """Return where the labels are not of exactly the prompts of `sets`, in every condition."""
    wanted = {(row.language, row.id): row.label for row in sets.test_prompts()}
    by_cell: dict[tuple[str, str], set[tuple[str, str]]] = {}
    relabelled = set()
    for row in rows:
        by_cell.setdefault((row.judge, row.condition), set()).add((row.language, row.id))
        if wanted.get((row.language, row.id), row.label) != row.label:
            relabelled.add(f"{row.language} {row.id}")
    problems = []
    for (judge, condition), there in by_cell.items():
        where = f"{LABELS}: {judge}, {condition}"
        missing, extra = wanted.keys() - there, there - wanted.keys()
        for what, keys in (("lacks prompts", missing), ("has prompts it should not", extra)):
            if keys:
                shown_keys = examples([" ".join(key) for key in sorted(keys)])
                problems.append(Problem("prompts", where, f"{what}: {shown_keys}"))
    if relabelled:
        detail = f"has prompts under another label: {examples(sorted(relabelled))}"
        problems.append(Problem("prompts", LABELS, detail))
    return [*problems, *_record_problems(result, sets)]


def _record_problems(result: Result, sets: PromptSets) -> list[Problem]:
    """Compare what the result says of the dataset and of the prompts that directions rest on."""
    problems = []
    if result.dataset.errata != sets.record.errata:
        detail = f"is {result.dataset.errata}; the dataset lists {sets.record.errata}"
        problems.append(Problem("prompts", f"{RESULT}: dataset.errata", detail))
    for item in result.directions:
        for label, n in (("harmful", item.train_harmful), ("harmless", item.train_harmless)):
            most = len(sets.get(item.language, "train", label))
            if not 1 <= n <= most:
                where = f"{RESULT}: directions, {item.language}, train_{label}"
                problems.append(Problem("prompts", where, f"is {n}, of {most} prompts"))
    return problems
