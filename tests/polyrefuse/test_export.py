"""Exporting the sample: whole or not at all, and never over a user's own files."""

import errno
import shutil
from pathlib import Path

import pytest

from polyrefuse.check import check_folder
from polyrefuse.errors import DatasetError
from polyrefuse.export import export_sample
from polyrefuse.folder import read_prompts


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


@pytest.mark.parametrize("files_that_fit", [0, 5, 42])
def test_a_full_disk_is_named_and_leaves_nothing_behind(tmp_path, monkeypatch, files_that_fit):
    copyfile, copied = shutil.copyfile, []

    def copy_until_full(source, target, **options):
        if len(copied) == files_that_fit:
            raise OSError(errno.ENOSPC, "No space left on device", str(target))
        copied.append(target)
        return copyfile(source, target, **options)

    monkeypatch.setattr(shutil, "copyfile", copy_until_full)
    with pytest.raises(DatasetError) as caught:
        export_sample(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}: cannot be written (")
    assert "No space left on device" in str(caught.value)
    assert len(str(caught.value)) < 300 + 2 * len(str(tmp_path))
    assert list(tmp_path.iterdir()) == []
