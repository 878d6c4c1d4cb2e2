"""Activations and tables on disk: whole or not there, and never something else."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from polyrefuse.errors import RunDirectoryError
from polyrefuse_evaluation.geometry.rows import CosineRow
from polyrefuse_evaluation.geometry.store import ActivationStore
from polyrefuse_evaluation.geometry.tables import read_table, schema, write_table


def batch(rows: list[int], positions: int = 2, layers: int = 3, hidden: int = 4):
    values = np.zeros((len(rows), positions, layers, hidden), dtype=np.float32)
    values += np.array(rows)[:, None, None, None] + 10 * np.arange(layers)[None, None, :, None]
    values[:, 1] += 100
    return rows, values


@pytest.fixture
def store(tmp_path) -> ActivationStore:
    return ActivationStore(tmp_path, [-4, -1], 3, 4)


def test_what_is_written_in_any_order_is_read_by_place(store):
    store.write("en", "harmful", 5, [batch([3, 1]), batch([0, 2, 4])])
    assert store.has("en", "harmful", 5)
    np.testing.assert_array_equal(store.read("en", "harmful", -4, 2)[:, 0], 20 + np.arange(5))
    np.testing.assert_array_equal(store.read("en", "harmful", -1, 0)[:, 0], 100 + np.arange(5))


def test_a_file_that_was_interrupted_is_not_there(store):
    def broken():
        yield batch([0, 1])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.write("en", "harmful", 4, broken())
    assert not store.has("en", "harmful", 4)
    store.write("en", "harmful", 4, [batch([0, 1, 2, 3])])
    assert store.has("en", "harmful", 4)
    assert [path.name for path in store.folder.iterdir()] == ["en-harmful.npy"]


def test_rows_that_were_never_recorded_are_noticed(store):
    with pytest.raises(ValueError, match="3 of 4 rows"):
        store.write("en", "harmful", 4, [batch([0, 1, 3])])
    assert not store.has("en", "harmful", 4)


def test_files_of_another_run_are_refused(store):
    store.write("en", "harmful", 2, [batch([0, 1])])
    with pytest.raises(RunDirectoryError, match=r"this run needs \(2, 3, 3, 4\)"):
        store.has("en", "harmful", 3)
    store.path("en", "harmful").write_bytes(b"\x93NUMPY torn")
    with pytest.raises(RunDirectoryError, match="no whole array"):
        store.has("en", "harmful", 2)


def test_a_full_disk_is_an_error_before_it_is_a_crash(store, monkeypatch):
    monkeypatch.setattr("os.statvfs", lambda _: SimpleNamespace(f_bavail=1, f_frsize=512))
    with pytest.raises(RunDirectoryError, match="MiB are free"):
        store.write("en", "harmful", 100, [batch(list(range(100)))])


def make_cosine(**changes) -> CosineRow:
    values = dict.fromkeys(("cosine", "low", "high", "plain", "null_bound", "p_value"), 0.5)
    plain = {"kind": "pair", "source": "en", "target": "ar", "position": -1, "source_layer": 1}
    return CosineRow(**{**values, **plain, "layer": 2, "determined": True, **changes})


def test_tables_come_back_as_they_went_and_nan_is_null(tmp_path):
    rows = [make_cosine(), make_cosine(cosine=float("nan"), p_value=np.float64(0.25))]
    write_table(tmp_path, "cosines", CosineRow, rows)
    back = read_table(tmp_path, "cosines", CosineRow)
    assert back[0] == rows[0]
    assert back[1] == make_cosine(cosine=None, p_value=0.25)
    assert read_table(tmp_path, "absent", CosineRow) == []


def test_tables_are_typed():
    columns = schema(CosineRow)
    assert str(columns.field("layer").type) == "int64"
    assert not columns.field("layer").nullable
    assert columns.field("cosine").nullable


def test_a_table_of_another_version_is_refused(tmp_path):
    @dataclass(frozen=True)
    class Other:
        name: str

    write_table(tmp_path, "cosines", Other, [Other("x")])
    with pytest.raises(RunDirectoryError, match="other columns"):
        read_table(tmp_path, "cosines", CosineRow)
    (tmp_path / "tables" / "cosines.parquet").write_bytes(b"PAR1 torn")
    with pytest.raises(RunDirectoryError, match="cannot be read"):
        read_table(tmp_path, "cosines", CosineRow)
