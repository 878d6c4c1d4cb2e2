"""What a user can get wrong when publishing: one line that says what to do, and never a token."""

import logging
import subprocess
import sys
import traceback
import warnings

import httpx2
import pytest

from polyrefuse.errors import AnswerIsNo, DatasetError, PolyRefuseError
from polyrefuse.hub.hub_errors import PublishError, hub_errors
from polyrefuse.hub.redaction import redacted_logs
from polyrefuse.redaction import redact
from polyrefuse_builders.publish.command import default_plan_file, publish, read_plan
from polyrefuse_builders.publish.plan import plan_publish
from polyrefuse_builders.publish.show import describe_plan
from tests.builders.publish.conftest import REPO

SECRET = "hf_" + "QqZz19ThisIsNoRealToken"


def plan(folder, hub, repo=REPO, token=None):
    return plan_publish(folder, repo, endpoint=hub.url, token=token)


@pytest.mark.parametrize("repo", ["polyrefuse", "a/b/c", "org/", "", "org/na me", "org/../x", "/x"])
def test_an_invalid_repository_id(hub, folder, repo):
    with pytest.raises(PublishError, match=r"is no repository id\. Name it like"):
        plan(folder, hub, repo)
    assert not hub.requests


def test_a_folder_that_is_not_there(hub, tmp_path):
    with pytest.raises(DatasetError, match="no such dataset folder"):
        plan(tmp_path / "nowhere", hub)


def test_a_dry_run_needs_no_token_but_publishing_does(hub, folder):
    assert plan(folder, hub).remote_commit is None
    with pytest.raises(PublishError, match=r"there is no Hub token.*hf auth login"):
        publish(folder, REPO, yes=True, endpoint=hub.url)
    assert not hub.repos


def test_a_token_that_the_hub_does_not_know(hub, folder):
    with pytest.raises(PublishError, match=r"does not accept the token \(401\)"):
        plan(folder, hub, token=SECRET)


def test_a_token_without_write_permission(hub, folder):
    with pytest.raises(PublishError, match=r"may not do this \(403: You don't have the required"):
        publish(folder, REPO, yes=True, endpoint=hub.url, token=hub.read_only)
    assert not hub.repos


def test_no_network(folder, hub):
    with pytest.raises(PublishError, match=r"cannot be reached \(ConnectError\)"):
        plan_publish(folder, REPO, endpoint="http://127.0.0.1:9", token=hub.token)


@pytest.mark.parametrize(
    ("status", "match"),
    [(429, "slow down"), (500, r"failed \(500: boom"), (400, r"refuses \(400: .*boom")],
)
def test_answers_of_the_hub(hub, folder, status, match):
    hub.fail("GET", "/api/datasets/", status, body={"error": "boom"})
    with pytest.raises(PublishError, match=match):
        plan(folder, hub, token=hub.token)


def test_offline_mode_is_named(hub, folder, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    httpx2_client_reset()
    try:
        with pytest.raises(PublishError, match="HF_HUB_OFFLINE is set"):
            plan(folder, hub)
    finally:
        monkeypatch.undo()
        httpx2_client_reset()


def httpx2_client_reset():
    from huggingface_hub.utils import close_session

    close_session()


@pytest.mark.parametrize("endpoint", ["ftp://x", "nonsense", "http://user:secret@127.0.0.1:1"])
def test_a_bad_endpoint_is_refused_and_not_repeated(folder, endpoint):
    with pytest.raises(PublishError, match="endpoint is no address") as caught:
        plan_publish(folder, REPO, endpoint=endpoint)
    assert "secret" not in str(caught.value)


def test_a_pull_request_needs_a_repository(hub, folder):
    with pytest.raises(PublishError, match="no such repository, so there is nothing to open"):
        publish(folder, REPO, yes=True, create_pr=True, endpoint=hub.url, token=hub.token)


def test_metadata_that_the_hub_refuses(hub, folder):
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8")
    card.write_text(text.replace("license: cc-by-4.0", "license: mine", 1), encoding="utf-8")
    with pytest.raises(PublishError, match=r'Invalid metadata.*"license" must be one of'):
        publish(folder, REPO, yes=True, endpoint=hub.url, token=hub.token)
    assert set(hub.repo(REPO).files) == {".gitattributes"}


def test_a_plan_that_cannot_be_saved_names_the_disk(hub, folder, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(DatasetError, match=r"plan cannot be saved \(No space left on device\)"):
        publish(folder, REPO, endpoint=hub.url, token=hub.token)


def test_a_saved_plan_that_is_damaged(hub, folder):
    default_plan_file(folder, REPO).write_text("{", encoding="utf-8")
    with pytest.raises(DatasetError, match="is no plan that can be used"):
        publish(folder, REPO, yes=True, endpoint=hub.url, token=hub.token)
    assert read_plan(folder / "none.json") is None


def test_a_link_and_an_unreadable_file_are_named(hub, folder, tmp_path):
    (tmp_path / "outside").write_text("x", encoding="utf-8")
    (folder / "LICENSE").symlink_to(tmp_path / "outside")
    with pytest.raises(DatasetError, match="LICENSE: is a link"):
        plan(folder, hub)


def test_a_holdback_is_never_published(hub, folder):
    (folder / "holdback.json").write_text("{}", encoding="utf-8")
    with pytest.raises(AnswerIsNo, match=r"holdback.*never published"):
        plan(folder, hub)


def test_a_file_that_holds_the_token_is_refused(hub, folder):
    (folder / "LICENSE").write_text(f"oops {hub.token}", encoding="utf-8")
    refusals = plan(folder, hub, token=hub.token).refusals
    assert refusals == ["LICENSE holds your Hub token"]


@pytest.mark.parametrize(
    "method_and_path",
    [("GET", "/api/datasets/"), ("POST", "create$"), ("PUT", "settings"), ("POST", "/commit/")],
)
def test_a_token_that_the_hub_repeats_appears_nowhere(
    hub, folder, method_and_path, caplog, recwarn, capfd
):
    caplog.set_level(logging.DEBUG)
    hub.token = SECRET
    echo = f"header was Authorization: Bearer {SECRET}"
    hub.fail(
        *method_and_path,
        400,
        body={"error": echo, "message": SECRET},
        headers={"X-Error-Message": echo, "X-Request-Id": SECRET},
    )
    with pytest.raises(PolyRefuseError) as caught:
        publish(folder, REPO, yes=True, endpoint=hub.url, token=SECRET)
    shown = "".join(traceback.format_exception(caught.value))
    printed = capfd.readouterr()
    warned = [str(warning.message) for warning in recwarn]
    for text in (str(caught.value), shown, caplog.text, printed.out, printed.err, *warned):
        assert SECRET not in text
    assert "[token]" in str(caught.value)


def test_without_the_redaction_the_token_would_show(hub, folder, monkeypatch):
    monkeypatch.setattr("polyrefuse.hub.hub_errors.redact", lambda text, *_: text)
    hub.token = SECRET
    hub.fail("GET", "/api/datasets/", 400, body={"error": SECRET})
    with pytest.raises(PublishError, match=SECRET):
        plan(folder, hub, token=SECRET)


def test_plans_hold_no_token(hub, folder):
    report = publish(folder, REPO, endpoint=hub.url, token=hub.token)
    assert hub.token not in report.plan_file.read_text(encoding="utf-8")
    assert hub.token not in describe_plan(report.plan)


def test_redaction_knows_tokens_by_value_and_by_shape(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "plainvalue")
    text = redact("plainvalue hf_abcdEFGH Bearer xyz, https://me:pw@host/p mine", "mine")
    assert text == "[token] [token] Bearer [token], https://[token]@host/p [token]"


def test_logs_and_warnings_are_redacted_while_the_client_works(caplog, capfd):
    log = logging.getLogger("huggingface_hub")
    log.addHandler(caplog.handler)
    try:
        with redacted_logs(SECRET):
            log.warning("sent %s", SECRET)
            warnings.warn(f"card of {SECRET}", stacklevel=1)
        log.warning("after %s", "hf_" + "visible1")
    finally:
        log.removeHandler(caplog.handler)
    assert SECRET not in caplog.text
    assert "sent [token]" in caplog.text
    assert "after hf_visible1" in caplog.text
    assert SECRET not in capfd.readouterr().err


def test_errors_that_are_not_the_hubs_pass_through():
    with pytest.raises(ZeroDivisionError), hub_errors(REPO, None):
        1 / 0  # noqa: B018
    with pytest.raises(PublishError, match="cannot be reached"), hub_errors(REPO, None):
        raise httpx2.ReadTimeout("slow")


def test_a_traceback_of_a_real_process_shows_no_token(hub, folder, tmp_path):
    hub.token = SECRET
    hub.fail("GET", "/api/datasets/", 403, body={"error": f"you sent {SECRET}"})
    script = (
        "from pathlib import Path\n"
        "from polyrefuse_builders.publish.command import publish\n"
        f"publish(Path({str(folder)!r}), {REPO!r})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**hub.environment(str(tmp_path / "home")), "HF_DEBUG": "1", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode != 0
    assert "403" in done.stderr
    assert SECRET not in done.stdout + done.stderr
