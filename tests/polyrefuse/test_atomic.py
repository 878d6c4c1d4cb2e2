"""Files and folders appear whole or not at all, and what a kill left is cleared away."""

import errno
import os

import pytest

from polyrefuse.atomic import (
    BusyError,
    partial_of,
    remove_partials,
    settle_folder,
    whole_file,
    whole_folder,
    write_whole,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def fail_in(writer):
    with writer as place:
        (place / "b" if place.is_dir() else place).write_text("half")
        raise ZeroDivisionError


def test_a_file_is_replaced_whole_or_stays(tmp_path):
    target = tmp_path / "page.html"
    write_whole(target, "old é")
    with pytest.raises(ZeroDivisionError):
        fail_in(whole_file(target))
    assert target.read_text("utf-8") == "old é"
    write_whole(target, b"new")
    assert target.read_bytes() == b"new"
    assert names(tmp_path) == ["page.html"]


def test_a_failed_sync_leaves_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "page.html"
    write_whole(target, "old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(target, "new")
    assert target.read_text() == "old"
    assert names(tmp_path) == ["page.html"]


@pytest.mark.parametrize("link", [False, True])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_plain_file_is_never_replaced(tmp_path, make, link):
    make(tmp_path / "there")
    (tmp_path / "link").symlink_to("there")
    before = (tmp_path / "there").stat().st_ino
    with pytest.raises(OSError, match="is no plain file"):
        write_whole(tmp_path / ("link" if link else "there"), "new")
    assert (tmp_path / "there").stat().st_ino == before
    assert names(tmp_path) == ["link", "there"]


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.write_text("a file")])
def test_what_is_no_folder_is_never_replaced_by_one(tmp_path, make):
    make(tmp_path / "there")
    with pytest.raises(NotADirectoryError, match="is no folder"), whole_folder(tmp_path / "there"):
        pass
    assert names(tmp_path) == ["there"]


def test_a_folder_is_replaced_whole_or_stays(tmp_path):
    target = tmp_path / "deep" / "site"
    with whole_folder(target) as fresh:
        (fresh / "a").write_text("1")
    with pytest.raises(ZeroDivisionError):
        fail_in(whole_folder(target))
    assert names(target) == ["a"]
    with whole_folder(target) as fresh:
        assert names(fresh) == []
        (fresh / "c").write_text("3")
    assert names(target) == ["c"]
    assert names(target.parent) == ["site"]


def test_what_a_kill_left_of_a_folder_is_put_right(tmp_path):
    target, old = tmp_path / "site", tmp_path / ".site.old"
    old.mkdir()
    (old / "mine").write_text("1")
    partial_of(target).mkdir()
    (partial_of(target) / "half").write_text("2")
    settle_folder(target)  # killed between two renames
    assert names(target) == ["mine"]
    old.mkdir()
    with whole_folder(target) as fresh:  # killed before the old one was removed
        (fresh / "new").write_text("3")
    assert names(target) == ["new"]
    assert names(tmp_path) == ["site"]


def test_two_writers_of_one_folder_are_kept_apart(tmp_path):
    with (
        whole_folder(tmp_path / "site") as fresh,
        pytest.raises(BusyError, match="another process is writing this folder"),
        whole_folder(tmp_path / "site"),
    ):
        pass
    assert fresh.parent == tmp_path
    assert not (tmp_path / "site").exists() or names(tmp_path) == ["site"]


def test_partials_are_removed_wherever_they_are(tmp_path):
    (tmp_path / "tables").mkdir()
    for name in (
        "tables/.x.parquet.partial",
        ".result.json.partial",
        "tables/x.parquet",
        "a.partial",
    ):
        (tmp_path / name).write_text("")
    (tmp_path / ".folder.partial").mkdir()
    remove_partials(tmp_path)
    left = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    assert left == ["a.partial", "tables/x.parquet"]
    assert not (tmp_path / ".folder.partial").exists()
