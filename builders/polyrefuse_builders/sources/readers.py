"""Read one file of a source into records: CSV, JSON list, JSON Lines, plain lines, Parquet.

A record is where it stands (for messages and ids) and its columns as text; a file whose rows are
bare strings has the one column `TEXT`. Knows nothing of labels, splits or the manifest's policies.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from polyrefuse.errors import DatasetError
from polyrefuse.outside_json import json_problem, parse_json, rows_problem
from polyrefuse.parquet import UnreadableParquetError, read_rows
from polyrefuse.plain_file import plain
from polyrefuse_builders.sources.manifest import Format

TEXT = ""
"""Name of the only column of a file whose rows are bare strings."""

csv.field_size_limit(10_000_000)

REMEDY = "Get the file again, or correct the manifest."


class Record(NamedTuple):
    """One row: its number as a person counts it ("line 7"), its position from 0, its columns."""

    where: str
    position: int
    values: dict[str, str | None]


def read_records(path: Path, format_: Format, columns: Iterable[str]) -> Iterator[Record]:
    """Yield the records of `path`.

    Args:
        path: the file.
        format_: its format.
        columns: columns that every record must have.

    Raises:
        DatasetError: the file or a row cannot be read; names file and row.
    """
    wanted = list(dict.fromkeys(columns))
    for record in READERS[format_](path):
        missing = [name for name in wanted if name not in record.values]
        if missing:
            has = ", ".join(repr(name) for name in record.values if name) or "bare strings"
            raise DatasetError(
                f"{path}, {record.where}: has no column {missing[0]!r}; it has {has}.", REMEDY
            )
        yield record


def _read_csv(path: Path) -> Iterator[Record]:
    reader = csv.DictReader(io.StringIO(_text(path), newline=""), strict=True)
    start, position = 2, 0
    try:
        for row in reader:
            where = f"line {start}"
            if None in row:
                raise DatasetError(f"{path}, {where}: has more fields than the heading.", REMEDY)
            yield Record(where, position, dict(row))
            start, position = reader.line_num + 1, position + 1
    except csv.Error as error:
        raise DatasetError(f"{path}, line {start}: is not valid CSV ({error}).", REMEDY) from error


def _read_json(path: Path) -> Iterator[Record]:
    try:
        rows = parse_json(_text(path))
    except ValueError as error:
        raise DatasetError(f"{path}{rows_problem(error)}.", REMEDY) from error
    if not isinstance(rows, list):
        raise DatasetError(f"{path}: is not a JSON list of rows.", REMEDY)
    for position, row in enumerate(rows):
        yield _json_record(path, f"row {position + 1}", position, row)


def _read_jsonl(path: Path) -> Iterator[Record]:
    position = 0
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = parse_json(line)
        except ValueError as error:
            raise DatasetError(
                f"{path}, line {number}: is not valid JSON ({json_problem(error)}).", REMEDY
            ) from error
        yield _json_record(path, f"line {number}", position, row)
        position += 1


def _json_record(path: Path, where: str, position: int, row: Any) -> Record:
    if isinstance(row, str):
        return Record(where, position, {TEXT: row})
    if not isinstance(row, dict):
        raise DatasetError(f"{path}, {where}: is neither text nor an object.", REMEDY)
    return Record(where, position, {name: _as_text(value) for name, value in row.items()})


def _read_lines(path: Path) -> Iterator[Record]:
    lines = _text(path).split("\n")
    if lines and not lines[-1].strip():
        lines.pop()  # the end of the last line, not a line
    for position, line in enumerate(lines):
        yield Record(f"line {position + 1}", position, {TEXT: line.rstrip("\r")})


def _read_parquet(path: Path) -> Iterator[Record]:
    try:
        for position, row in enumerate(read_rows(path)):
            yield _json_record(path, f"row {position + 1}", position, row)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}).", REMEDY) from error
    except UnreadableParquetError as error:
        raise DatasetError(f"{path}: is not a readable Parquet file ({error}).", REMEDY) from error


READERS: dict[Format, Callable[[Path], Iterator[Record]]] = {
    "csv": _read_csv,
    "json": _read_json,
    "jsonl": _read_jsonl,
    "text": _read_lines,
    "parquet": _read_parquet,
}
"""A reader for each format but ``upstream``, whose rows stand in many files (read_source.py)."""


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def _text(path: Path) -> str:
    try:
        return plain(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}).", REMEDY) from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: byte {error.start + 1} is not UTF-8.", REMEDY) from error
