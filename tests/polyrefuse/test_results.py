"""The schema of result.json: strict, readable without torch, its errors name the field."""

import json

import pytest
from pydantic import BaseModel, ValidationError

from polyrefuse import results
from polyrefuse.errors import DatasetError
from polyrefuse.outcomes import JUDGED_OUTCOMES, Outcome
from polyrefuse.results import Cell, Rate, Result, ablation_condition, read_result

NOTHING = {"value": None, "low": None, "high": None, "minimum": 0.0, "maximum": 1.0}
HALF = {"value": 0.5, "low": 0.1, "high": 0.9, "minimum": 0.5, "maximum": 0.5}
CELL = {
    "language": "de",
    "condition": "baseline",
    "label": "harmful",
    "n": 3,
    "counts": {"refused": 1, "complied": 1, "unparsed": 1},
    "refusal": HALF,
    "compliance": HALF,
    "deflection": NOTHING,
    "broken": NOTHING,
    "other_language": None,
}
RESULT = {
    "schema_version": 1,
    "model": {
        "name": "planted",
        "revision": None,
        "weights_digest": "sha256:0",
        "architecture": "LlamaForCausalLM",
        "parameters": 1,
        "layers": 1,
        "hidden_size": 1,
        "dtype": "float32",
        "chat_template_digest": "sha256:0",
        "thinking_disabled": False,
    },
    "dataset": {
        "name": "polyrefuse-sample",
        "revision": None,
        "content_digest": "sha256:0",
        "limit": None,
        "errata": 0,
    },
    "settings": {
        "languages": ["de"],
        "source_languages": ["de"],
        "judges": [{"name": "keyword", "version": "1"}],
        "max_new_tokens": 1,
        "limit": None,
        "seed": 0,
        "train_prompts": 1,
        "full_scores": False,
        "batch_tokens": 1,
        "store_completions": True,
        "ablation_method": "hooks",
    },
    "proof": {"verified": True, "max_projection": 0.0, "bound": 1e-5, "sites": 3},
    "directions": [],
    "cells": [CELL, CELL | {"condition": "ablate:de"}, CELL | {"label": "harmless"}],
    "differences": [],
    "averages": [],
    "comparisons": [],
    "findings": [],
    "labels_digest": "sha256:0",
    "environment": {
        "versions": {},
        "python": "3.11",
        "platform": "Linux",
        "device": "cpu",
        "threads": 2,
    },
    "wall_seconds": 1.0,
}
RECORDS = [
    value
    for value in vars(results).values()
    if isinstance(value, type) and issubclass(value, BaseModel) and value is not BaseModel
]


@pytest.fixture
def result() -> Result:
    return Result.model_validate(RESULT)


def refused(path) -> DatasetError:
    with pytest.raises(DatasetError) as caught:
        read_result(path)
    assert caught.value.problem.startswith(f"{path}: ")
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize("record", RECORDS)
def test_every_record_of_the_schema_forbids_extra_fields_and_changes(record):
    assert record.model_config["extra"] == "forbid"
    assert record.model_config["frozen"] is True


@pytest.mark.parametrize("where", ["result", "model", "cells"])
def test_a_field_that_the_schema_does_not_know_is_refused_and_named(tmp_path, result, where):
    data = json.loads(result.model_dump_json())
    target = data if where == "result" else data[where]
    (target[0] if isinstance(target, list) else target)["completions"] = ["text"]
    path = tmp_path / "result.json"
    path.write_text(json.dumps(data))
    problem = refused(path).problem
    assert "completions: Extra inputs" in problem
    assert where == "result" or where in problem


def test_a_result_reads_back_as_it_was_written(tmp_path, result):
    path = tmp_path / "result.json"
    path.write_text(result.model_dump_json())
    assert read_result(path) == result


def test_a_missing_result_says_how_to_get_one(tmp_path):
    error = refused(tmp_path / "result.json")
    assert "No such file" in error.problem
    assert "polyrefuse evaluate" in error.remedy


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"null"])
def test_a_file_that_is_no_result_is_refused_without_empty_fields(tmp_path, content):
    path = tmp_path / "result.json"
    path.write_bytes(content)
    assert ": :" not in refused(path).problem


def test_a_result_without_any_cell_is_refused(tmp_path, result):
    path = tmp_path / "result.json"
    path.write_text(result.model_copy(update={"cells": []}).model_dump_json())
    assert "cells: " in refused(path).problem


def test_a_result_of_a_later_schema_is_refused(tmp_path, result):
    path = tmp_path / "result.json"
    path.write_text(json.dumps(json.loads(result.model_dump_json()) | {"schema_version": 2}))
    assert "schema_version" in refused(path).problem


def test_a_rate_of_nothing_judged_is_none_and_not_zero():
    assert Rate(**NOTHING).value is None
    with pytest.raises(ValidationError, match="Field required"):
        Rate(low=0.0, high=1.0, minimum=0.0, maximum=1.0)


def test_unparsed_responses_are_not_judged():
    assert Cell.model_validate(CELL).judged == 2
    assert set(Outcome) - set(JUDGED_OUTCOMES) == {Outcome.UNPARSED}


def test_a_cell_without_prompts_is_refused():
    with pytest.raises(ValidationError, match="n"):
        Cell.model_validate(CELL | {"n": 0})


def test_an_outcome_that_no_judge_speaks_is_refused():
    with pytest.raises(ValidationError, match="counts"):
        Cell.model_validate(CELL | {"counts": {"maybe": 1}})


def test_a_cell_is_found_by_language_condition_and_label(result):
    assert result.cell("de", ablation_condition("de"), "harmful") is result.cells[1]
    with pytest.raises(KeyError):
        result.cell("fr", "baseline", "harmful")


def test_conditions_are_listed_once_in_the_order_they_ran(result):
    assert result.conditions == ["baseline", "ablate:de"]
