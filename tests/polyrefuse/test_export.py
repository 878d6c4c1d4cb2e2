"""Exporting the sample: whole or not at all, and never over a user's own files."""

import errno
import json
import shutil
from pathlib import Path

import pytest

from polyrefuse.atomic import partial_of
from polyrefuse.check import check_folder
from polyrefuse.errors import AnswerIsNo, DatasetError
from polyrefuse.export import export_dataset, export_sample
from polyrefuse.folder import read_prompts, write_jsonl
from polyrefuse.invariants import Erratum


def test_the_export_is_a_dataset_folder_equal_to_the_sample(tmp_path, sample):
    folder = tmp_path / "deep" / "out"
    files = export_sample(folder)
    assert files == len([path for path in folder.rglob("*") if path.is_file()]) == 1 + 14 * 3
    report = check_folder(folder)
    assert report.ok
    assert read_prompts(folder) == sample


def test_an_empty_folder_is_filled(tmp_path):
    assert export_sample(tmp_path) == 43


def test_a_folder_with_anything_in_it_is_refused_and_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DatasetError, match="not empty"):
        export_sample(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DatasetError, match="is a file"):
        export_sample(tmp_path / "file")
    with pytest.raises(DatasetError, match="Not a directory"):
        export_sample(tmp_path / "file" / "below")


def test_a_target_that_cannot_be_made_is_refused():
    with pytest.raises(DatasetError, match=r"/proc/out: cannot be written .* another folder"):
        export_sample(Path("/proc/out"))


def written(folder):
    """Return every file below `folder`, by path, with its bytes."""
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("files_that_fit", [0, 5, 42])
@pytest.mark.parametrize("place", [".", "out"])
def test_a_full_disk_is_named_and_leaves_nothing_behind(
    tmp_path, monkeypatch, files_that_fit, place
):
    opened, open_file, copyfile = [], Path.open, shutil.copyfile

    def until_full(write, target):
        if len(opened) == files_that_fit:
            raise OSError(errno.ENOSPC, "No space left on device", str(target))
        opened.append(target)
        return write()

    def open_until_full(path, mode="r", *arguments, **options):
        def write():
            return open_file(path, mode, *arguments, **options)

        return until_full(write, path) if "w" in mode else write()

    monkeypatch.setattr(Path, "open", open_until_full)
    monkeypatch.setattr(shutil, "copyfile", lambda a, b: until_full(lambda: copyfile(a, b), b))
    target = tmp_path / place
    with pytest.raises(DatasetError) as caught:
        export_sample(target)
    assert str(caught.value).startswith(f"{target}: cannot be written (No space left on device)")
    assert list(tmp_path.iterdir()) == []


def test_any_dataset_folder_is_exported_byte_for_byte_without_what_lies_beside(
    small_folder, tmp_path
):
    german = small_folder / "data" / "de" / "test.jsonl"
    fault = german.read_text().splitlines()[-1]
    german.write_text(german.read_text().removesuffix(fault + "\n"))
    erratum = Erratum(kind="missing", ids=[json.loads(fault)["id"]], detail="lost")
    write_jsonl(small_folder / "errata.jsonl", [erratum])
    before = written(small_folder)
    (small_folder / "notes.txt").write_text("mine")
    report = export_dataset(tmp_path / "out", small_folder)
    assert (report.rows, len(report.violations), report.ok) == (11, 1, True)
    assert written(tmp_path / "out") == before


def test_blank_lines_and_carriage_returns_are_left_behind(small_folder, tmp_path):
    before = written(small_folder)
    path = small_folder / "data" / "en" / "test.jsonl"
    path.write_bytes(b"\r\n" + path.read_bytes().replace(b"\n", b"\r\n\n")[:-3])
    export_dataset(tmp_path / "out", small_folder)
    assert written(tmp_path / "out") == before


def spoil_line(folder):
    (folder / "data" / "en" / "test.jsonl").write_bytes(b"\xff\n")


def lose_row(folder):
    path = folder / "data" / "en" / "test.jsonl"
    path.write_text(path.read_text().split("\n")[0] + "\n")


def spoil_errata(folder):
    (folder / "errata.jsonl").write_text("{}\n")


@pytest.mark.parametrize(
    ("fault", "answer", "words"),
    [
        (spoil_line, DatasetError, r"small/data/en/test\.jsonl, line 1: byte 1 is not UTF-8"),
        (lose_row, AnswerIsNo, "not listed in errata.jsonl: 1; the first: missing: language en"),
        (spoil_errata, DatasetError, r"errata\.jsonl, line 1: kind"),
    ],
)
def test_a_fault_on_the_way_leaves_nothing_behind(small_folder, tmp_path, fault, answer, words):
    fault(small_folder)
    with pytest.raises(answer, match=words):
        export_dataset(tmp_path / "out", small_folder)
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


def test_an_interrupt_leaves_nothing_behind(small_folder, tmp_path):
    def interrupt(count):
        assert written(partial_of(tmp_path / "out")), "rows are written as they are read"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_dataset(tmp_path / "out", small_folder, interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


def test_a_folder_is_not_exported_into_itself(small_folder):
    before = written(small_folder)
    for target in (small_folder / "copy", small_folder / "data" / "copy", small_folder):
        with pytest.raises(DatasetError, match="lies in the dataset folder"):
            export_dataset(target, small_folder)
    assert written(small_folder) == before
