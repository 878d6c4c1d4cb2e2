"""Planted secrets reach no output, no error, no traceback, no log, no file."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from polyrefuse import cli, redaction
from polyrefuse.redaction import HIDDEN, redact, redact_values, remember
from polyrefuse_evaluation.run_directory import open_run_directory
from tests.support.chat_server import Answer, chat_server

ROOT = Path(__file__).parents[2]
HUB, KEY, OWN = "hf_" + "A1b2C3d4E5f6G7h8", "sk-" + "proj-0123456789abcdef", "0f8e7d6c5b4a39281706"
NAMED = {"HF_TOKEN": HUB, "OPENAI_API_KEY": KEY, "MY_KEY": OWN}
SECRETS = (HUB, KEY, OWN)


@pytest.fixture(autouse=True)
def forget(monkeypatch):
    monkeypatch.setattr(redaction, "_remembered", set())
    for name in (*NAMED, "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)


SHAPES = {
    f"sent {HUB}, got 401": f"sent {HIDDEN}, got 401",
    f"key {KEY}": f"key {HIDDEN}",
    "Authorization: Bearer abc.def-123": f"Authorization: Bearer {HIDDEN}",
    "{'Authorization': 'Basic dXNlcjpwYXNzd29yZA=='}": f"{{'Authorization': 'Basic {HIDDEN}'}}",
    "https://user:secret@host/x": f"https://{HIDDEN}@host/x",
    "https:/user:secret@host/x": f"https:/{HIDDEN}@host/x",
    "http://h/x?api_key=abcdef&n=1": f"http://h/x?api_key={HIDDEN}&n=1",
    "http://h/x?a=1&token=abcdef": f"http://h/x?a=1&token={HIDDEN}",
    "github_pat_11AAAAAAA0123456789abc": HIDDEN,
    "see user@example.org, https://example.org/a@b, sk-ip, hf_x": (
        "see user@example.org, https://example.org/a@b, sk-ip, hf_x"
    ),
}


@pytest.mark.parametrize("text", SHAPES)
def test_what_looks_like_a_token_is_hidden_and_nothing_else(text):
    assert redact(text) == SHAPES[text]


def test_secrets_of_the_environment_are_hidden_in_every_form(monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "p@ss/w0rd+with&odd=characters")
    monkeypatch.setenv("DATABASE_PASSWORD", "correct horse battery")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false_and_long_enough")
    monkeypatch.setenv("EMPTY_KEY", "EMPTY")
    secret = os.environ["SOME_API_KEY"]
    forms = (
        secret,
        "p%40ss%2Fw0rd%2Bwith%26odd%3Dcharacters",
        json.dumps(secret),
        base64.b64encode(secret.encode()).decode(),
        "correct horse battery",
    )
    for form in forms:
        assert "odd" not in redact(f"<{form}>").replace(HIDDEN, "")
        assert HIDDEN in redact(f"<{form}>")
    assert redact("false_and_long_enough EMPTY") == "false_and_long_enough EMPTY"


def test_what_is_remembered_is_hidden_also_when_the_variable_is_gone():
    assert redact(OWN) == OWN
    remember(OWN)
    remember("short")
    assert redact(f"{OWN} short") == f"{HIDDEN} short"


def test_values_of_settings_and_records_are_redacted_whole(tmp_path):
    remember(OWN)
    settings = {"a": [f"x {OWN}", {"url": f"https://me:{OWN}@host"}], "n": 1, "none": None}
    assert OWN not in json.dumps(redact_values(settings))
    for _ in range(2):  # and a run with the same settings resumes
        with open_run_directory(tmp_path / "run", settings):
            pass
    text = (tmp_path / "run" / "settings.json").read_text(encoding="utf-8")
    assert OWN not in text
    assert HIDDEN in text


def test_without_redaction_settings_would_hold_the_secret(tmp_path, monkeypatch):
    """The mutation."""
    monkeypatch.setattr("polyrefuse_evaluation.run_directory.redact_values", lambda value: value)
    with open_run_directory(tmp_path / "run", {"a": OWN}):
        pass
    assert OWN in (tmp_path / "run" / "settings.json").read_text(encoding="utf-8")


PROGRAM = """
import sys
from polyrefuse import check, cli
from polyrefuse.errors import DatasetError
def broken(*_, **__):
    local = {secrets!r}
    try:
        raise ConnectionError("Authorization: Bearer " + " ".join(local))
    except ConnectionError as error:
        raise {kind}("https://user:" + local[2] + "@host says " + " ".join(local)) from error
check.check_folder = broken
sys.argv = ["polyrefuse", "data", "check", *{more!r}]
{mutation}
cli.main()
"""


@pytest.mark.parametrize("kind", ["DatasetError", "OSError", "ZeroDivisionError"])
@pytest.mark.parametrize("more", [[], ["--debug"]])
@pytest.mark.parametrize("mutation", ["", "cli.edge.redact = lambda text, *_: text"])
def test_errors_and_tracebacks_show_no_secret(kind, more, mutation):
    """Ours, the system's and a fault of the program; the mutation shows each of them."""
    program = PROGRAM.format(secrets=SECRETS, kind=kind, more=more, mutation=mutation)
    program = program.replace(
        "cli.edge.redact", "import polyrefuse.cli.edge; polyrefuse.cli.edge.redact"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, **NAMED},
    )
    assert done.returncode == (1 if kind == "ZeroDivisionError" else 2), done.stderr
    assert ("Traceback" in done.stderr) == bool(more)
    shown = [secret for secret in SECRETS if secret in done.stdout + done.stderr]
    silent = kind == "ZeroDivisionError" and not more  # a fault of our own is named, not quoted
    assert shown == ([] if silent or not mutation else list(SECRETS))
    assert done.stderr.strip()


@pytest.mark.parametrize("more", [[], ["--debug"]])
def test_a_server_that_echoes_the_key_does_not_get_it_shown_or_kept(
    tmp_path, monkeypatch, capsys, more
):
    """The variable of --api-key-env, of no known name or shape, in the bodies of errors."""
    monkeypatch.setenv("MY_ODD_VARIABLE", OWN)
    with chat_server(lambda _: Answer(status=403, body=f"bad key {OWN}".encode())) as server:
        server.first = [Answer(status=500, body=f"Authorization: Bearer {OWN}".encode())]
        arguments = [
            "polyrefuse",
            "evaluate",
            "openai:tiny",
            "--base-url",
            server.url,
            "--api-key-env",
            "MY_ODD_VARIABLE",
            "--languages",
            "en",
            "--limit",
            "1",
            "--attempts",
            "3",
            "--out",
            str(tmp_path / "run"),
            *more,
        ]
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert server.headers[0]["Authorization"] == f"Bearer {OWN}"
    shown = "".join(capsys.readouterr())
    assert stop.value.code == 2
    assert ("Traceback" in shown) == bool(more)
    assert OWN not in shown
    assert redact(OWN) == HIDDEN, "and whatever comes later hides it, too"
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert OWN.encode() not in kept
