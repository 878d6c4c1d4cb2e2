"""Logs become run directories, and only logs of runs that a result can be made of."""

import json
import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from polyrefuse.cli import app
from polyrefuse.errors import PolyRefuseError
from polyrefuse.results import read_result
from polyrefuse_evaluation.integrations.foreign_run import ForeignLogError
from polyrefuse_evaluation.integrations.import_run import import_run
from polyrefuse_evaluation.integrations.inspect_log import read_inspect_log
from polyrefuse_evaluation.integrations.lm_eval_log import read_lm_eval_log
from polyrefuse_evaluation.leaderboard.submission import PublicNames, make_submission
from polyrefuse_evaluation.run_directory import COMPLETIONS, JUDGEMENTS


@pytest.fixture
def harness_copy(lm_eval_log, tmp_path):
    """Return a function that copies the harness's log with changes: to results, to each sample."""

    def copy(results=None, sample=None, name="polyrefuse_en") -> Path:
        folder = tmp_path / "log"
        shutil.copytree(lm_eval_log, folder)
        path = next(folder.rglob("results_*.json"))
        if results is not None:
            content = json.loads(path.read_text("utf-8"))
            results(content)
            path.write_text(json.dumps(content), "utf-8")
        if sample is not None:
            samples = next(folder.rglob(f"samples_{name}_*.jsonl"))
            rows = [json.loads(line) for line in samples.read_text("utf-8").splitlines()]
            rows = [row for row in map(sample, rows) if row is not None]
            samples.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        return folder

    return copy


@pytest.fixture
def inspect_copy(inspect_log, tmp_path):
    """Return a function that copies Inspect's log with changes."""

    def copy(change) -> Path:
        content = json.loads(inspect_log.read_text("utf-8"))
        change(content)
        path = tmp_path / "log.json"
        path.write_text(json.dumps(content), "utf-8")
        return path

    return copy


def setting(path: str, value: object):
    """Return a change that sets what is at a dotted path."""

    def change(content):
        *steps, last = path.split(".")
        for step in steps:
            content = content[step]
        content[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (setting("chat_template", None), "--apply_chat_template"),
        (setting("system_instruction", "Be kind."), "system instruction"),
        (setting("config.model", "steered"), "type 'steered'"),
        (setting("config.model", "local-chat-completions"), "polyrefuse evaluate openai:"),
        (setting("config.model_args.peft", "an/adapter"), "peft='an/adapter'"),
        (setting("config.model_args.load_in_4bit", True), "load_in_4bit"),
        (setting("configs", {}), "no results of the tasks"),
    ],
)
def test_a_harness_run_of_another_kind_is_refused(harness_copy, change, said):
    with pytest.raises(ForeignLogError, match=said):
        read_lm_eval_log(harness_copy(results=change))


@pytest.mark.parametrize(
    ("name", "value"),
    [("do_sample", True), ("temperature", 0.7), ("until", ["\n\n"]), ("repetition_penalty", 1.1)],
)
def test_a_harness_answer_that_is_not_greedy_is_refused(harness_copy, name, value):
    def change(row):
        row["arguments"]["gen_args_0"]["arg_1"][name] = value
        return row

    with pytest.raises(ForeignLogError, match=f"decoded with {name} = "):
        read_lm_eval_log(harness_copy(sample=change))


def test_answers_of_different_lengths_are_refused(harness_copy):
    def change(row):
        row["arguments"]["gen_args_0"]["arg_1"]["max_gen_toks"] = 8
        return row

    with pytest.raises(ForeignLogError, match="max_gen_toks differs"):
        read_lm_eval_log(harness_copy(sample=change))


def test_missing_samples_are_named(harness_copy):
    folder = harness_copy()
    next(folder.rglob("samples_polyrefuse_th_*")).unlink()
    with pytest.raises(ForeignLogError, match=r"samples_polyrefuse_th_.*--log_samples"):
        read_lm_eval_log(folder)


@pytest.mark.parametrize("task", ["polyrefuse_xx", "polyrefuse_" + "e" * 400, "polyrefuse_en/../x"])
def test_a_task_that_is_none_is_named_and_no_file_is_looked_for(harness_copy, task):
    (path,) = harness_copy().rglob("results_*.json")
    results = json.loads(path.read_text("utf-8"))
    results["configs"][task] = {}
    path.write_text(json.dumps(results), "utf-8")
    with pytest.raises(ForeignLogError, match="is no task of this version"):
        read_lm_eval_log(path)


def changing(**changes):
    def change(row):
        if row["doc"]["label"] == "harmful":
            row["doc"].update(changes)
        return row

    return change


def without_one(seen: list):
    def change(row):
        seen.append(row)
        return None if len(seen) == 1 else row

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (changing(prompt="Another prompt."), "reads otherwise there"),
        (changing(id="harmful-sample-000000000000"), "is not in the dataset"),
        (without_one([]), "missing or should not be there"),
    ],
)
def test_prompts_other_than_the_datasets_are_refused(harness_copy, tmp_path, change, said):
    with pytest.raises(ForeignLogError, match=said):
        import_run(harness_copy(sample=change), tmp_path / "run")


def test_a_prompt_asked_twice_is_refused(harness_copy, tmp_path):
    log = harness_copy()
    samples = next(log.rglob("samples_polyrefuse_en_*"))
    lines = samples.read_text("utf-8").splitlines(keepends=True)
    samples.write_text("".join([*lines, lines[0]]), "utf-8")
    with pytest.raises(ForeignLogError, match="once each"):
        import_run(log, tmp_path / "run")


def test_answers_judged_by_different_judges_are_refused(inspect_copy, tmp_path):
    def change(content):
        score = content["samples"][0]["scores"]["judged"]
        score["metadata"]["verdicts"][0]["version"] = "0"

    with pytest.raises(ForeignLogError, match="same judges"):
        import_run(inspect_copy(change), tmp_path / "run")


def test_a_prompt_rendered_by_another_template_is_refused(harness_copy, tmp_path):
    def change(row):
        request = row["arguments"]["gen_args_0"]
        request["arg_0"] = request["arg_0"].replace("<|user|>", "<|system|>Hi<|end|><|user|>")
        return row

    with pytest.raises(ForeignLogError, match="was not rendered as"):
        import_run(harness_copy(sample=change), tmp_path / "run")


def test_another_checkpoint_is_refused(harness_copy, tmp_path):
    log = harness_copy(results=setting("config.model_num_parameters", 7))
    with pytest.raises(ForeignLogError, match="7 parameters"):
        import_run(log, tmp_path / "run")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (setting("eval.task_registry_name", "other/refusal"), "Run polyrefuse/refusal"),
        (setting("status", "cancelled"), "eval-retry"),
        (setting("eval.model_args.do_sample", None), "do_sample=false"),
        (setting("eval.model_args.chat_template", "{{ x }}"), "-M chat_template"),
        (setting("eval.model_generate_config.temperature", 0.7), "temperature = 0.7"),
        (setting("plan.config.system_message", "Be kind."), "system_message"),
        (setting("eval.config.epochs", 2), "--epochs 1"),
        (setting("plan.steps", [{"solver": "system_message"}]), "solver was"),
    ],
)
def test_an_inspect_run_of_another_kind_is_refused(inspect_copy, change, said):
    with pytest.raises(ForeignLogError, match=said):
        read_inspect_log(inspect_copy(change))


def test_special_tokens_that_double_are_noticed(inspect_copy, make_loaded, monkeypatch, tmp_path):
    log = inspect_copy(setting("eval.model_args.tokenizer_call_args", None))
    loaded = make_loaded()  # its tokenizer begins any text with <s>, as its template does
    monkeypatch.setattr(
        "polyrefuse_evaluation.integrations.origin.load_model", lambda *_, **__: loaded
    )
    with pytest.raises(ForeignLogError, match="special tokens were added"):
        import_run(log, tmp_path / "run")


@pytest.mark.parametrize("text", ["", "{}", "[1]", "no json"])
@pytest.mark.parametrize("source", ["lm-eval", "inspect"])
def test_what_is_no_log_is_refused_in_one_line(tmp_path, source, text):
    path = tmp_path / "results_1.json"
    path.write_text(text, "utf-8")
    with pytest.raises(PolyRefuseError) as caught:
        import_run(path, tmp_path / "run", source=source)
    assert type(caught.value) is ForeignLogError


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["results_1.json", "log.eval"])
def test_a_pipe_in_the_folder_is_refused_and_not_waited_for(tmp_path, name):
    (tmp_path / "log").mkdir()
    os.mkfifo(tmp_path / "log" / name)
    with pytest.raises(ForeignLogError, match="is no plain file"):
        import_run(tmp_path / "log", tmp_path / "run")


def test_a_folder_of_two_logs_is_not_guessed(inspect_log, tmp_path):
    for name in ("a.json", "b.json"):
        shutil.copy(inspect_log, tmp_path / name)
    with pytest.raises(ForeignLogError, match="holds 2 logs"):
        import_run(tmp_path, tmp_path / "run")


def test_an_imported_run_is_private_baseline_only_and_the_same_again(lm_eval_log, tmp_path):
    out = tmp_path / "run"
    result = import_run(lm_eval_log, out)
    before = {name: (out / name).read_bytes() for name in (COMPLETIONS, JUDGEMENTS)}
    import_run(lm_eval_log, out)
    assert {name: (out / name).read_bytes() for name in before} == before
    assert out.stat().st_mode & 0o777 == 0o700
    assert read_result(out / "result.json") == result
    assert result.proof is None
    assert result.conditions == ["baseline"]
    assert result.environment.versions["lm-eval"]
    assert (result.settings.limit, result.settings.max_new_tokens) == (2, 24)
    assert (out / "report.html").is_file()


def test_another_log_does_not_go_into_the_same_directory(lm_eval_log, inspect_log, tmp_path):
    import_run(inspect_log, tmp_path / "run")
    with pytest.raises(PolyRefuseError, match="imported_from"):
        import_run(lm_eval_log, tmp_path / "run")


def test_an_imported_run_can_be_submitted(lm_eval_log, tmp_path):
    import_run(lm_eval_log, tmp_path / "run")
    names = PublicNames(model="organisation/tiny", dataset="polyrefuse-sample")
    made = make_submission(tmp_path / "run", tmp_path / "submissions", names)
    assert len(made.rows) == 14 * 2 * 2
    assert made.result.model.weights_digest
    assert b"sorry" not in b"".join(path.read_bytes() for path in made.path.iterdir())


def test_answers_of_an_endpoint_become_an_endpoints_result(inspect_copy, tmp_path):
    def change(content):
        content["eval"]["model"] = "openai/some-model"
        content["eval"]["model_args"] = {}
        sample = next(x for x in content["samples"] if x["target"] == "harmful")
        sample["output"]["choices"][0]["stop_reason"] = "content_filter"

    import_run(inspect_copy(change), tmp_path / "run")
    result = read_result(tmp_path / "run" / "result.json")
    assert result.endpoint is not None
    assert (result.model.name, result.model.endpoint) == ("some-model", "openai")
    assert result.endpoint.withheld == 1
    assert result.endpoint.served == {"local": 12}
    names = PublicNames(dataset="polyrefuse-sample")
    assert make_submission(tmp_path / "run", tmp_path / "submissions", names).path.is_dir()


def test_the_command_imports_judges_anew_and_keeps_no_text_if_told(inspect_log, tmp_path):
    out = tmp_path / "run"
    arguments = ["import-run", str(inspect_log), "--out", str(out), "--judge", "keyword"]
    done = CliRunner().invoke(app, [*arguments, "--no-store-completions"])
    assert done.exit_code == 0, done.output
    assert "Run directory:" in done.output
    assert '"completion":null' in (out / COMPLETIONS).read_text("utf-8")
    assert read_result(out / "result.json").settings.judge.name == "keyword"


def test_the_command_says_what_to_do_with_what_is_no_log(tmp_path):
    done = CliRunner().invoke(app, ["import-run", str(tmp_path / "x"), "--out", str(tmp_path)])
    assert isinstance(done.exception, ForeignLogError)
    assert "--from" in str(done.exception)
