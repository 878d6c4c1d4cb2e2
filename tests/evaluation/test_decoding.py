"""A run keeps its decoding plan and its records of running out of memory."""

import json

import pytest
import torch

from polyrefuse.errors import RunDirectoryError
from polyrefuse_evaluation import decoding
from polyrefuse_evaluation.decoding import keep_halvings, plan_of_run
from polyrefuse_evaluation.generation import DecodingPlan, current_plan, generate, memory_limit
from polyrefuse_evaluation.run_directory import RunDirectory
from polyrefuse_evaluation.workers import Workers

PROMPTS = [[5, 6, 7], [5, 6, 7, 8]]


def plan_again(run, loaded):
    return plan_of_run(run, loaded, PROMPTS, 20, 2, Workers())


def test_a_resumed_run_decodes_by_the_plan_it_began_with(make_loaded, tmp_path, monkeypatch):
    chosen = DecodingPlan("single", 17, {"rows": 1.5}, {"rows": "other tokens"})
    monkeypatch.setattr(decoding, "choose_plan", lambda *_: chosen)
    run = RunDirectory(tmp_path)
    assert plan_again(run, make_loaded()) == chosen
    monkeypatch.setattr(decoding, "choose_plan", None)  # not called again
    loaded = make_loaded()
    assert plan_again(run, loaded) == chosen
    assert current_plan(loaded) == chosen


def test_a_plan_that_cannot_be_read_is_named(make_loaded, tmp_path):
    (tmp_path / "decoding.json").write_text('{"engine": "magic"}', encoding="utf-8")
    with pytest.raises(RunDirectoryError, match=r"decoding\.json: not a decoding plan"):
        plan_again(RunDirectory(tmp_path), make_loaded())


def test_each_halving_is_one_line_of_the_run(make_loaded, tmp_path):
    loaded, run = make_loaded(), RunDirectory(tmp_path)
    keep_halvings(run, loaded)
    assert not (tmp_path / "halvings.jsonl").exists()
    forward = loaded.model.forward

    def limited(input_ids, attention_mask=None, **others):
        if len(input_ids) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(input_ids, attention_mask, **others)

    loaded.model.forward = limited
    generate(loaded, PROMPTS, 6)
    keep_halvings(run, loaded)
    keep_halvings(run.join(1), loaded)  # nothing new
    (line,) = (tmp_path / "halvings.jsonl").read_text(encoding="utf-8").splitlines()
    expected = {"process": 0, "stage": "generate", "tokens": 20, "budget": 10, "rows": 2}
    assert json.loads(line) == expected
    assert memory_limit(loaded).budget == 10
