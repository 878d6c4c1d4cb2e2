"""The same inputs, settings and device give the same bytes, apart from times; also after Ctrl-C."""

import json
import sys
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from polyrefuse.reproducibility import without_times
from polyrefuse_evaluation import Options, answering, evaluate, load_model
from polyrefuse_evaluation.geometry import GeometryOptions, geometry

OPTIONS = Options(languages="de,th", limit=4, max_new_tokens=12, batch_tokens=300)
RECORDS = ("completions.jsonl", "judgements.jsonl", "selection.jsonl", "directions.safetensors")


@pytest.fixture(scope="module", autouse=True)
def one_thread_without_figures():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        module = sys.modules["polyrefuse_evaluation.evaluate"]
        patch.setattr(module, "finish", lambda _, result: result)
        patch.setattr("polyrefuse_evaluation.geometry.publish.draw_figures", lambda *_: [])
        yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def planted():
    return load_model("planted")


@pytest.fixture(scope="module")
def first(planted, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("determinism") / "first"
    evaluate(planted, out, options=OPTIONS)
    return out


def result(out: Path, **choices) -> bytes:
    return without_times((out / "result.json").read_bytes(), **choices)


def outcomes(out: Path) -> dict[tuple[str, str, str], tuple[str, str]]:
    """Return verdict and digest of each answer."""
    rows = [json.loads(x) for x in (out / "judgements.jsonl").open(encoding="utf-8")]
    texts = [json.loads(x) for x in (out / "completions.jsonl").open(encoding="utf-8")]
    key = ("condition", "language", "id")
    digests = {tuple(row[x] for x in key): row["sha256"] for row in texts}
    found = {tuple(row[x] for x in key): row["outcome"] for row in rows}
    return {place: (outcome, digests[place]) for place, outcome in found.items()}


def test_a_second_run_gives_the_same_bytes(planted, first, tmp_path):
    evaluate(planted, tmp_path / "second", options=OPTIONS)
    assert result(tmp_path / "second") == result(first)
    for name in RECORDS:
        assert (tmp_path / "second" / name).read_bytes() == (first / name).read_bytes(), name


def test_a_run_that_is_interrupted_and_resumed_gives_the_same_bytes(
    planted, first, tmp_path, monkeypatch
):
    generate, calls = answering.generate, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) in (2, 4):
            raise KeyboardInterrupt
        return generate(*arguments)

    monkeypatch.setattr(answering, "generate", interrupted)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            evaluate(planted, tmp_path / "run", options=OPTIONS)
        assert not (tmp_path / "run" / "result.json").exists()
    evaluate(planted, tmp_path / "run", options=OPTIONS)
    assert result(tmp_path / "run") == result(first)
    for name in RECORDS:
        assert (tmp_path / "run" / name).read_bytes() == (first / name).read_bytes(), name


@pytest.mark.parametrize("label", ["the same", "another"])
def test_answers_that_are_not_the_same_are_seen_in_the_bytes(
    planted, first, tmp_path, monkeypatch, label
):
    generate = answering.generate

    def drawn(*arguments):
        answers = generate(*arguments)
        text = "" if label == "another" else f"{answers[0].text} {uuid.uuid4()}"
        return [replace(answers[0], text=text), *answers[1:]]

    monkeypatch.setattr(answering, "generate", drawn)
    evaluate(planted, tmp_path / "drawn", options=OPTIONS)
    name = "completions.jsonl"
    assert (tmp_path / "drawn" / name).read_bytes() != (first / name).read_bytes()
    assert (result(tmp_path / "drawn") == result(first)) is (label == "the same")


@pytest.mark.parametrize(
    ("batch_tokens", "threads"),
    [(16_384, 1), pytest.param(2048, 2, marks=pytest.mark.slow)],  # slow where others compute, too
)
def test_batch_size_and_threads_change_no_outcome(planted, first, tmp_path, batch_tokens, threads):
    torch.set_num_threads(threads)
    try:
        evaluate(planted, tmp_path / "run", options=replace(OPTIONS, batch_tokens=batch_tokens))
    finally:
        torch.set_num_threads(1)
    assert outcomes(tmp_path / "run") == outcomes(first)
    cells = [json.loads(result(out, machine=True))["cells"] for out in (tmp_path / "run", first)]
    assert cells[0] == cells[1]


def tables(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "tables").iterdir())}


def test_the_tables_of_geometry_are_the_same_bytes(planted, tmp_path):
    options = GeometryOptions(
        languages="de,en", sources="de,en", transfer=False, resamples=100, train_prompts=24
    )
    for name in ("first", "second"):
        geometry(planted, tmp_path / name, options=options)
    one, other = (tables(tmp_path / name) for name in ("first", "second"))
    assert len(one) > 10
    assert one == other
    geometry(planted, tmp_path / "third", options=replace(options, seed=1))
    assert tables(tmp_path / "third") != one  # the comparison can fail
