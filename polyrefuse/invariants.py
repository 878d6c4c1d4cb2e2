"""What must hold between the rows of a dataset: one function, used everywhere.

Ids are unique per language; every language has the same ids per split; no English text stands
twice, least of all in two splits; no prompt is empty; text is NFC; what a translation shares with
its English row is the same in all languages. A violation may be *listed* as an erratum, never
ignored.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, groupby
from operator import attrgetter, itemgetter
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from polyrefuse.prompts import Label, Prompt, Split
from polyrefuse.row_index import KeptRow, RowIndex

ViolationKind = Literal[
    "duplicate_id",
    "missing",
    "two_splits",
    "leak",
    "duplicate_text",
    "empty",
    "not_nfc",
    "inconsistent",
    "dangling_pair",
    "failed_row",
]


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken invariant: what, where, and how to put it right."""

    kind: ViolationKind
    language: str
    split: str
    id: str
    detail: str

    def __str__(self) -> str:
        return f"{self.kind}: language {self.language}, {self.split}, id {self.id}: {self.detail}"


Found = tuple[tuple[int, int, int], Violation]
"""Where a violation between rows is told, and the violation."""

IDS, PARALLEL, TEXTS = range(3)
"""The order in which violations between rows are told."""

SHARED = ("label", "english", "category", "source", "pair_id")
"""What a row shares with the first row of its id, whatever their languages."""


class Erratum(BaseModel):
    """A known fault of a dataset, one line of its ``errata.jsonl``.

    `kind` is a violation kind, which it then excuses for `ids`, or another name (for instance
    ``not_parallel``) that explains without excusing. `language` is ``*`` for all languages.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    language: str = "*"
    split: Split | None = None
    label: Label | None = None
    ids: list[str] = Field(default_factory=list)
    file: str | None = None
    detail: str


def find_violations(prompts: Iterable[Prompt], index: RowIndex | None = None) -> list[Violation]:
    """Return every broken invariant among `prompts` (all languages and splits of one dataset).

    The rows themselves are not held: memory grows with the violations alone, by about 0.5 kB each.

    Args:
        prompts: rows, read once.
        index: an open, empty index to keep them in, for a caller who asks it more afterwards.

    Raises:
        DatasetError: the temporary file of the index cannot be written.
    """
    if index is None:
        with RowIndex() as own:
            return find_violations(prompts, own)
    alone = [fault for row in index.keep(prompts) for fault in _row_violations(row)]
    between = sorted(
        chain(_id_violations(index), _dangling_pairs(index), _text_violations(index)),
        key=itemgetter(0),
    )
    return alone + [violation for _, violation in between]


def unlisted(violations: Iterable[Violation], errata: Iterable[Erratum]) -> list[Violation]:
    """Return the violations that no erratum lists."""
    listed = {(erratum.kind, erratum.language, id_) for erratum in errata for id_ in erratum.ids}
    return [
        violation
        for violation in violations
        if (violation.kind, violation.language, violation.id) not in listed
        and (violation.kind, "*", violation.id) not in listed
    ]


def _row_violations(row: Prompt) -> Iterator[Violation]:
    for name in ("prompt", "prompt_en"):
        text = getattr(row, name)
        if not text.strip():
            yield _at(row, "empty", f"{name} is empty; translate it or remove the row")
        elif not unicodedata.is_normalized("NFC", text):
            yield _at(row, "not_nfc", f"{name} is not NFC; normalise it")
    if row.status == "failed":
        yield _at(row, "failed_row", "status is failed; translate it again or list it")


def _id_violations(index: RowIndex) -> Iterator[Found]:
    """Find ids that stand twice in a language, lack in one, or are not the same in all."""
    languages = index.languages()
    for _, same in groupby(index.by_id(), key=attrgetter("id")):
        first: KeptRow | None = None
        present: dict[str, str] = {}
        for row in same:
            first = first or row
            if row.language in present:
                detail = f"stands twice (also in {present[row.language]}); keep one"
                yield (IDS, row.number, 0), _at(row, "duplicate_id", detail)
            present.setdefault(row.language, row.split)
            for fault in _differences(row, first):
                yield (PARALLEL, first.number, row.number), fault
        if first and len(present) < len(languages):
            detail = f"is in {', '.join(sorted(present))} only; add it or list it in errata.jsonl"
            for code in languages:
                if code not in present:
                    fault = Violation("missing", code, first.split, first.id, detail)
                    yield (PARALLEL, first.number, first.number), fault


def _differences(row: KeptRow, first: KeptRow) -> Iterator[Violation]:
    """Find what a row must share with the first row of its id and does not."""
    if row.split != first.split and row.language != first.language:
        yield _at(row, "two_splits", f"is in {first.split} in {first.language}")
    for name in SHARED:
        if getattr(row, name) != getattr(first, name):
            shown = "prompt_en" if name == "english" else name
            yield _at(row, "inconsistent", f"{shown} differs from {first.language}")


def _dangling_pairs(index: RowIndex) -> Iterator[Found]:
    for row in index.without_pair():
        detail = f"pair_id {row.pair_id} is no id of this dataset"
        yield (IDS, row.number, 1), _at(row, "dangling_pair", detail)


def _text_violations(index: RowIndex) -> Iterator[Found]:
    """Find English texts that stand under several ids; reported once for each later id."""
    for row, first in index.same_text():
        kind: ViolationKind = "duplicate_text" if first.split == row.split else "leak"
        detail = f"has the English text of {first.id} in {first.split}; keep one"
        yield (TEXTS, row.number, 0), Violation(kind, "*", row.split, row.id, detail)


def _at(row: Prompt | KeptRow, kind: ViolationKind, detail: str) -> Violation:
    return Violation(kind, row.language, row.split, row.id, detail)
