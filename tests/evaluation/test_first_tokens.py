"""First tokens are kept batch by batch, and only batches that are not whole are asked for again."""

import json

import pytest

from polyrefuse_evaluation import first_tokens
from polyrefuse_evaluation.first_tokens import FIRST_TOKENS, find_first_tokens
from polyrefuse_evaluation.generation import plan_batches
from polyrefuse_evaluation.judges import get_judge
from polyrefuse_evaluation.prompt_sets import read_prompt_sets
from polyrefuse_evaluation.run_directory import open_run_directory
from polyrefuse_evaluation.select_directions import render_rows

BATCH_TOKENS = 256


@pytest.fixture
def world(make_loaded, tmp_path, monkeypatch):
    """Return (the stage, its file, its batch sizes, the sizes generated in the last call)."""
    sets = read_prompt_sets(None, languages="de", source_languages=("de",), limit=6)
    rows = sets.get("de", "validation", "harmful")
    loaded, generated = make_loaded("llama"), []
    sequences = render_rows(loaded, rows)

    def generate(*arguments):
        generated.append(len(arguments[1]))
        return plain(*arguments)

    plain = first_tokens.generate
    monkeypatch.setattr(first_tokens, "generate", generate)

    def find():
        generated.clear()
        with open_run_directory(tmp_path / "run", {}) as run:
            judge = get_judge("keyword")
            return find_first_tokens(loaded, rows, sequences, judge, run, BATCH_TOKENS)

    batches = plan_batches(sequences, BATCH_TOKENS, first_tokens.DISCOVERY_TOKENS)
    assert len(batches) >= 3
    return find, tmp_path / "run" / FIRST_TOKENS, [len(batch) for batch in batches], generated


def test_a_second_run_generates_nothing(world):
    find, file, sizes, generated = world
    found = find()
    assert generated == sizes
    text = file.read_text()
    assert find() == found
    assert generated == []
    assert file.read_text() == text


@pytest.mark.parametrize("cut", [1, 20])
def test_behind_a_torn_line_its_batch_alone_is_made_again_and_the_file_is_whole(world, cut):
    find, file, sizes, generated = world
    found, whole = find(), file.read_bytes()
    file.write_bytes(whole[:-cut])
    assert find() == found
    assert generated == sizes[-1:]
    assert file.read_bytes() == whole


def test_of_a_batch_that_is_half_there_nothing_is_kept(world):
    find, file, sizes, generated = world
    found, whole = find(), file.read_bytes()
    lines = whole.splitlines(keepends=True)
    at = next(i for i, size in enumerate(sizes) if size > 1)
    kept = sum(sizes[:at])
    file.write_bytes(b"".join(lines[: kept + 1]))
    assert find() == found
    assert generated == sizes[at:]
    assert file.read_bytes() == whole
    assert len({json.loads(line)["id"] for line in lines}) == len(lines)


def test_without_the_repair_the_file_would_be_wrong(world, monkeypatch):
    """The mutation: half a batch is kept as it is, and stands twice in the file."""
    find, file, sizes, _ = world
    find()
    whole = file.read_bytes()
    at = next(i for i, size in enumerate(sizes) if size > 1)
    file.write_bytes(b"".join(whole.splitlines(keepends=True)[: sum(sizes[:at]) + 1]))
    monkeypatch.setattr("polyrefuse_evaluation.run_directory.RunDirectory.rewrite", lambda *_: None)
    find()
    assert file.read_bytes() != whole
