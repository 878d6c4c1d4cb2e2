"""One verdict as figures need it: what it must have, and a small form for hundreds of thousands.

A record of pydantic takes 1.4 kB, a `JudgedRow` 120 bytes and its share of texts that many have in
common. Knows nothing of files.
"""

# ruff: noqa: D102 - what the fields are stands in run_directory
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from polyrefuse.outcomes import Outcome
from polyrefuse.prompts import Label


class Judged(Protocol):
    """One judge's verdict on one completion; see `run_directory.JudgementRecord`."""

    @property
    def condition(self) -> str: ...
    @property
    def language(self) -> str: ...
    @property
    def label(self) -> Label: ...
    @property
    def id(self) -> str: ...
    @property
    def judge(self) -> str: ...
    @property
    def outcome(self) -> Outcome: ...
    @property
    def score(self) -> float | None: ...
    @property
    def response_language(self) -> str | None: ...
    @property
    def reason(self) -> str: ...
    @property
    def reasoning(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class JudgedRow:
    """A `Judged`, small."""

    condition: str
    language: str
    label: Label
    id: str
    judge: str
    outcome: Outcome
    score: float | None
    response_language: str | None
    reason: str
    reasoning: bool


Text = TypeVar("Text", bound=str)


def small_rows(rows: Iterable[Judged]) -> Iterator[JudgedRow]:
    """Yield verdicts in their small form; equal texts become one."""
    texts: dict[str, str] = {}
    scores: dict[float, float] = {}

    def shared(text: Text) -> Text:
        return texts.setdefault(text, text)  # type: ignore[return-value]  # equal, so of that type

    for row in rows:
        language = row.response_language
        yield JudgedRow(
            condition=shared(row.condition),
            language=shared(row.language),
            label=shared(row.label),
            id=shared(row.id),
            judge=shared(row.judge),
            outcome=row.outcome,
            score=None if row.score is None else scores.setdefault(row.score, row.score),
            response_language=None if language is None else shared(language),
            reason=shared(row.reason),
            reasoning=row.reasoning,
        )


def labels_digest(rows: Sequence[Judged]) -> str:
    """Return the sha256 of all labels, independent of the order in which they were made."""
    keys = sorted((row.condition, row.language, row.id, row.judge, row.outcome) for row in rows)
    digest = hashlib.sha256(b"[")
    for at, key in enumerate(keys):  # as json.dumps(keys), a piece at a time
        digest.update(f"{', ' if at else ''}{json.dumps(key)}".encode())
    digest.update(b"]")
    return "sha256:" + digest.hexdigest()
