"""Verdicts on answers, kept batch by batch while a run is under way, so that none is made twice.

``answers.jsonl`` in the run directory: a stage, the place of each prompt in it, outcome and length.
Token ids are held of the few answers whose perplexity is measured later. The file goes when the
run's tables are written: then it holds nothing that they lack.
"""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from polyrefuse.outcomes import Outcome
from polyrefuse_evaluation.run_directory import RunDirectory

ANSWERS = "answers.jsonl"


class KeptAnswer(BaseModel):
    """One line of ``answers.jsonl``: one answer of one stage; `outcome` is None where unasked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stage: str
    index: int
    outcome: Outcome | None
    length: int
    tokens: list[int] | None = None


class KeptAnswers:
    """The answers of a run that are on disk."""

    def __init__(self, run: RunDirectory) -> None:
        self._run = run
        rows = run.read(ANSWERS, KeptAnswer)
        self._known = {(row.stage, row.index): row for row in rows}

    def get(self, stage: str, indices: Sequence[int]) -> list[KeptAnswer] | None:
        """Return the answers of a batch, or None if one of them is missing."""
        found = [self._known.get((stage, index)) for index in indices]
        whole = [row for row in found if row is not None]
        return whole if len(whole) == len(found) else None

    def keep(self, rows: Sequence[KeptAnswer]) -> None:
        """Keep the answers of a batch, flushed to disk.

        Raises:
            RunDirectoryError: they cannot be written, or the inputs are no longer the run's.
        """
        self._run.require_inputs()
        self._run.append(ANSWERS, rows)
        self._known |= {(row.stage, row.index): row for row in rows}

    def forget(self) -> None:
        """Remove the file: everything made of it is in tables."""
        (self._run.path / ANSWERS).unlink(missing_ok=True)
        self._known = {}
