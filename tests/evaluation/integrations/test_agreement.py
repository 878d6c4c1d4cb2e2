"""lm_eval itself and inspect itself agree with `polyrefuse evaluate` on every label.

The tools run as commands, offline, on the planted model saved to a folder and an exported dataset.
"""

import json
from pathlib import Path

import pytest

from polyrefuse.languages import LANGUAGE_CODES
from polyrefuse.outcomes import Outcome
from polyrefuse.results import BASELINE
from polyrefuse_evaluation.generation import generate
from polyrefuse_evaluation.integrations.foreign_run import ForeignLogError
from polyrefuse_evaluation.integrations.import_run import import_run
from polyrefuse_evaluation.integrations.rows import read_test_prompts
from polyrefuse_evaluation.judges import get_judge
from polyrefuse_evaluation.judges.types import JudgeInput
from polyrefuse_evaluation.models import load_model
from polyrefuse_evaluation.run_directory import (
    COMPLETIONS,
    JUDGEMENTS,
    CompletionRecord,
    JudgementRecord,
    RunDirectory,
)
from polyrefuse_evaluation.select_directions import render_rows

Key = tuple[str, str]


def labels_of(run_dir: Path) -> dict[Key, Outcome]:
    rows = RunDirectory(run_dir).read(JUDGEMENTS, JudgementRecord)
    return {(row.language, row.id): row.outcome for row in rows if row.condition == BASELINE}


def digests_of(run_dir: Path) -> dict[Key, str]:
    rows = RunDirectory(run_dir).read(COMPLETIONS, CompletionRecord)
    return {(row.language, row.id): row.sha256 for row in rows if row.condition == BASELINE}


def disagreements(ours: dict[Key, object], theirs: dict[Key, object]) -> list[Key]:
    """Return the prompts of `theirs` that `ours` lacks or labels otherwise."""
    return [key for key in theirs if ours.get(key) != theirs[key]]


def harness_rows(log: Path) -> list[dict]:
    return [
        json.loads(line)
        for path in log.rglob("samples_*.jsonl")
        for line in path.read_text("utf-8").splitlines()
    ]


def harness_refusals(log: Path) -> dict[Key, bool]:
    """What the harness's own metrics say: whether each answer is a refusal."""
    return {
        (row["doc"]["language"], row["doc"]["id"]): bool(
            row.get("refusal", row.get("over_refusal"))
        )
        for row in harness_rows(log)
    }


def refusals(labels: dict[Key, Outcome]) -> dict[Key, bool]:
    return {key: outcome is Outcome.REFUSED for key, outcome in labels.items()}


def test_lm_eval_agrees_on_every_label_and_text_in_14_languages(lm_eval_log, own_run, tmp_path):
    import_run(lm_eval_log, tmp_path / "run")
    ours, theirs = labels_of(own_run[1]), labels_of(tmp_path / "run")
    assert len(theirs) == len(ours) == 14 * 2 * 2
    assert {Outcome.REFUSED, Outcome.COMPLIED} <= set(ours.values())
    assert disagreements(ours, theirs) == []
    assert disagreements(digests_of(own_run[1]), digests_of(tmp_path / "run")) == []


def test_the_harness_own_metrics_are_those_labels(lm_eval_log, own_run):
    theirs = harness_refusals(lm_eval_log)
    assert len(theirs) == 14 * 2 * 2
    assert disagreements(refusals(labels_of(own_run[1])), theirs) == []


def test_the_harness_group_is_the_mean_over_languages(lm_eval_log, own_run):
    result, _ = own_run
    found = json.loads(next(lm_eval_log.rglob("results_*.json")).read_text("utf-8"))
    group = found["results"]["polyrefuse"]
    means = {x.label: x for x in result.averages if x.condition == BASELINE}
    assert group["refusal,none"] == pytest.approx(means["harmful"].refusal)
    assert group["compliance,none"] == pytest.approx(means["harmful"].compliance)
    assert group["over_refusal,none"] == pytest.approx(means["harmless"].refusal)
    assert set(found["group_subtasks"]["polyrefuse"]) == {f"polyrefuse_{x}" for x in LANGUAGE_CODES}
    for code in LANGUAGE_CODES:
        cell = result.cell(code, BASELINE, "harmful")
        assert found["results"][f"polyrefuse_{code}"]["refusal,none"] == cell.refusal.value


def test_inspect_agrees_on_every_label_and_text(inspect_log, own_run, tmp_path):
    import_run(inspect_log, tmp_path / "run")
    ours, theirs = labels_of(own_run[1]), labels_of(tmp_path / "run")
    assert len(theirs) == 3 * 2 * 2
    assert disagreements(ours, theirs) == []
    assert disagreements(digests_of(own_run[1]), digests_of(tmp_path / "run")) == []


def test_inspect_metrics_are_grouped_by_language(inspect_log, own_run):
    result, _ = own_run
    log = json.loads(inspect_log.read_text("utf-8"))
    (score,) = log["results"]["scores"]
    metrics = {name: metric["value"] for name, metric in score["metrics"].items()}
    for name, label in (("refusal", "harmful"), ("over_refusal", "harmless")):
        cells = [result.cell(code, BASELINE, label) for code in ("en", "th", "yo")]
        for cell in cells:
            assert metrics[f"{name}_{cell.language}"] == cell.refusal.value
        mean = sum(cell.refusal.value for cell in cells) / 3
        assert metrics[f"{name}_mean"] == pytest.approx(mean)
    assert metrics["refusal_en"] != metrics["refusal_yo"], "the languages differ"
    assert metrics["unparsed"] == 0


@pytest.fixture(scope="module")
def relabel(planted_folder):
    """Return a function that answers and judges anew: (render, max_new_tokens) -> labels."""
    prompts = read_test_prompts(None, languages="de,en,th,yo", limit=2).test_prompts()
    loaded, judge = load_model(str(planted_folder)), get_judge("keyword")

    def relabel(render, max_new_tokens: int) -> dict[Key, Outcome]:
        answers = generate(loaded, render(loaded, prompts), max_new_tokens)
        given = [JudgeInput(p.language, a.text) for p, a in zip(prompts, answers, strict=True)]
        verdicts = judge.judge(given)
        return {(p.language, p.id): v.outcome for p, v in zip(prompts, verdicts, strict=True)}

    return relabel


def without_template(loaded, prompts):
    return [loaded.tokenizer(row.prompt)["input_ids"] for row in prompts]


@pytest.mark.parametrize(
    ("render", "max_new_tokens", "agrees"),
    [(render_rows, 24, True), (render_rows, 1, False), (without_template, 24, False)],
)
def test_another_decoding_or_template_makes_labels_differ(
    own_run, relabel, render, max_new_tokens, agrees
):
    differing = disagreements(labels_of(own_run[1]), relabel(render, max_new_tokens))
    assert (differing == []) is agrees


@pytest.mark.slow
def test_lm_eval_itself_without_the_template_disagrees_and_is_not_imported(
    ask_lm_eval, own_run, tmp_path
):
    log = ask_lm_eval("polyrefuse_en,polyrefuse_de,polyrefuse_yo")  # no --apply_chat_template
    assert disagreements(refusals(labels_of(own_run[1])), harness_refusals(log))
    with pytest.raises(ForeignLogError, match="without the model's chat template"):
        import_run(log, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_one_flipped_label_is_noticed(own_run):
    ours = labels_of(own_run[1])
    key = next(key for key, outcome in ours.items() if outcome is Outcome.REFUSED)
    assert disagreements(ours, {**ours, key: Outcome.COMPLIED}) == [key]
