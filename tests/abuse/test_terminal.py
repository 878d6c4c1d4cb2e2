"""Nothing reaches the terminal raw: not from prompts, names, paths, options, errors, or a pty."""

import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from polyrefuse.cli.edge import SafeStream, harmless
from tests.abuse.terminal import HOSTILE, HOSTILE_NAME, RAW, assert_harmless

ROOT = Path(__file__).parents[2]


def test_a_stream_lets_no_control_through_but_drawing_where_it_draws():
    for drawing in (False, True):
        shown = harmless(HOSTILE, drawing=drawing)
        left = shown.replace("\x1b[31m", "").replace("\r", "") if drawing else shown
        assert_harmless(left)
    assert harmless("tab\tline\nجملة ไทย 日本", drawing=False) == "tab\tline\nجملة ไทย 日本"
    with pytest.raises(AssertionError):
        assert_harmless(HOSTILE)


def test_a_stream_says_how_much_was_written_and_passes_on_the_rest():
    inner = io.StringIO()
    stream = SafeStream(inner)
    assert stream.write("a\x1bb") == 3
    stream.writelines(["c", "\udcff"])
    assert inner.getvalue() == "a\ufffdbc\ufffd"
    assert stream.isatty() is False


@pytest.fixture
def spoilt(dataset) -> Path:
    """A dataset whose every free text is hostile."""
    for path in (dataset / "data").rglob("*.jsonl"):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for number, row in enumerate(rows):
            row |= dict.fromkeys(("source", "license", "translator", "canary"), HOSTILE)
            row |= {"id": f"{row['id']}{HOSTILE}{number}", "source_id": HOSTILE, "pair_id": HOSTILE}
            row["prompt"] += HOSTILE
        text = "".join(json.dumps(row) + "\n" for row in rows)
        path.write_text(text, encoding="utf-8")
    errata = {"kind": HOSTILE, "language": HOSTILE, "ids": [HOSTILE], "detail": HOSTILE}
    (dataset / "errata.jsonl").write_text(json.dumps(errata) + "\n", encoding="utf-8")
    return dataset


def test_hostile_rows_are_listed_as_text(run, spoilt, tmp_path):
    for arguments in (
        ["data", "check", spoilt],
        ["build", "validate", spoilt, "--report", tmp_path / "report.jsonl"],
        ["build", "diff-upstream", spoilt, spoilt],
        [
            "evaluate",
            "planted",
            "--dataset",
            spoilt,
            "--languages",
            "en",
            "--limit",
            "1",
            "--out",
            tmp_path / "r",
        ],
    ):
        done = run(*arguments)  # which checks what was printed
        assert done.code in (0, 1, 2)
        assert done.out + done.err


COMMANDS = {
    "a command": [HOSTILE_NAME],
    "an option": ["data", "check", f"--{HOSTILE_NAME}"],
    "a path": ["data", "check", HOSTILE_NAME],
    "a model": ["check", HOSTILE_NAME],
    "a dataset": ["evaluate", "planted", "--dataset", HOSTILE_NAME],
    "languages": ["evaluate", "planted", "--languages", HOSTILE_NAME],
    "a judge": ["evaluate", "planted", "--judge", HOSTILE_NAME],
    "a number": ["evaluate", "planted", "--limit", HOSTILE_NAME],
    "tokens": ["evaluate", "planted", "--refusal-tokens", HOSTILE_NAME],
    "a URL": ["evaluate", "openai:x", "--base-url", HOSTILE_NAME],
    "an engine": [
        "build",
        "translate",
        "polyrefuse",
        "--languages",
        "es",
        "--engine",
        HOSTILE_NAME,
        "--out",
        "x",
    ],
    "a recipe": ["build", "run", HOSTILE_NAME, "--out", "x"],
    "a repository": ["build", "publish", "polyrefuse", "--repo", HOSTILE_NAME],
    "a submission": ["leaderboard", "verify", HOSTILE_NAME],
    "a log": ["import-run", HOSTILE_NAME, "--out", "x"],
    "a run": ["report", HOSTILE_NAME],
    "rows": ["judge", HOSTILE_NAME, "--judge", "keyword", "--out", "x"],
}


@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
def test_hostile_arguments_are_shown_as_text(run, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "polyrefuse").symlink_to(ROOT / "polyrefuse")
    before = sorted(path.name for path in tmp_path.iterdir())
    assert run(*arguments).code == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == before, "something was written"


@pytest.mark.parametrize("mutation", ["", "polyrefuse.cli.edge.harmless = lambda text, **_: text"])
def test_a_terminal_gets_colours_and_nothing_else(tmp_path, spoilt, mutation):
    """On a real pseudo-terminal; the mutation: the same without the last look does get more."""
    program = (
        "import sys, polyrefuse.cli.edge, polyrefuse.cli.common, polyrefuse.cli.data\n"
        + mutation
        + ("\npolyrefuse.cli.data.one_line = str" if mutation else "")
        + f"\nsys.argv = ['polyrefuse', 'data', 'check', {str(spoilt)!r}]\n"
        "from polyrefuse.cli import main\nmain()"
    )
    leader, follower = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=follower,
        stderr=follower,
        cwd=ROOT,
        env={**os.environ, "TERM": "xterm-256color"},
    )
    os.close(follower)
    shown = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:
            break
        if not part:
            break
        shown += part
    child.wait(timeout=60)
    os.close(leader)
    text = shown.decode("utf-8", "replace").replace("\r\n", "\n")
    import re

    bars = re.findall(r"\x1b\[\?25l.*?\x1b\[\?25h", text, re.DOTALL)
    assert bars, "no progress bar: this was no terminal"
    assert not any("title" in bar for bar in bars), "a progress bar shows what a row says"
    for bar in bars:
        text = text.replace(bar, "")
    rest = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert "\x1b[" in text, "no colours: this was no terminal"
    assert bool(RAW.search(rest)) == bool(mutation), rest[:300]
