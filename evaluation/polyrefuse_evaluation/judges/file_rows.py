"""Reads and checks the rows of a completions file, and knows which are judged already.

The format is in this folder's README.md: one JSON object a line with ``language`` and ``response``,
``prompt`` and ``prompt_en`` where known, and any other fields, which are kept.
"""

import json
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

from polyrefuse.errors import PolyRefuseError
from polyrefuse.languages import LANGUAGES
from polyrefuse.plain_file import plain
from polyrefuse_evaluation.judges.types import FAILED, JudgeInput

ADDED = ("outcome", "score", "response_language", "reason", "judge")
"""Fields that judging adds; they replace fields of these names in the input."""
MOST_NAMED = 5
"""Bad rows that an error names."""

Row = dict[str, Any]


def read_row(line: bytes) -> Row:
    """Return one row.

    Raises:
        ValueError: the line is no row; the message says why.
    """
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None
    except (ValueError, RecursionError):
        raise ValueError("is not valid JSON") from None
    if not isinstance(row, dict):
        raise ValueError("is no JSON object")
    for name in ("language", "response"):
        if not isinstance(row.get(name), str):
            raise ValueError(f"has no text in {name!r}")
    for name in ("prompt", "prompt_en"):
        if not isinstance(row.get(name), str | None):
            raise ValueError(f"has no text in {name!r}")
    if row["language"] not in LANGUAGES:
        raise ValueError(f"has the unknown language {row['language'][:20]!r}")
    return row


def judge_input(row: Row) -> JudgeInput:
    """Return what a judge sees of a row."""
    return JudgeInput(row["language"], row["response"], row.get("prompt"), row.get("prompt_en"))


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a checked file; blank lines are skipped."""
    for _, line in _lines(path):
        yield read_row(line)


def check_file(path: Path) -> int:
    """Return the number of rows; reads the whole file, so that a run does not stop halfway.

    Raises:
        PolyRefuseError: it cannot be read, has no rows, or has rows that cannot be judged; they
            are named by line.
    """
    bad: list[str] = []
    rows = 0
    for number, line in _lines(path):
        rows += 1
        try:
            read_row(line)
        except ValueError as error:
            bad.append(f"line {number} {error}")
    if bad:
        more = f"; and {len(bad) - MOST_NAMED} more" if len(bad) > MOST_NAMED else ""
        raise PolyRefuseError(
            f"{path}: {len(bad)} of {rows} rows cannot be judged: "
            f"{'; '.join(bad[:MOST_NAMED])}{more}.",
            "Each line must be a JSON object with 'language' (one of the 14 codes) and 'response'.",
        )
    if not rows:
        raise PolyRefuseError(f"{path}: has no rows.", "Check that this is the right file.")
    return rows


def count_judged(source: Path, target: Path, judge: str) -> tuple[int, int]:
    """Return how many rows at the start of `target` are kept, and where they end in bytes.

    Kept are whole rows up to the first whose judge could not be asked.

    Raises:
        PolyRefuseError: `target` was made from other rows or by another judge.
    """
    if not target.exists():
        return 0, 0
    kept = end = 0
    with target.open("rb") as stream:
        for row, line in zip_longest(read_rows(source), _whole_lines(stream)):
            if line is None:
                break
            done = _judged_row(target, kept + 1, line)
            if row is None or _content(row) != _content(done):
                raise _foreign(target, kept + 1, "is not the row of the input file there")
            if done["judge"] != judge:
                raise _foreign(target, kept + 1, f"was judged by {str(done['judge'])[:80]!r}")
            if str(done["reason"]).startswith(FAILED):
                break
            kept, end = kept + 1, end + len(line)
    return kept, end


def to_line(row: Row) -> bytes:
    """Return a row as one line; texts stay readable where they are valid Unicode."""
    try:
        return (json.dumps(row, ensure_ascii=False) + "\n").encode("utf-8")
    except UnicodeEncodeError:  # lone surrogates
        return (json.dumps(row) + "\n").encode("ascii")


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with plain(path).open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    yield number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
    except OSError as error:
        raise PolyRefuseError(
            f"{path}: cannot be read ({error.strerror or error}).", "Check the path."
        ) from error


def _whole_lines(stream: Any) -> Iterator[bytes]:
    """Yield lines that end; a torn last one is not whole."""
    return (line for line in stream if line.endswith(b"\n"))


def _judged_row(path: Path, number: int, line: bytes) -> Row:
    try:
        row = read_row(line)
    except ValueError as error:
        raise _foreign(path, number, str(error)) from error
    if any(name not in row for name in ADDED):
        raise _foreign(path, number, "is no judged row")
    return row


def _content(row: Row) -> str:
    """Return what judging leaves alone, comparable."""
    return json.dumps({key: row[key] for key in sorted(row) if key not in ADDED})


def _foreign(path: Path, number: int, problem: str) -> PolyRefuseError:
    return PolyRefuseError(
        f"{path}, line {number}: {problem}.", "Choose another file with --out, or delete this one."
    )
