"""Typed tables as parquet files, written whole or not at all. Knows rows, not what they mean."""

import math
import types
import typing
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from polyrefuse.atomic import whole_file
from polyrefuse.errors import RunDirectoryError
from polyrefuse.parquet import UnreadableParquetError, read_rows, read_schema
from polyrefuse_evaluation.run_directory import io_errors

FOLDER = "tables"
Row = TypeVar("Row")

_TYPES: dict[type, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
}


def schema(row: type) -> pa.Schema:
    """Return the columns of a row type."""
    hints = typing.get_type_hints(row)
    columns = []
    for field in fields(row):
        hint = hints[field.name]
        optional = isinstance(hint, types.UnionType)
        plain = (
            next(a for a in typing.get_args(hint) if a is not types.NoneType) if optional else hint
        )
        columns.append(pa.field(field.name, _TYPES[plain], nullable=optional))
    return pa.schema(columns)


def write_table(folder: Path, name: str, row: type[Row], rows: Sequence[Row]) -> Path:
    """Write ``tables/<name>.parquet`` atomically; NaN becomes null.

    Raises:
        RunDirectoryError: it cannot be written.
    """
    columns = schema(row)
    data = {
        field.name: [_plain(getattr(item, field.name)) for item in rows]
        for field in fields(row)  # type: ignore[arg-type]
    }
    target = folder / FOLDER / f"{name}.parquet"
    with io_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(target) as partial:
            pq.write_table(pa.table(data, schema=columns), partial)
    return target


def read_table(folder: Path, name: str, row: type[Row]) -> list[Row]:
    """Read a table back; an absent one has no rows.

    Raises:
        RunDirectoryError: the file is no such table.
    """
    path = folder / FOLDER / f"{name}.parquet"
    if not path.is_file():
        return []
    try:
        if read_schema(path) != schema(row):
            raise RunDirectoryError(
                f"{path}: has other columns than this version.", "Run 'polyrefuse geometry' again."
            )
        return [row(**values) for values in read_rows(path)]
    except (UnreadableParquetError, OSError) as error:
        raise RunDirectoryError(
            f"{path}: cannot be read ({error}).", "Remove it and run the same command again."
        ) from error


def _plain(value: Any) -> Any:
    if isinstance(value, float):  # numpy's float64 is one
        return float(value) if math.isfinite(value) else None
    return value
