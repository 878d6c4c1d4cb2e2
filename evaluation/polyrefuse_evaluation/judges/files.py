"""Judges a file of completions, whoever made them: streamed, resumable, every row accounted for.

Rows are judged a chunk at a time; each chunk is appended and flushed to disk. Run again, rows that
are there already are not judged again. The output file is locked while in use and, if it is new,
readable by its owner only: it holds completions.
"""

import fcntl
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from polyrefuse.errors import PolyRefuseError
from polyrefuse.outcomes import Outcome
from polyrefuse.plain_file import plain
from polyrefuse_evaluation.judges.file_rows import (
    Row,
    check_file,
    count_judged,
    judge_input,
    read_rows,
    to_line,
)
from polyrefuse_evaluation.judges.registry import RegisteredJudge
from polyrefuse_evaluation.judges.response_language import response_languages
from polyrefuse_evaluation.progress import progress_bar

CHUNK_ROWS = 256
"""Rows judged at once: enough to sort by length, few enough to lose."""


@dataclass
class JudgedFile:
    """What a judged file holds.

    Attributes:
        outcomes: number of rows by language and outcome.
        rows: number of rows.
        resumed: rows that were judged already.
        failed: rows whose judge could not be asked; run again to ask again.
        reasons: number of unparsed rows by reason.
    """

    outcomes: dict[str, Counter[Outcome]] = field(default_factory=dict)
    rows: int = 0
    resumed: int = 0
    failed: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def count(self, row: Row) -> None:
        """Count one judged row."""
        outcome = Outcome(row["outcome"])
        self.outcomes.setdefault(row["language"], Counter())[outcome] += 1
        self.rows += 1
        if outcome is Outcome.UNPARSED:
            self.reasons[str(row["reason"])] += 1


def judge_file(
    source: Path, target: Path, judge: RegisteredJudge, *, chunk_rows: int = CHUNK_ROWS
) -> JudgedFile:
    """Judge every row of `source` into `target`, or what of it is left.

    Args:
        source: rows with ``language``, ``response``, and ``prompt``, ``prompt_en`` where known.
        target: the same rows with ``outcome``, ``score``, ``response_language``, ``reason`` and
            ``judge``, in the same order.
        judge: the judge, from `get_judge`.
        chunk_rows: rows judged and written at once.

    Raises:
        PolyRefuseError: a bad row, or `target` belongs to other rows, another judge or process.
    """
    if target.exists() and source.exists() and target.samefile(source):
        raise PolyRefuseError(f"{target}: is the input file.", "Choose another file with --out.")
    total = check_file(source)
    identity = f"{judge.name} {judge.version}"
    with _locked(target) as stream:
        done, end = count_judged(source, target, identity)
        stream.truncate(end)
        rows = islice(read_rows(source), done, None)
        with progress_bar("Judging", total) as advance:
            advance(done)
            while chunk := list(islice(rows, chunk_rows)):
                _append(stream, _judge_rows(chunk, judge, identity))
                advance(len(chunk))
        return _count(target, done)


def _judge_rows(rows: Sequence[Row], judge: RegisteredJudge, identity: str) -> list[Row]:
    verdicts = judge.judge([judge_input(row) for row in rows])
    languages = response_languages(row["response"] for row in rows)
    return [
        row
        | {
            "outcome": verdict.outcome.value,
            "score": verdict.score,
            "response_language": language,
            "reason": verdict.reason,
            "judge": identity,
        }
        for row, verdict, language in zip(rows, verdicts, languages, strict=True)
    ]


def _append(stream: BinaryIO, rows: Sequence[Row]) -> None:
    stream.write(b"".join(map(to_line, rows)))
    stream.flush()
    os.fsync(stream.fileno())


def _count(target: Path, resumed: int) -> JudgedFile:
    judged = JudgedFile(resumed=resumed)
    for row in read_rows(target):
        judged.count(row)
    judged.failed = sum(n for reason, n in judged.reasons.items() if reason.startswith("failed:"))
    return judged


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """Open a file for appending, locked until the block ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(
        os.open(plain(path), os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "ab"
    ) as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise PolyRefuseError(
                f"{path}: another process is writing to this file.",
                "Wait for it, or choose another file with --out.",
            ) from error
        yield stream
