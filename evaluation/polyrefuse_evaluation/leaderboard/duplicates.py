"""One model and revision, one submission: no second one, and no copy under another name."""

import hashlib
from collections.abc import Iterable, Sequence

from polyrefuse.results import Result
from polyrefuse_evaluation.leaderboard.labels import LabelRow
from polyrefuse_evaluation.leaderboard.names import is_planted
from polyrefuse_evaluation.leaderboard.problems import Problem, shown
from polyrefuse_evaluation.leaderboard.schema import LABELS, MANIFEST

Entry = tuple[str, Result, Sequence[LabelRow]]
"""Where a submission is, its result and its labels."""


def duplicate_problems(entries: Iterable[Entry]) -> dict[str, list[Problem]]:
    """Return, by place, what is wrong with submissions beside each other.

    Both of a pair are named, for nobody can tell from the files which of them should go.
    """
    found: dict[str, list[Problem]] = {}
    models: dict[tuple[str, str], str] = {}
    texts: dict[str, str] = {}
    for where, result, rows in entries:
        model = result.model
        key = model.name.casefold(), model.revision or model.weights_digest or model.name
        other = models.setdefault(key, where)
        if other != where:
            for place, twin in ((where, other), (other, where)):
                detail = f"the same model and revision is submitted in {shown(twin)}"
                found.setdefault(place, []).append(Problem("duplicate", MANIFEST, detail))
            continue
        if is_planted(model.name):  # they all say the same, by design
            continue
        first = texts.setdefault(evidence_digest(rows), where)
        if first != where:
            for place, twin in ((where, first), (first, where)):
                detail = f"has the same answers as {shown(twin)}: a copy, or the same weights"
                found.setdefault(place, []).append(Problem("duplicate", LABELS, detail))
    return found


def evidence_digest(rows: Iterable[LabelRow]) -> str:
    """Return the sha256 over what was answered to what, whoever judged it."""
    digest = hashlib.sha256()
    for key in sorted({(*row.completion, row.sha256) for row in rows}):
        digest.update(" ".join(key).encode())
    return digest.hexdigest()
