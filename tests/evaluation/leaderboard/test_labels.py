"""What Arrow is asked to decode of a submission, called here as the child process does."""

import io

import pyarrow
import pytest
from pyarrow import parquet

from polyrefuse.outcomes import Outcome
from polyrefuse_evaluation.leaderboard import labels
from polyrefuse_evaluation.leaderboard.labels import (
    COLUMNS,
    LabelRow,
    decode_labels,
    read_labels,
    write_labels,
)

ROWS = [
    LabelRow(f"id-{n}", "th", "baseline", "harmful", outcome, "keyword", score, None, "", False, d)
    for n, (outcome, score, d) in enumerate(
        [(Outcome.REFUSED, None, f"sha256:{0:064x}"), (Outcome.COMPLIED, 0.5, f"sha256:{1:064x}")]
    )
]


def changed(change) -> bytes:
    """Return the rows as a file whose table was changed."""
    table = parquet.read_table(io.BytesIO(write_labels(ROWS)))
    sink = io.BytesIO()
    parquet.write_table(change(table), sink, compression="NONE")
    return sink.getvalue()


def replaced(name: str, values: pyarrow.Array):
    return lambda table: table.set_column(COLUMNS.index(name), name, values)


def test_what_is_written_is_read_here_and_in_a_child():
    (piece,) = decode_labels(write_labels(ROWS))
    table = pyarrow.ipc.open_stream(piece).read_all()
    assert tuple(table.column_names) == COLUMNS
    assert table.num_rows == len(ROWS)
    assert read_labels(write_labels(ROWS)) == (ROWS, [])


def compressed(table: pyarrow.Table) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(table, sink, compression="gzip")
    return sink.getvalue()


SHAPES = [
    (lambda: b"nothing", "is no Parquet file that can be read"),
    (lambda: changed(lambda table: table.drop(["judge"])), "has the columns"),
    (lambda: changed(lambda table: table.slice(0, 0)), "claims 0 rows"),
    (
        lambda: compressed(parquet.read_table(io.BytesIO(write_labels(ROWS)))),
        "is compressed (GZIP)",
    ),
]


@pytest.mark.parametrize(("made", "said"), SHAPES)
def test_a_file_of_another_shape_is_refused_here_and_in_a_child(made, said):
    with pytest.raises(ValueError, match="^" + said.replace("(", r"\(").replace(")", r"\)")):
        list(decode_labels(made()))
    rows, (problem,) = read_labels(made())
    assert rows == []
    assert problem.detail.startswith(said)


@pytest.mark.parametrize(("most", "said"), [("MOST_ROWS", "claims 2"), ("MOST_ROW_GROUPS", "has")])
def test_too_much_is_refused(monkeypatch, most, said):
    monkeypatch.setattr(labels, most, 0)
    with pytest.raises(ValueError, match=said):
        list(decode_labels(write_labels(ROWS)))


BAD = [
    ("score", pyarrow.array([None, 2.0]), "which is not in [0, 1]"),
    ("score", pyarrow.array([1, 2]), "is of type int64"),
    ("id", pyarrow.array([None, "id-1"]), "has 1 empty values"),
    ("id", pyarrow.array(["x" * 500, "id-1"]), "holds a text of 500 bytes"),
    ("id", pyarrow.array(["../id", "id-1"]), "which is not allowed"),
]


@pytest.mark.parametrize(("name", "values", "said"), BAD)
def test_values_of_the_wrong_kind_are_refused(name, values, said):
    rows, (problem,) = read_labels(changed(replaced(name, values)))
    assert rows == []
    assert said in problem.detail


def test_a_reader_that_crashes_is_a_problem_of_the_file(monkeypatch):
    monkeypatch.setattr(labels, "__name__", "tests.support.decoders")
    monkeypatch.setattr(
        labels, "isolated", lambda _, content: isolated("tests.support.decoders:abort", content)
    )
    from polyrefuse.isolated import isolated

    rows, (problem,) = read_labels(write_labels(ROWS))
    assert rows == []
    assert "ended by SIGABRT" in problem.detail
