"""From a run to a submission: what is in it, and what must never be."""

import json
import subprocess
import sys

import pytest
from pyarrow import parquet

from polyrefuse.endpoint_schema import EndpointRecord, EndpointUsage
from polyrefuse.errors import AnswerIsNo, PolyRefuseError
from polyrefuse_evaluation.leaderboard.labels import COLUMNS, read_labels
from polyrefuse_evaluation.leaderboard.problems import SubmissionError
from polyrefuse_evaluation.leaderboard.schema import FILES, LABELS, MANIFEST, RESULT
from polyrefuse_evaluation.leaderboard.submission import (
    PublicNames,
    make_submission,
    public_reason,
    public_token,
)
from polyrefuse_evaluation.leaderboard.verify import verify
from tests.evaluation.leaderboard.conftest import HELP, REFUSAL, digest, fake_run


def edit_result(run, **changes):
    path = run / "result.json"
    result = json.loads(path.read_text())
    for where, value in changes.items():
        outer, inner = where.split("__")
        result[outer][inner] = value
    path.write_text(json.dumps(result))


@pytest.fixture
def own_run(tmp_path):
    fake_run(tmp_path / "run")
    return tmp_path / "run"


def test_a_submission_holds_labels_and_digests_of_every_answer(honest, run_dir):
    assert sorted(path.name for path in honest.iterdir()) == sorted(FILES)
    table = parquet.read_table(honest / LABELS)
    assert tuple(table.column_names) == COLUMNS
    judged = [json.loads(line) for line in (run_dir / "judgements.jsonl").open()]
    texts = [json.loads(line) for line in (run_dir / "completions.jsonl").open()]
    known = {(x["condition"], x["language"], x["id"]): x["sha256"] for x in texts}
    assert table.num_rows == len(judged) == 60
    for row in table.to_pylist():
        assert row["sha256"] == known[row["condition"], row["language"], row["id"]]
    manifest = json.loads((honest / MANIFEST).read_text())
    for name in (RESULT, LABELS):
        content = (honest / name).read_bytes()
        assert manifest["files"][name]["bytes"] == len(content)
    assert (manifest["model"], manifest["rows"], manifest["self_test"]) == ("org/model", 60, False)
    assert honest.name == "org__model--aaaaaaaaaaaa"


def test_no_completion_no_vector_and_no_path_is_in_it(honest, run_dir):
    for path in honest.iterdir():
        content = path.read_bytes()
        for secret in (REFUSAL, HELP, str(run_dir), "safetensors"):
            assert secret.encode() not in content


def test_making_it_again_writes_the_same_bytes(run_dir, honest, tmp_path):
    for _ in range(2):
        again = make_submission(run_dir, tmp_path).path
        for name in FILES:
            assert (again / name).read_bytes() == (honest / name).read_bytes()
    (again / "left-over").write_text("of an interrupted try")
    assert sorted(x.name for x in make_submission(run_dir, tmp_path).path.iterdir()) == sorted(
        FILES
    )
    assert [path.name for path in tmp_path.iterdir()] == [again.name]


@pytest.mark.parametrize("name", ["/home/me/model", "./model", "runs/model", "model"])
def test_a_model_that_was_a_folder_needs_a_public_name(own_run, tmp_path, name):
    edit_result(own_run, model__name=name, model__revision=None)
    with pytest.raises(SubmissionError, match=r"was a folder of this machine.*--name"):
        make_submission(own_run, tmp_path / "out")
    made = make_submission(own_run, tmp_path / "out", PublicNames(model="me/model"))
    assert made.path.name == f"me__model--{digest('weights of org/model')[7:19]}"
    for path in made.path.iterdir():
        assert b"home" not in path.read_bytes()


@pytest.mark.parametrize("name", ["/home/me", "../x", "a b", "<b>", "planted", "me/", "", "é/x"])
def test_a_given_name_must_be_public(own_run, tmp_path, name):
    with pytest.raises(SubmissionError, match="no public name"):
        make_submission(own_run, tmp_path / "out", PublicNames(model=name))


def test_a_dataset_that_was_a_folder_needs_a_public_name_and_a_revision(own_run, tmp_path):
    edit_result(own_run, dataset__name="/home/me/data")
    for names in (PublicNames(), PublicNames(dataset="org/data")):
        with pytest.raises(SubmissionError, match="--dataset-revision"):
            make_submission(own_run, tmp_path / "out", names)
    names = PublicNames(dataset="org/data", dataset_revision="b" * 40)
    made = make_submission(own_run, tmp_path / "out", names)
    assert (made.result.dataset.name, made.result.dataset.revision) == ("org/data", "b" * 40)
    assert b"home" not in (made.path / RESULT).read_bytes()


def test_an_unfinished_run_is_not_submitted(own_run, tmp_path):
    path = own_run / "result.json"
    path.write_text(path.read_text().replace('"failed":0', '"failed":2'))
    with pytest.raises(AnswerIsNo, match="2 verdicts are missing"):
        make_submission(own_run, tmp_path / "out")


def test_a_run_whose_figures_do_not_follow_from_its_records_is_not_submitted(own_run, tmp_path):
    path = own_run / "judgements.jsonl"
    path.write_text(path.read_text().replace('"refused"', '"deflected"', 1))
    with pytest.raises(AnswerIsNo, match="would be rejected: "):
        make_submission(own_run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_verdict_without_its_completion_is_named(own_run, tmp_path):
    path = own_run / "completions.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    with pytest.raises(SubmissionError, match="a verdict has no completion"):
        make_submission(own_run, tmp_path / "out")


def test_a_folder_without_a_result_is_bad_input(tmp_path):
    with pytest.raises(PolyRefuseError, match="cannot be read"):
        make_submission(tmp_path, tmp_path / "out")


def test_tokens_and_reasons_are_made_harmless():
    assert public_token(" I'm") == " I'm"
    assert public_token("抱歉") == "抱歉"
    assert public_token("ขอโทษ") == "ขอโทษ"
    assert public_token("<|im_start|>=1") == "□□im□start□□□1"
    assert public_reason("refusal=yes harmful=no") == "refusal=yes harmful=no"
    assert public_reason('=<a href="x">') == "a href=_x__"


def test_a_planted_model_is_marked_as_a_self_test_and_keeps_its_name(tmp_path):
    fake_run(tmp_path / "run", "planted:two", revision=None, variant="two")
    made = make_submission(tmp_path / "run", tmp_path / "out")
    assert made.manifest.self_test
    assert made.path.name.startswith("planted_two--")
    with pytest.raises(SubmissionError, match="under its own name"):
        make_submission(tmp_path / "run", tmp_path / "out", PublicNames(model="org/good"))
    manifest = json.loads((made.path / MANIFEST).read_text()) | {"self_test": False}
    (made.path / MANIFEST).write_text(json.dumps(manifest))
    [verdict] = verify([made.path])
    assert "self_test: is False" in str(verdict.problems[0])


def test_second_opinions_are_submitted_and_checked(tmp_path):
    fake_run(tmp_path / "run", judges=["keyword", "wildguard"])
    made = make_submission(tmp_path / "run", tmp_path / "out")
    assert len(made.rows) == 120
    assert len(made.result.second_opinions) == len(made.result.agreement[:1]) == 1
    result = json.loads((made.path / RESULT).read_text())
    result["second_opinions"][0]["cells"][0]["refusal"]["value"] = 0.5
    result["agreement"][0]["disagreements"] = 3
    (made.path / RESULT).write_text(json.dumps(result))
    [verdict] = verify([made.path])
    text = "\n".join(map(str, verdict.problems))
    assert "second_opinions" in text
    assert "agreement" in text


def endpoint_record(**changes):
    usage = {
        "prompt_tokens": 900, "completion_tokens": 500, "reasoning_tokens": 0, "unreported": 0,
        "price_in": 0.1, "price_out": 0.4, "cost": 0.01,
    }  # fmt: skip
    return EndpointRecord(
        host="api.example.com", served={"org/model-2026": 20}, adapted=["seed left out"],
        first_answer="2026-11-20T12:00:00+00:00", last_answer="2026-11-20T12:01:00+00:00",
        parameters={"temperature": 0, "max_tokens": 32, "stream": False}, streamed=False,
        prompts=20, answered=20, withheld=0, withheld_by_cell=[], truncated=0, reasoned=0,
        only_reasoning=0, requests=20, usage=EndpointUsage(**usage), **changes,
    )  # fmt: skip


def test_a_model_behind_an_endpoint_is_submitted_by_name_and_labels(tmp_path):
    result = fake_run(tmp_path / "run", "org/model:free", endpoint=endpoint_record())
    made = make_submission(tmp_path / "run", tmp_path / "out")
    assert made.path.name == f"org__model_free--{result.labels_digest[7:19]}"
    [verdict] = verify([made.path])
    assert verdict.accepted
    read = json.loads((made.path / RESULT).read_text())
    read["endpoint"]["usage"]["cost"] = -1.0
    read["endpoint"]["served"] = {"<b>": 20}
    (made.path / RESULT).write_text(json.dumps(read))
    reasons = "\n".join(str(problem) for problem in verify([made.path])[0].problems)
    assert "endpoint.usage.cost: is -1.0" in reasons
    assert "'<b>' is not allowed here" in reasons


def test_labels_come_back_as_they_were_written(honest):
    rows, problems = read_labels((honest / LABELS).read_bytes())
    assert not problems
    assert len(rows) == 60
    assert {row.judge for row in rows} == {"keyword"}
    assert {type(row.reasoning) for row in rows} == {bool}


def test_verifying_imports_neither_torch_nor_transformers(honest):
    code = (
        "import sys; from pathlib import Path\n"
        "from polyrefuse_evaluation.leaderboard.verify import verify\n"
        "from polyrefuse_evaluation.leaderboard.board import read_board\n"
        f"[verdict] = verify([Path({str(honest)!r})])\n"
        f"board = read_board([Path({str(honest)!r})])\n"
        "assert verdict.accepted and board.rows\n"
        "heavy = 'torch transformers lingua matplotlib jinja2 tenacity safetensors'.split()\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
