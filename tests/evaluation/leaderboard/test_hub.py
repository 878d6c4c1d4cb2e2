"""Pull requests with the real client to a stand-in Hub: what is announced goes up, once."""

from contextlib import suppress

import pytest
import yaml
from huggingface_hub import parse_eval_result_entries

from polyrefuse.cli import main
from polyrefuse.errors import AnswerIsNo
from polyrefuse.hub.hub_errors import PublishError
from polyrefuse.observing.status import read_status
from polyrefuse_builders.documents.eval_yaml import task_id as dataset_task_id
from polyrefuse_evaluation.leaderboard.eval_results import EVAL_RESULTS, task_id
from polyrefuse_evaluation.leaderboard.problems import SubmissionError
from polyrefuse_evaluation.leaderboard.schema import FILES
from polyrefuse_evaluation.leaderboard.submission import PublicNames, make_submission
from polyrefuse_evaluation.leaderboard.submit import (
    plan_eval_results,
    plan_submission,
    send,
    write_eval_results,
)
from tests.support.hub_server import HubServer

REPO = "org/results"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with HubServer() as server:
        server.repo(REPO, create=True).put("main", {"README.md": b"theirs\n"})
        yield server


@pytest.fixture
def made(run_dir, tmp_path):
    return make_submission(run_dir, tmp_path / "out")


@pytest.fixture
def on_hub(run_dir, tmp_path):
    names = PublicNames(dataset="org/data", dataset_revision="b" * 40)
    return make_submission(run_dir, tmp_path / "out", names)


def plan(hub, made, token=None):
    return plan_submission(made, REPO, endpoint=hub.url, token=token or hub.token)


def writes(hub):
    return hub.sent("POST", "/commit/") + hub.sent("POST", "/create") + hub.sent("PUT", "")


def test_a_plan_shows_every_file_and_sends_nothing(hub, made):
    planned = plan(hub, made)
    text = planned.describe()
    for name in FILES:
        content = (made.path / name).read_bytes()
        assert f"+ results/{made.path.name}/{name}  {len(content)} bytes  sha256:" in text
    assert len(planned.files) == 3
    assert writes(hub) == []


def test_a_pull_request_brings_exactly_the_announced_files(hub, made):
    planned = plan(hub, made)
    sent = send(planned, hub.token)
    repo = hub.repo(REPO)
    assert sent.url == f"{hub.url}/datasets/{REPO}/discussions/1"
    [discussion] = repo.discussions
    assert discussion.is_pull_request
    before, after = repo.at("main").files, repo.at("refs/pr/1").files
    new = {path: content for path, content in after.items() if before.get(path) != content}
    assert new == {file.path: file.content for file in planned.files}
    assert set(new) == {f"results/{made.path.name}/{name}" for name in FILES}
    assert before["README.md"] == after["README.md"] == b"theirs\n"
    assert f"results/{made.path.name}/result.json" not in before


def test_submitting_again_opens_no_second_pull_request(hub, made):
    first = send(plan(hub, made), hub.token)
    again = send(plan(hub, made), hub.token)
    assert again.url == first.url
    assert len(hub.repo(REPO).discussions) == 1
    repo = hub.repo(REPO)
    repo.put("main", {file.path: file.content for file in first.plan.files}, title="merged")
    merged = plan(hub, made)
    assert merged.empty
    assert "Nothing to send" in merged.describe()
    assert send(merged, hub.token).url is None


@pytest.mark.parametrize("fault", ["drop", "drop_after", 500])
def test_an_interrupted_submission_can_be_repeated(hub, made, fault):
    hub.fail("POST", "/commit/", fault)
    with suppress(PublishError):  # the client itself tries again where it can
        send(plan(hub, made), hub.token)
    sent = send(plan(hub, made), hub.token)
    assert sent.url == f"{hub.url}/datasets/{REPO}/discussions/1"
    assert len(hub.repo(REPO).discussions) == 1


def test_a_submission_that_changed_is_announced_as_changed(hub, made):
    path = f"results/{made.path.name}/result.json"
    hub.repo(REPO).put("main", {path: b"{}"})
    marks = {file.path: file.change for file in plan(hub, made).files}
    assert marks.pop(path) == "changed"
    assert set(marks.values()) == {"added"}


def test_a_repository_that_changed_since_the_plan_is_not_written_to(hub, made):
    planned = plan(hub, made)
    hub.repo(REPO).put("main", {"README.md": b"new\n"})
    with pytest.raises(AnswerIsNo, match="changed since the plan was made"):
        send(planned, hub.token)
    assert hub.repo(REPO).discussions == []


def test_more_than_was_announced_is_noticed(hub, made, monkeypatch):
    """The mutation: the Hub takes one file more than was announced."""
    planned = plan(hub, made)
    repo = hub.repo(REPO)
    put = repo.put
    monkeypatch.setattr(
        repo, "put", lambda ref, changes, **more: put(ref, {**changes, "extra": b"x"}, **more)
    )
    with pytest.raises(PublishError, match=r"not bring exactly what was announced.*extra"):
        send(planned, hub.token)


def test_a_repository_that_is_not_there_and_a_missing_token(hub, made):
    with pytest.raises(PublishError, match="no such dataset repository"):
        plan_submission(made, "org/nowhere", endpoint=hub.url, token=hub.token)
    with pytest.raises(PublishError, match="no repository id"):
        plan_submission(made, "nowhere", endpoint=hub.url, token=hub.token)
    planned = plan_submission(made, REPO, endpoint=hub.url)
    with pytest.raises(PublishError, match="there is no Hub token"):
        send(planned)
    with pytest.raises(PublishError, match="token may not do this"):
        send(planned, hub.read_only)
    assert writes(hub) == hub.sent("POST", "/commit/")


def test_a_file_that_holds_the_token_is_not_sent(hub, made):
    path = made.path / "result.json"
    path.write_text(path.read_text() + hub.token)
    with pytest.raises(AnswerIsNo, match="holds your Hub token") as caught:
        plan(hub, made)
    assert hub.token not in str(caught.value)


def test_eval_results_have_a_task_a_language_and_higher_is_better(hub, on_hub, tmp_path):
    path = write_eval_results(on_hub, tmp_path / "out", REPO)
    entries = parse_eval_result_entries(yaml.safe_load(path.read_text()))
    assert [entry.task_id for entry in entries] == ["refusal_en", "refusal_de"]
    assert [entry.task_id for entry in entries] == [dataset_task_id(x) for x in ("en", "de")]
    assert task_id("th") == dataset_task_id("th")
    assert {entry.value for entry in entries} == {100.0}
    assert {(entry.dataset_id, entry.dataset_revision) for entry in entries} == {
        ("org/data", "b" * 40)
    }
    assert "5 harmful prompts in percent, 95% interval 56.55 to 100.0" in entries[0].notes
    assert str(path).endswith(EVAL_RESULTS)


def test_eval_results_go_to_the_model_repository_as_a_pull_request(hub, on_hub, tmp_path):
    hub.repo("org/model", "model", create=True)
    path = write_eval_results(on_hub, tmp_path / "out")
    planned = plan_eval_results(on_hub, path, endpoint=hub.url, token=hub.token)
    assert [file.path for file in planned.files] == [EVAL_RESULTS]
    assert send(planned, hub.token).url.endswith("org/model/discussions/1")
    files = hub.repo("org/model", "model").at("refs/pr/1").files
    assert files[EVAL_RESULTS] == path.read_bytes()
    again = send(plan_eval_results(on_hub, path, endpoint=hub.url, token=hub.token), hub.token)
    assert again.url == f"{hub.url}/org/model/discussions/1"
    assert len(hub.repo("org/model", "model").discussions) == 1


def test_eval_results_need_a_model_and_a_dataset_on_the_hub(made, tmp_path):
    with pytest.raises(SubmissionError, match="is no dataset repository of the Hub"):
        write_eval_results(made, tmp_path / "out")


@pytest.fixture
def command(hub, run_dir, tmp_path, monkeypatch, capsys):
    """Run `polyrefuse leaderboard submit` against the stand-in; return all that was shown."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
    monkeypatch.setenv("HF_TOKEN", hub.token)

    def run(*more):
        arguments = ["submit", str(run_dir), "--out", str(tmp_path / "out"), "--to", REPO, *more]
        monkeypatch.setattr("sys.argv", ["polyrefuse", "leaderboard", *arguments])
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


def test_the_command_announces_then_opens_and_never_shows_the_token(hub, command, run_dir):
    dry = command("--dry-run")
    assert dry[0] == 0
    assert dry[1].count("  + results/") == 3
    assert read_status(run_dir / "submit.log.jsonl").state == "finished"
    assert writes(hub) == []
    failures = []
    for more in ([], ["--debug"]):
        hub.fail("POST", "/commit/", 403, body={"error": f"bad token {hub.token}"})
        failures.append(command(*more))
    assert failures[0][0] == failures[1][0] == 2
    assert "the token may not do this (403: bad token [token])" in failures[0][2]
    assert "Traceback" in failures[1][2]
    done = command()
    assert done[0] == 0
    assert f"Pull request: {hub.url}/datasets/{REPO}/discussions/1" in done[1]
    for _, out, err in (dry, *failures, done):
        assert hub.token not in out + err
    listed = [line.split()[1] for line in done[1].splitlines() if line.startswith("  + ")]
    new = hub.repo(REPO).at("refs/pr/1").files.keys() - hub.repo(REPO).files.keys()
    assert sorted(listed) == sorted(new)


def test_a_person_at_a_terminal_is_asked_first(hub, command, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda _: False)
    code, out, _ = command()
    assert (code, writes(hub)) == (0, [])
    assert "Nothing was sent." in out
    assert command("--yes")[0] == 0
    assert len(hub.repo(REPO).discussions) == 1
