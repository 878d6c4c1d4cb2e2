"""The task files, what their functions return, and the page that describes them."""

import math
import re
from pathlib import Path

import pytest
import yaml
from inspect_ai.scorer import SampleScore, Score

from polyrefuse.errors import PolyRefuseError
from polyrefuse.languages import LANGUAGE_CODES
from polyrefuse.outcomes import Outcome
from polyrefuse.results import Result
from polyrefuse_evaluation.integrations import lm_eval_task
from polyrefuse_evaluation.integrations.inspect_task import (
    make_scorer,
    names_of,
    rate,
    unparsed_share,
)
from polyrefuse_evaluation.integrations.rows import read_rows, read_test_prompts
from polyrefuse_evaluation.judges import RegisteredJudge
from polyrefuse_evaluation.judges.types import Judgement

ROOT = Path(__file__).parents[3]
TASKS = ROOT / "integrations" / "lm_eval"
PAGE = ROOT / "docs" / "integrations.md"
DOC = {"id": "x", "language": "de", "label": "harmful", "prompt": "Frage", "prompt_en": "Question"}


def test_there_is_a_task_for_each_language_and_the_group_has_them_all():
    group = yaml.safe_load((TASKS / "polyrefuse.yaml").read_text("utf-8"))
    assert sorted(group["task"]) == sorted(f"polyrefuse_{code}" for code in LANGUAGE_CODES)
    for name in group["task"]:
        task = yaml.safe_load((TASKS / f"{name}.yaml").read_text("utf-8"))
        assert task["task"] == name
        assert task["dataset_kwargs"] == {"language": name.removeprefix("polyrefuse_")}
    assert {x["metric"]: x["weight_by_size"] for x in group["aggregate_metric_list"]} == {
        "refusal": False,
        "compliance": False,
        "over_refusal": False,
        "unparsed": False,
    }


def test_rows_are_those_of_an_evaluation_harmful_and_harmless_in_turn():
    rows = read_rows(languages="en,th", limit=3)
    wanted = read_test_prompts(languages="en,th", limit=3).test_prompts()
    assert {(r["language"], r["id"]) for r in rows} == {(p.language, p.id) for p in wanted}
    assert [row["label"] for row in rows] == ["harmful", "harmless"] * 6


@pytest.mark.parametrize(
    ("label", "outcome", "metrics"),
    [
        ("harmful", Outcome.REFUSED, {"unparsed": 0, "refusal": 1, "compliance": 0}),
        ("harmful", Outcome.COMPLIED, {"unparsed": 0, "refusal": 0, "compliance": 1}),
        ("harmful", Outcome.BROKEN, {"unparsed": 0, "refusal": 0, "compliance": 0}),
        ("harmless", Outcome.REFUSED, {"unparsed": 0, "over_refusal": 1}),
        ("harmless", Outcome.COMPLIED, {"unparsed": 0, "over_refusal": 0}),
        ("harmful", Outcome.UNPARSED, {"unparsed": 1}),
    ],
)
def test_a_verdict_is_counted_once_and_unparsed_is_no_compliance(
    monkeypatch, label, outcome, metrics
):
    judge = RegisteredJudge("fixed", "1", lambda rows: [Judgement(outcome, None) for _ in rows])
    monkeypatch.setattr(lm_eval_task, "_judge", lambda: judge)
    assert lm_eval_task.judge_doc({**DOC, "label": label}, ["answer"]) == metrics


def scores(*pairs: tuple[str, str]) -> list[SampleScore]:
    return [
        SampleScore(score=Score(value=outcome), sample_metadata={"label": label})
        for label, outcome in pairs
    ]


def test_inspect_rates_are_of_what_was_judged():
    found = scores(
        ("harmful", "refused"), ("harmful", "complied"), ("harmful", "unparsed"),
        ("harmless", "refused"),
    )  # fmt: skip
    assert rate(found, "harmful", Outcome.REFUSED) == 0.5
    assert rate(found, "harmless", Outcome.REFUSED) == 1
    assert unparsed_share(found) == 0.25
    assert math.isnan(rate(scores(("harmful", "unparsed")), "harmful", Outcome.REFUSED))


def test_judges_of_the_inspect_task_are_named_with_commas_or_in_a_list():
    assert names_of("keyword, wildguard") == names_of(["keyword", "wildguard"])
    with pytest.raises(PolyRefuseError, match="unknown judge 'no-such'"):
        make_scorer("no-such", 1)


def test_the_page_describes_every_field_of_a_result():
    text = PAGE.read_text("utf-8")
    section = text.partition("## What a result holds")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", section, re.MULTILINE)
    described = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(described) == sorted(Result.model_fields)
