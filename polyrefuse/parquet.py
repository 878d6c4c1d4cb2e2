"""Read Parquet that others wrote, in bounded memory: a small file may claim or unpack to terabytes.

Arrow reads it in a child process (isolated.py), since hostile bytes make it abort or take all
memory. There, what the file says of itself is checked before anything is decoded; then rows are
read in small batches, repeated strings as dictionaries, and what they unpack to is counted before
it is unpacked. Does not know what the columns mean.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polyrefuse.isolated import CrashedError, DecodingError, describe, isolated

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
    for piece in _ask("decode_rows", path):
        try:
            yield from _unpacked(piece).to_pylist()
        except Exception as error:  # a date beyond Python's, say
            raise UnreadableParquetError(describe(error)) from error


def read_schema(path: Path) -> "pyarrow.Schema":
    """Return the columns and their types.

    Raises:
        UnreadableParquetError: it is no Parquet file.
        OSError: it cannot be opened.
    """
    import pyarrow

    (piece,) = _ask("decode_schema", path)
    return pyarrow.ipc.read_schema(pyarrow.py_buffer(piece))


def _ask(decoder: str, path: Path) -> Iterator[bytes]:
    with path.open("rb"):
        pass  # an OSError of ours, not one of Arrow's
    limits = {"rows": MOST_ROWS, "columns": MOST_COLUMNS, "bytes": MOST_BYTES}
    argument = json.dumps({"path": str(path.absolute()), **limits}).encode()
    try:
        yield from isolated(f"{__name__}:{decoder}", argument)
    except (DecodingError, CrashedError) as error:
        raise UnreadableParquetError(str(error)) from error


def decode_schema(argument: bytes) -> Iterator[bytes]:
    """Yield the schema of a file; runs in the child."""
    from pyarrow import parquet

    yield parquet.read_schema(json.loads(argument)["path"]).serialize().to_pybytes()


def decode_rows(argument: bytes) -> Iterator[bytes]:
    """Yield the rows of a file in batches; runs in the child.

    Raises:
        UnreadableParquetError: too much.
        Exception: whatever Arrow raises on hostile bytes.
    """
    import pyarrow
    from pyarrow import parquet

    asked = json.loads(argument)
    left = asked["bytes"]
    texts = [
        field.name
        for field in parquet.read_schema(asked["path"])
        if pyarrow.types.is_string(field.type) or pyarrow.types.is_binary(field.type)
    ]
    file = parquet.ParquetFile(asked["path"], read_dictionary=texts)
    _require_modest(file.metadata, asked)
    for batch in file.iter_batches(batch_size=ROWS_AT_ONCE, use_threads=False):
        batch.validate(full=True)
        sizes = [_size(column) for column in batch.columns]
        left -= sum(sizes)
        if left < 0:
            raise UnreadableParquetError(f"unpacks to more than {asked['bytes']} bytes")
        yield packed(_smaller(batch, sizes))


def packed(rows: "pyarrow.RecordBatch | pyarrow.Table") -> bytes:
    """Return rows as a stream of Arrow's, which is how a child gives them to its parent."""
    import pyarrow

    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, rows.schema) as stream:
        stream.write(rows)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _unpacked(piece: bytes) -> "pyarrow.RecordBatch":
    import pyarrow

    return pyarrow.ipc.open_stream(piece).read_next_batch()


def _smaller(batch: "pyarrow.RecordBatch", sizes: list[int]) -> "pyarrow.RecordBatch":
    """Return a batch without dictionaries of more than its own rows use, by `_size` of columns."""
    import pyarrow

    columns = [
        column.dictionary_decode()
        if isinstance(column, pyarrow.DictionaryArray) and size < column.dictionary.nbytes
        else column
        for column, size in zip(batch.columns, sizes, strict=True)
    ]
    return pyarrow.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _require_modest(metadata: "pyarrow.parquet.FileMetaData", most: dict[str, Any]) -> None:
    """Refuse a file by what it says of itself."""
    if metadata.num_rows > most["rows"] or metadata.num_columns > most["columns"]:
        raise UnreadableParquetError(
            f"claims {metadata.num_rows} rows of {metadata.num_columns} columns"
        )
    claimed = 0
    for group in range(metadata.num_row_groups):
        about = metadata.row_group(group)
        for column in range(about.num_columns):
            claimed += max(0, about.column(column).total_uncompressed_size)
    if claimed > most["bytes"]:
        raise UnreadableParquetError(
            f"unpacks to {claimed} bytes; at most {most['bytes']} are read"
        )


def _size(column: "pyarrow.Array") -> int:
    """Return the bytes that the values of a column take once each stands by itself."""
    import pyarrow
    from pyarrow import compute

    if isinstance(column, pyarrow.DictionaryArray):
        lengths = compute.binary_length(column.dictionary).take(column.indices)
        return int(compute.sum(lengths).as_py() or 0)
    return int(column.nbytes)
