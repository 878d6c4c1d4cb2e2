"""Small files that unpack to terabytes, and cells that a spreadsheet would run."""

import csv
import io
import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from polyrefuse import parquet as product
from polyrefuse.errors import DatasetError, PolyRefuseError
from polyrefuse_builders.sources import download as downloading
from polyrefuse_builders.sources.download import download
from polyrefuse_builders.sources.readers import read_records
from polyrefuse_evaluation.integrations import inspect_log
from tests.builders.sources.conftest import Server, send, server  # noqa: F401 - a fixture

ROOT = Path(__file__).parents[2]
MEMORY = 3 * 1024**3


def bomb(path: Path, kind: str) -> Path:
    """Write a small Parquet file that unpacks to gigabytes."""
    if kind == "one text, many rows":
        text = pyarrow.array(["x" * 1_000_000], pyarrow.string())
        indices = pyarrow.array([0] * 400_000, pyarrow.int32())
        table = pyarrow.table({"goal": pyarrow.DictionaryArray.from_arrays(indices, text)})
    elif kind == "many numbers":
        table = pyarrow.table(
            {"goal": pyarrow.array([0], pyarrow.int64()).take(pyarrow.array([0] * 12_000_000))}
        )
    else:
        table = pyarrow.table({"goal": pyarrow.array(["x" * 1_500_000_000])})
        table = pyarrow.concat_tables([table, table])
    parquet.write_table(table, path, compression="zstd", use_dictionary=kind != "long texts")
    return path


KINDS = ["one text, many rows", "many numbers", "long texts"]


@pytest.mark.parametrize("kind", KINDS[:2])
def test_parquet_bombs_are_refused_in_little_memory(tmp_path, kind):
    path = bomb(tmp_path / "rows.parquet", kind)
    assert path.stat().st_size < 2_000_000
    program = (
        f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, {MEMORY}))\n"
        "from pathlib import Path\n"
        "from polyrefuse.errors import DatasetError\n"
        "from polyrefuse_builders.sources.readers import read_records\n"
        f"rows = read_records(Path({str(path)!r}), 'parquet', ['goal'])\n"
        "try:\n    print(sum(1 for _ in rows))\n"
        "except DatasetError as error:\n    print('refused', error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=300,
    )
    assert done.stdout.startswith("refused"), done.stdout[-300:] + done.stderr[-1000:]
    assert str(path) in done.stdout


def test_without_the_bounds_the_bomb_would_go_off(tmp_path, monkeypatch):
    """The mutation: with bounds far away the same rows are unpacked."""
    text = pyarrow.array(["x" * 1000], pyarrow.string())
    table = pyarrow.table(
        {
            "goal": pyarrow.DictionaryArray.from_arrays(
                pyarrow.array([0] * 5000, pyarrow.int32()), text
            )
        }
    )
    path = tmp_path / "rows.parquet"
    parquet.write_table(table, path)
    assert path.stat().st_size < 5000
    monkeypatch.setattr(product, "MOST_BYTES", 1_000_000)
    with pytest.raises(DatasetError, match="unpacks to more than 1000000 bytes"):
        list(read_records(path, "parquet", ["goal"]))
    monkeypatch.setattr(product, "MOST_BYTES", 10_000_000)
    assert len(list(read_records(path, "parquet", ["goal"]))) == 5000


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MOST_ROWS", 4, "claims 5 rows"),
        ("MOST_COLUMNS", 0, "of 1 columns"),
        ("MOST_BYTES", 10, "unpacks to"),
    ],
)
def test_what_a_file_claims_is_checked_first(tmp_path, monkeypatch, name, value, said):
    path = tmp_path / "rows.parquet"
    parquet.write_table(pyarrow.table({"goal": list("abcde")}), path)
    monkeypatch.setattr(product, name, value)
    with pytest.raises(DatasetError, match=said):
        list(read_records(path, "parquet", ["goal"]))


@pytest.mark.parametrize("most", [5_000_000, 500_000_000])
def test_a_zipped_log_that_unpacks_to_too_much_is_not_unpacked(
    refused, tmp_path, monkeypatch, most
):
    """The mutation: with the bound far away it is unpacked, and something else is wrong with it."""
    monkeypatch.setattr(inspect_log, "MOST_BYTES", most)
    path = tmp_path / "log.eval"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("header.json", "w", force_zip64=True) as out,
    ):
        out.write(b" " * 6_000_000)
    assert path.stat().st_size < 100_000
    line = refused("import-run", path, "--out", tmp_path / "run")
    assert ("unpacks to" in line) == (most < 6_000_000)


def test_a_download_that_never_ends_or_unpacks_without_end_is_cut(server, tmp_path, monkeypatch):  # noqa: F811
    import gzip

    monkeypatch.setattr(downloading, "MOST_BYTES", 100_000)
    server.answers = [send(gzip.compress(b"x" * 1_000_000), Content_Encoding="gzip")]
    with pytest.raises(DatasetError, match="more than 100000 bytes"):
        download(f"{server.url}/rows.csv", tmp_path / "rows.csv")
    assert list(tmp_path.iterdir()) == []
    server.answers = [send(b"x" * 90_000)]
    download(f"{server.url}/rows.csv", tmp_path / "rows.csv")


def test_without_the_bound_a_download_would_unpack(server, tmp_path, monkeypatch):  # noqa: F811
    """The mutation: the same answer under a bound far away is written whole."""
    import gzip

    monkeypatch.setattr(downloading, "MOST_BYTES", 10_000_000)
    server.answers = [send(gzip.compress(b"x" * 1_000_000), Content_Encoding="gzip")]
    download(f"{server.url}/rows.csv", tmp_path / "rows.csv")
    assert (tmp_path / "rows.csv").stat().st_size == 1_000_000


FORMULAS = (
    '=HYPERLINK("http://x","y")',
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1+1",
    "|calc",
    "%0A=1",
    "＝1+1",
    "'=1",
    "\ufeff=1",
    "=cmd|' /C calc'!A0",
)


def runs(cell: str) -> bool:
    """Whether a spreadsheet would take a cell for a formula."""
    return cell.lstrip(" \t\r\n\ufeff\u00a0").startswith(
        ("=", "+", "-", "@", "＝", "＋", "－", "＠", "|")
    )


@pytest.mark.parametrize("formula", FORMULAS)
def test_no_cell_of_a_table_is_a_formula(formula):
    from polyrefuse_evaluation.calibration.sheets import sheet_text
    from polyrefuse_evaluation.leaderboard.site.downloads import _write
    from tests.evaluation.calibration.factories import R, key_row

    row = key_row(1, R, prompt=formula, prompt_en=formula, response=formula)
    for text in (sheet_text([row]), _write(["model"], [[formula, formula]])):
        cells = [cell for line in csv.reader(io.StringIO(text)) for cell in line]
        assert not [cell for cell in cells if runs(cell)]
        assert any(formula.strip()[-3:] in cell for cell in cells), "the text is gone"


def test_without_the_apostrophe_it_would_be_one(monkeypatch):
    """The mutation."""
    from polyrefuse_evaluation.leaderboard.site import downloads

    monkeypatch.setattr(downloads, "safe_cell", str)
    with pytest.raises(AssertionError):
        test_no_cell_of_a_table_is_a_formula("=1+1")


def test_every_writer_of_csv_is_known():
    """A new one has to be looked at: it is listed here once its cells are safe."""
    found = {
        path.name
        for package in ("polyrefuse", "builders", "evaluation")
        for path in (ROOT / package).rglob("*.py")
        if "csv.writer(" in path.read_text("utf-8") or "DictWriter(" in path.read_text("utf-8")
    }
    assert found == {"sheets.py", "downloads.py"}


def test_limits_of_this_process_are_untouched():
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY
    assert issubclass(DatasetError, PolyRefuseError)
    assert isinstance(Server, type)
