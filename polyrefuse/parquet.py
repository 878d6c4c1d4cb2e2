"""Read Parquet that others wrote, in bounded memory: a small file may claim or unpack to terabytes.

What the file says of itself is checked before anything is decoded; then rows are read in small
batches, repeated strings as dictionaries, and what they unpack to is counted before it is unpacked.
Does not know what the columns mean. A page that unpacks to more than its own heading says is
stopped by Arrow; one page may still take 2 GiB for a moment.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow
    import pyarrow.parquet

MOST_ROWS = 10_000_000
MOST_COLUMNS = 1_000
MOST_BYTES = 2 * 1024**3
"""Most bytes that a file may unpack to; the largest source has a few MB."""
ROWS_AT_ONCE = 256


class UnreadableParquetError(ValueError):
    """Not a Parquet file that can be read, or one that unpacks to too much."""


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file as dictionaries.

    Raises:
        UnreadableParquetError: it is no Parquet file, or too much; the message says which.
        OSError: it cannot be opened.
    """
    left = MOST_BYTES
    for batch in _batches(path):
        left -= sum(_size(column) for column in batch.columns)
        if left < 0:
            raise UnreadableParquetError(f"unpacks to more than {MOST_BYTES} bytes")
        try:
            yield from batch.to_pylist()
        except Exception as error:
            raise UnreadableParquetError(_first_line(error)) from error


def read_schema(path: Path) -> "pyarrow.Schema":
    """Return the columns and their types.

    Raises:
        UnreadableParquetError: it is no Parquet file.
        OSError: it cannot be opened.
    """
    with path.open("rb"):
        pass
    try:
        from pyarrow import parquet

        return parquet.read_schema(path)
    except Exception as error:  # a C++ parser on hostile bytes raises whatever it likes
        raise UnreadableParquetError(_first_line(error)) from error


def _batches(path: Path) -> Iterator["pyarrow.RecordBatch"]:
    import pyarrow
    from pyarrow import parquet

    with path.open("rb"):
        pass  # an OSError of ours, not one of Arrow's
    try:
        schema = read_schema(path)
        texts = [
            field.name
            for field in schema
            if pyarrow.types.is_string(field.type) or pyarrow.types.is_binary(field.type)
        ]
        file = parquet.ParquetFile(path, read_dictionary=texts)
        _require_modest(file.metadata)
        batches = file.iter_batches(batch_size=ROWS_AT_ONCE, use_threads=False)
        while (batch := next(batches, None)) is not None:
            yield batch
    except UnreadableParquetError:
        raise
    except Exception as error:
        raise UnreadableParquetError(_first_line(error)) from error


def _require_modest(metadata: "pyarrow.parquet.FileMetaData") -> None:
    """Refuse a file by what it says of itself."""
    if metadata.num_rows > MOST_ROWS or metadata.num_columns > MOST_COLUMNS:
        raise UnreadableParquetError(
            f"claims {metadata.num_rows} rows of {metadata.num_columns} columns"
        )
    claimed = 0
    for group in range(metadata.num_row_groups):
        about = metadata.row_group(group)
        for column in range(about.num_columns):
            claimed += max(0, about.column(column).total_uncompressed_size)
    if claimed > MOST_BYTES:
        raise UnreadableParquetError(f"unpacks to {claimed} bytes; at most {MOST_BYTES} are read")


def _size(column: "pyarrow.Array") -> int:
    """Return the bytes that the values of a column take once each stands by itself."""
    import pyarrow
    from pyarrow import compute

    if isinstance(column, pyarrow.DictionaryArray):
        lengths = compute.binary_length(column.dictionary).take(column.indices)
        return int(compute.sum(lengths).as_py() or 0)
    return int(column.nbytes)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
