"""Find the faults of the released data: each function looks for one kind and returns errata.

Texts are named by id and position, never shown. Knows nothing of files on disk.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from polyrefuse.invariants import Erratum, find_violations
from polyrefuse.prompts import Prompt, normalised
from polyrefuse_builders.alignment import MIN_ROWS, Alignment
from polyrefuse_builders.upstream_categories import UNIFIED
from polyrefuse_builders.upstream_files import TRANSLATIONS, Part, Release, Row, TranslatedFile

NEAR_DUPLICATE = 0.8
"""Token Jaccard similarity from which two English prompts count as near duplicates."""

Ids = Mapping[Part, Sequence[str]]
"""The ids of each part, by position."""


def missing_files(release: Release, ids: Ids) -> Iterator[Erratum]:
    """List the ids of every file that a language should have and that does not exist."""
    for language in release.languages:
        for part in ids:
            if language != "en" and (part, language) not in release.files:
                name = f"{TRANSLATIONS}/{part}_translated_{language}.json"
                yield _erratum("missing", part, language, ids[part], name, "file does not exist")


def alignment_errata(
    file: TranslatedFile, alignment: Alignment, ids: Sequence[str]
) -> Iterator[Erratum]:
    """List a file whose rows are not parallel, and with it the ids its language then lacks."""
    at = (file.part, file.language)
    if not alignment.decidable:
        detail = f"{alignment.rows} rows; {MIN_ROWS} are needed to tell whether they are parallel"
        yield _erratum("alignment_unchecked", *at, [], file.name, detail)
    elif not alignment.parallel:
        detail = f"rows do not translate the English rows: {alignment}; see quarantine.jsonl"
        yield _erratum("not_parallel", *at, [], file.name, detail)
        detail = "file is not parallel to the English one, so no row can be given an id"
        yield _erratum("missing", *at, ids, file.name, detail)


def repeated_english(prompts: Sequence[Prompt]) -> Iterator[Erratum]:
    """List English texts that stand under two ids: ``leak`` across splits, else a duplicate."""
    by_id = {row.id: row for row in prompts}
    first: dict[str, Prompt] = {}
    for row in prompts:
        first.setdefault(normalised(row.prompt_en), row)
    for violation in find_violations(prompts):
        if violation.kind in ("leak", "duplicate_text"):
            row = by_id[violation.id]
            other = first[normalised(row.prompt_en)]
            yield Erratum(
                kind=violation.kind,
                split=row.split,
                label=row.label,
                ids=[row.id],
                detail=f"{row.source_id} has the English text of {other.source_id}",
            )


def near_duplicates(english: Sequence[Prompt]) -> Iterator[Erratum]:
    """List pairs of English prompts in two splits that share 80% of their words."""
    words = [frozenset(re.findall(r"\w+", normalised(row.prompt_en))) for row in english]
    for later, row in enumerate(english):
        for earlier in range(later):
            other = english[earlier]
            if row.split == other.split:
                continue
            shared = len(words[later] & words[earlier])
            either = len(words[later]) + len(words[earlier]) - shared
            if not either or shared < NEAR_DUPLICATE * either:
                continue
            if normalised(row.prompt_en) == normalised(other.prompt_en):
                continue  # repeated_english lists it
            yield Erratum(
                kind="near_duplicate",
                split=row.split,
                label=row.label,
                ids=[other.id, row.id],
                detail=f"{other.source_id} and {row.source_id} share {shared / either:.2f} "
                "of their words (Jaccard)",
            )


def collisions(prompts: Sequence[Prompt]) -> Iterator[Erratum]:
    """List different English prompts that have the same translation in a language."""
    groups: dict[tuple[str, str], dict[str, Prompt]] = defaultdict(dict)
    for row in prompts:
        groups[row.language, normalised(row.prompt)].setdefault(normalised(row.prompt_en), row)
    for (language, _), by_english in groups.items():
        rows = list(by_english.values())
        if len(rows) > 1:
            yield Erratum(
                kind="collision",
                language=language,
                ids=[row.id for row in rows],
                detail=f"{', '.join(row.source_id for row in rows)} have one translation",
            )


def uncategorised(english: Iterable[Prompt]) -> Iterator[Erratum]:
    """List harmful prompts whose category is ``other``, by split and by upstream's own label."""
    rows = [row for row in english if row.category == "other"]
    key = lambda row: (row.split, row.source_category or "")  # noqa: E731
    for (split, category), group in groupby(sorted(rows, key=key), key):
        if not category:
            detail = "no category at the source"
        elif category in UNIFIED:
            detail = f"the source's category {category!r} spans several unified ones"
        else:
            detail = f"the source's category {category!r} is not known here"
        yield Erratum(
            kind="uncategorised",
            split=split,
            label="harmful",
            ids=[row.id for row in group],
            detail=f"{detail}; filed under 'other'",
        )


def other_categories(
    file: TranslatedFile, english: Sequence[Row], ids: Sequence[str]
) -> Iterator[Erratum]:
    """List rows of a translation whose category differs from the English row's, which is kept."""
    pairs = zip(file.rows, english, ids, strict=True)
    differing = [id_ for row, original, id_ in pairs if row.category != original.category]
    if differing:
        detail = "the category differs from the English row's, which is the one kept"
        at = (file.part, file.language)
        yield _erratum("category_differs", *at, differing, file.name, detail)


def english_not_in_splits(release: Release, ids: Ids) -> Iterator[Erratum]:
    """List English prompts of the test files that the list in ``splits/`` does not have."""
    for part, rows in release.english.items():
        listed = set(release.splits[part])
        pairs = zip(rows, ids[part], strict=True)
        extra = [id_ for row, id_ in pairs if row.text not in listed]
        if extra:
            detail = (
                f"the files translate another sample than splits/{part}*.json: "
                f"{len(rows) - len(extra)} of {len(rows)} prompts in common; "
                "the English in the files was taken"
            )
            yield _erratum("english_not_in_splits", part, "*", extra, None, detail)


def normalised_texts(changed: Iterable[Prompt]) -> Iterator[Erratum]:
    """List rows whose text was not in Unicode NFC, by language, label and split."""
    key = lambda row: (row.language, row.label, row.split)  # noqa: E731
    for (language, label, split), rows in groupby(sorted(changed, key=key), key):
        yield Erratum(
            kind="normalised",
            language=language,
            label=label,
            split=split,
            ids=[row.id for row in rows],
            detail="text was not in Unicode NFC and was brought to it; nothing else is changed",
        )


def _erratum(
    kind: str, part: Part, language: str, ids: Sequence[str], file: str | None, detail: str
) -> Erratum:
    return Erratum(
        kind=kind,
        language=language,
        split=part.split,
        label=part.label,
        ids=list(ids),
        file=file,
        detail=detail,
    )
