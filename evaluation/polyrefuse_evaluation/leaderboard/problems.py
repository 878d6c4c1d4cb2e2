"""What is wrong with a submission: a kind, a place, and one line that is safe to show.

Text of a submission is data. It reaches a terminal, a CI comment or a page only through `shown`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from polyrefuse.errors import PolyRefuseError

Kind = Literal[
    "file", "size", "schema", "digest", "text", "number", "labels", "prompts", "judge", "figure",
    "name", "duplicate", "ablation", "rescore",
]  # fmt: skip

LONGEST_SHOWN = 160
MOST_SHOWN = 40
"""Problems of one kind that are listed; the rest is counted."""


class SubmissionError(PolyRefuseError):
    """A run, name or repository that no submission can be made of."""


@dataclass(frozen=True)
class Problem:
    """One reason to reject: its kind, the file or field, and what is wrong there."""

    kind: Kind
    where: str
    detail: str

    def __str__(self) -> str:
        return f"{self.kind}: {shown(self.where)}: {shown(self.detail, 2 * LONGEST_SHOWN)}"


def shown(value: object, longest: int = LONGEST_SHOWN) -> str:
    """Return `value` on one line, control and direction characters made visible, cut to length."""
    text = str(value)
    cut = text if len(text) <= longest else f"{text[:longest]}... ({len(text)} characters)"
    return "".join(c if c.isprintable() else "\ufffd" for c in cut)


def examples(values: Sequence[object], most: int = 3) -> str:
    """Return the first of `values`, and how many there are."""
    first = ", ".join(shown(value, 60) for value in values[:most])
    return first if len(values) <= most else f"{first}, ... ({len(values)} in all)"


def cap(problems: Sequence[Problem]) -> list[Problem]:
    """Return `problems` with at most `MOST_SHOWN` of each kind; the rest becomes a count."""
    kept: list[Problem] = []
    counts: Counter[Kind] = Counter()
    for problem in problems:
        counts[problem.kind] += 1
        if counts[problem.kind] <= MOST_SHOWN:
            kept.append(problem)
    return kept + [
        Problem(kind, "more", f"{n - MOST_SHOWN} more of this kind")
        for kind, n in counts.items()
        if n > MOST_SHOWN
    ]
