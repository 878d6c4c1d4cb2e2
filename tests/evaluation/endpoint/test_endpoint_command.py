"""``polyrefuse evaluate openai:MODEL``: killed and restarted, priced, and silent about keys.

The server runs in this process and counts what it is asked; the command runs in another.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from polyrefuse.cli import main
from polyrefuse.cli.evaluation import evaluation_app
from polyrefuse.errors import AnswerIsNo, PolyRefuseError
from polyrefuse.results import read_result
from polyrefuse_evaluation.prompt_sets import read_prompt_sets
from tests.evaluation.endpoint.model_server import HELP, KEY, PROMPTS, asked, model, rows
from tests.support.chat_server import Answer, ChatServer, completion

CONCURRENCY = 4
MANY = read_prompt_sets(None, languages="en,th", source_languages=(), limit=12).test_prompts()
TEXTS = {(row.language, row.id): row.prompt for row in MANY}


def command(server: ChatServer, out: Path, *options: str) -> list[str]:
    return [
        sys.executable, "-m", "polyrefuse", "evaluate", "openai:tiny", "--base-url", server.url,
        "--languages", "en,th", "--limit", "12", "--concurrency", str(CONCURRENCY),
        "--attempts", "3", "--out", str(out), *options,
    ]  # fmt: skip


def environment() -> dict[str, str]:
    root = Path(__file__).parents[3]
    paths = [str(root), str(root / "builders"), str(root / "evaluation")]
    known = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OPENAI_API_KEY": KEY}
    return {**known, "OMP_NUM_THREADS": "1"}


def on_disk(out: Path) -> set[str]:
    """Return the prompts that have a whole line in both files of answers."""
    found = []
    for name in ("replies.jsonl", "completions.jsonl"):
        path = out / name
        found.append(
            {TEXTS[row["language"], row["id"]] for row in rows(path)} if path.exists() else set()
        )
    return found[0] & found[1]


def kill_when(server: ChatServer, out: Path, ready: Callable[[], bool]) -> None:
    """Start the command and SIGKILL it as soon as `ready` says so."""
    process = subprocess.Popen(
        command(server, out),
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not ready() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    assert process.poll() is None, "the run ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(0.2)  # for the server to finish what is under way


def run_to_end(server: ChatServer, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(server, out, *options),
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def unsteady(request: dict[str, Any]) -> Answer:
    """Take some time, stop one prompt by a filter, and fail at first now and then."""
    number = sorted(TEXTS.values()).index(request["messages"][-1]["content"])
    if number == 3:
        return Answer(status=400, body=b'{"error": {"code": "content_filter"}}')
    answer = completion(HELP)
    answer.delay = 0.06
    return answer


def test_a_run_killed_twice_answers_every_prompt_and_pays_for_none_twice(
    server: ChatServer, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    server.answer = unsteady
    paid: dict[str, int] = {}
    kept: set[str] = set()
    for share in (0.2, 0.6):
        kill_when(server, out, lambda share=share: len(server.requests) >= share * len(TEXTS))
        again = {text for text in kept if asked(server)[text] != paid[text]}
        assert again == set(), "an answer that was on disk was asked for again"
        kept, paid = on_disk(out), dict(asked(server))
        # What was taken by the server and is not on disk is at most what was under way.
        assert len(paid.keys() - kept) <= CONCURRENCY
    assert not (out / "result.json").exists()

    done = run_to_end(server, out)

    assert done.returncode == 0, done.stderr
    assert on_disk(out) == set(TEXTS.values())
    assert {text for text in kept if asked(server)[text] != paid[text]} == set()
    assert len(TEXTS) <= len(server.requests) <= len(TEXTS) + 2 * CONCURRENCY
    result = read_result(out / "result.json")
    assert (result.failed, result.endpoint.answered, result.endpoint.withheld) == (0, 48, 1)
    for text in (done.stdout, (out / "report.html").read_text(encoding="utf-8")):
        assert "behind an endpoint nothing can be ablated" in " ".join(text.split())
    assert "Estimate: " in done.stderr
    verdicts = [(row["language"], row["id"]) for row in rows(out / "judgements.jsonl")]
    assert len(verdicts) == len(set(verdicts)) == len(TEXTS)
    marks = [headers["Idempotency-Key"] for headers in server.headers]
    assert len(set(marks)) == len(TEXTS)  # what was asked twice carried the same mark

    # The count can tell: an answer that is lost from the disk is asked for, and paid for, again.
    path = out / "completions.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in path.read_bytes().split(b"\n")[1:-1]))
    (out / "result.json").unlink()
    before = len(server.requests)
    from tests.evaluation.endpoint.model_server import run

    run(server, out, languages="en,th", limit=12)
    assert len(server.requests) == before + 1


def test_neither_output_nor_traceback_nor_files_show_the_key(
    server: ChatServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.first = [Answer(status=500, body=KEY.encode()), Answer(status=429, body=KEY.encode())]
    server.answer = lambda _: Answer(status=401, body=f"Incorrect key: {KEY}".encode())
    arguments = command(server, tmp_path / "run", "--debug")
    monkeypatch.setattr(sys, "argv", ["polyrefuse", *arguments[3:]])
    with pytest.raises(SystemExit) as stopped:
        main()
    shown = "".join(capfd.readouterr())
    assert stopped.value.code == 2
    assert "Estimate" in shown
    assert "Traceback" in shown
    assert "Set OPENAI_API_KEY to a valid key" in shown
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert KEY not in shown
    assert KEY.encode() not in files


def invoke(server: ChatServer, out: Path, *options: str) -> Any:
    usual = ["evaluate", "openai:tiny", "--languages", "en,de", "--limit", "3", "--out", str(out)]
    return CliRunner().invoke(evaluation_app, [*usual, "--base-url", server.url, *options])


def test_failures_end_in_exit_code_1_and_a_rerun_mends_them(
    server: ChatServer, tmp_path: Path
) -> None:
    server.answer = lambda request: (
        Answer(status=503) if len(server.requests) <= 2 else model(request)
    )
    first = invoke(server, tmp_path / "run", "--attempts", "1")
    assert isinstance(first.exception, AnswerIsNo)
    assert "2 verdicts are missing" in str(first.exception)
    assert "asks only for those" in str(first.exception)
    before = len(server.requests)
    second = invoke(server, tmp_path / "run", "--attempts", "1")
    assert second.exit_code == 0, second.output
    assert len(server.requests) == before + 2
    assert "nothing can be ablated" in " ".join(second.output.split())
    assert "12 of 12 prompts answered in 12 requests, 240 tokens in, 120 out." in second.output


def test_a_dry_run_prints_the_estimate_and_asks_and_writes_nothing(
    server: ChatServer, tmp_path: Path
) -> None:
    prices = ["--price-in", "1", "--price-out", "2"]
    result = invoke(server, tmp_path / "run", "--dry-run", *prices)
    assert result.exit_code == 0
    assert f"{PROMPTS} of {PROMPTS} prompts" in result.output
    assert "Estimate" in result.output
    assert server.requests == []
    assert not (tmp_path / "run").exists()
    refused = invoke(server, tmp_path / "run", *prices, "--max-cost", "0.001")
    assert isinstance(refused.exception, AnswerIsNo)
    assert server.requests == []


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        ("openai:tiny", ["--full-scores"], "--full-scores: not for a model behind"),
        ("openai:tiny", ["--source-languages", "de"], "--source-languages"),
        ("planted", ["--concurrency", "3", "--dry-run"], "--concurrency, --dry-run: not for"),
        ("openai:", [], "names no model"),
        ("openai:tiny", ["--base-url", "host"], "no http"),
    ],
)
def test_options_that_would_be_ignored_are_refused(
    tmp_path: Path, model: str, options: list[str], words: str
) -> None:
    out = tmp_path / "out"
    result = CliRunner().invoke(
        evaluation_app, ["evaluate", model, "--limit", "1", "--out", str(out), *options]
    )
    assert isinstance(result.exception, PolyRefuseError)
    assert result.exception.exit_code == 2
    assert words in str(result.exception)
    assert not out.exists()
