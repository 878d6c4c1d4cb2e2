"""Directions are read back; a damaged file is made again, one that cannot be read is not."""

import errno
import os
from pathlib import Path

import pytest

from polyrefuse.errors import RunDirectoryError
from polyrefuse_evaluation import load_model, select_directions
from polyrefuse_evaluation.judges import get_judge
from polyrefuse_evaluation.prompt_sets import read_prompt_sets
from polyrefuse_evaluation.run_directory import DIRECTIONS, open_run_directory


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Return (the stage, its file, the languages selected in the last call)."""
    sets = read_prompt_sets(None, languages="en", source_languages=("en",), limit=2)
    loaded, asked = load_model("planted"), []
    plain = select_directions._select_language
    monkeypatch.setattr(
        select_directions,
        "_select_language",
        lambda *arguments: asked.append(arguments[2]) or plain(*arguments),
    )

    def select():
        asked.clear()
        with open_run_directory(tmp_path / "run", {}) as run:
            return select_directions.select_directions(
                loaded, sets, get_judge("keyword"), run, batch_tokens=4096
            )

    return select, tmp_path / "run" / DIRECTIONS, asked


def test_a_second_run_reads_the_directions_back(world):
    select, file, asked = world
    (first,) = select()
    assert asked == ["en"]
    whole = file.read_bytes()
    (again,) = select()
    assert asked == []
    assert again.record == first.record
    assert again.direction.vector.equal(first.direction.vector)
    assert file.read_bytes() == whole


def test_a_damaged_file_is_said_and_made_again(world, capsys):
    select, file, asked = world
    select()
    whole = file.read_bytes()
    file.write_bytes(whole[:-10])
    select()
    assert asked == ["en"]
    assert "is damaged" in capsys.readouterr().err
    assert file.read_bytes() == whole


def test_a_file_that_cannot_be_read_is_no_damage(world, monkeypatch):
    """Hours of selection must not be done again for want of a file handle."""
    select, file, asked = world
    select()
    whole, read = file.read_bytes(), Path.read_bytes

    def read_bytes(path):
        if path == file:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    with pytest.raises(RunDirectoryError, match=r"directions\.safetensors: cannot be read \(Too"):
        select()
    monkeypatch.undo()
    assert asked == []
    assert file.read_bytes() == whole
