"""What Arrow is asked to decode, called here as the child process does."""

import json
from datetime import datetime
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from polyrefuse import parquet as module
from polyrefuse.parquet import UnreadableParquetError, decode_rows, decode_schema, read_rows


def argument(path: Path, **limits: int) -> bytes:
    most = {"rows": 1000, "columns": 10, "bytes": 100_000}
    return json.dumps({"path": str(path), **most, **limits}).encode()


def written(folder: Path, columns: dict, **options) -> Path:
    parquet.write_table(pyarrow.table(columns), folder / "rows.parquet", **options)
    return folder / "rows.parquet"


def decoded(path: Path, **limits: int) -> list[dict]:
    pieces = list(decode_rows(argument(path, **limits)))
    return [row for piece in pieces for row in module._unpacked(piece).to_pylist()]


COLUMNS = {
    "text": ["a", None, "ä" * 50, "a"],
    "number": [1, 2, 3, None],
    "list": [["x"], [], None, ["y", "z"]],
    "bytes": [b"\xff", b"", None, b"z"],
}


@pytest.mark.parametrize("options", [{}, {"compression": "gzip"}, {"use_dictionary": False}])
def test_rows_come_back_as_they_are_here_and_in_a_child(tmp_path, options):
    path = written(tmp_path, COLUMNS, **options)
    rows = [
        dict(zip(COLUMNS, values, strict=True)) for values in zip(*COLUMNS.values(), strict=True)
    ]
    assert decoded(path) == list(read_rows(path)) == rows


def test_batches_carry_no_dictionary_of_more_than_their_own_rows(tmp_path):
    texts = [f"text {n}" * 20 for n in range(900)]
    path = written(tmp_path, {"text": texts})
    pieces = list(decode_rows(argument(path, bytes=10**6)))
    assert len(pieces) == 4
    assert sum(map(len, pieces)) < 1.2 * path.stat().st_size + len("".join(texts))
    repeated = written(tmp_path, {"text": ["x" * 1000] * 900})
    assert sum(map(len, decode_rows(argument(repeated, bytes=10**6)))) < 20_000


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"rows": 3}, "claims 4 rows"),
        ({"columns": 3}, "of 4 columns"),
        ({"bytes": 10}, "unpacks to"),
    ],
)
def test_what_is_too_much_is_refused(tmp_path, limits, said):
    with pytest.raises(UnreadableParquetError, match=said):
        decoded(written(tmp_path, COLUMNS), **limits)


def test_what_repeats_is_counted_as_often_as_it_stands(tmp_path):
    path = written(tmp_path, {"text": ["x" * 1000] * 600})
    with pytest.raises(UnreadableParquetError, match="unpacks to more than 100000 bytes"):
        decoded(path)


def test_the_schema_of_bytes_that_are_none_is_refused(tmp_path):
    path = written(tmp_path, COLUMNS)
    (piece,) = decode_schema(argument(path))
    assert pyarrow.ipc.read_schema(pyarrow.py_buffer(piece)).names == list(COLUMNS)
    path.write_bytes(b"PAR1nothingPAR1")
    with pytest.raises(pyarrow.ArrowInvalid):
        list(decode_schema(argument(path)))
    with pytest.raises(UnreadableParquetError, match="Parquet"):
        list(read_rows(path))


def test_a_date_that_python_lacks_is_told(tmp_path):
    far = pyarrow.array([2**62], pyarrow.timestamp("us"))
    assert list(read_rows(written(tmp_path, {"at": [datetime(2026, 1, 1)]})))
    with pytest.raises(UnreadableParquetError):
        list(read_rows(written(tmp_path, {"at": far})))


def test_texts_that_are_no_utf8_are_refused(tmp_path):
    raw = pyarrow.array([b"\xff\xfe"]).view(pyarrow.string())
    path = written(tmp_path, {"text": raw})
    with pytest.raises(pyarrow.ArrowInvalid, match="UTF8"):
        decoded(path)
