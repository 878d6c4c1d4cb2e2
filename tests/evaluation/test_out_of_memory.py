"""A whole evaluation of a model that runs out of memory above a batch size."""

import inspect
import json

import torch

from polyrefuse.observing import read_log
from polyrefuse_evaluation import memory
from polyrefuse_evaluation.evaluate import evaluate
from polyrefuse_evaluation.records import Options

OPTIONS = Options(
    languages="de",
    limit=4,
    train_prompts=6,
    max_new_tokens=6,
    refusal_tokens=(40, 41),
)


def limit_rows(loaded, rows):
    """The test double: a model whose forward pass fails above so many rows."""
    forward = loaded.model.forward

    def limited(*args, **kwargs):
        if len(kwargs["input_ids"]) > rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return forward(*args, **kwargs)

    limited.__signature__ = inspect.signature(forward)
    loaded.model.forward = limited


def test_it_finishes_with_the_same_answers_and_records_every_halving(
    make_loaded, tmp_path, monkeypatch
):
    monkeypatch.setattr(memory, "clear_device_cache", lambda garbage_collection: None)
    expected = evaluate(make_loaded(), tmp_path / "enough", options=OPTIONS)
    loaded = make_loaded()
    limit_rows(loaded, 5)
    found = evaluate(loaded, tmp_path / "little", options=OPTIONS)
    assert found.labels_digest == expected.labels_digest
    assert found.cells == expected.cells
    assert not (tmp_path / "enough" / "halvings.jsonl").exists()
    lines = (tmp_path / "little" / "halvings.jsonl").read_text(encoding="utf-8").splitlines()
    halvings = [json.loads(line) for line in lines]
    assert all(halving["budget"] < halving["tokens"] for halving in halvings)
    stages = {halving["stage"] for halving in halvings}
    warned = [x for x in read_log(tmp_path / "little" / "log.jsonl") if x.event == "warning"]
    assert len(warned) == len(halvings)
    assert "memory ran out" in warned[0].message
    plan = json.loads((tmp_path / "little" / "decoding.json").read_text(encoding="utf-8"))
    assert (plan["engine"], stages) == ("rows", {"select", "generate"})
