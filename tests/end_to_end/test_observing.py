"""`polyrefuse status` beside a running evaluation, a killed one, and one that was resumed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from polyrefuse.observing import read_log

ROOT = Path(__file__).parents[2]

# Runs the command; it stops before its fourth batch for as long as there is no gate.
PROGRAM = """
import sys, time
from pathlib import Path
import polyrefuse_evaluation.answering as answering
import polyrefuse_evaluation.evaluate
from polyrefuse.observing import stages
stages.OFTEN = stages.SHARE = 0.0  # a line a batch
sys.modules["polyrefuse_evaluation.evaluate"].finish = lambda _, result: result  # no figures
gate, generate, batches = Path(sys.argv[1]), answering.generate, []
def gated(*arguments):
    batches.append(1)
    while len(batches) == 4 and not gate.exists():
        gate.with_name("waiting").touch()
        time.sleep(0.02)
    return generate(*arguments)
answering.generate = gated
sys.argv = ["polyrefuse", *sys.argv[2:]]
from polyrefuse.cli import main
main()
"""
FAULT = """
import sys
import polyrefuse_evaluation.evaluate as evaluate
def broken(*_, **__):
    raise ZeroDivisionError("planted")
evaluate.read_prompt_sets = broken
sys.argv = ["polyrefuse", *sys.argv[1:]]
from polyrefuse.cli import main
main()
"""
OPTIONS = [
    "evaluate", "planted", "--languages", "de,th", "--max-new-tokens", "16", "--limit", "8",
    "--batch-tokens", "300", "--seed", "0",
]  # fmt: skip


def environment() -> dict[str, str]:
    paths = [str(ROOT), str(ROOT / "builders"), str(ROOT / "evaluation")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}


def start(out: Path, gate: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", PROGRAM, str(gate), *OPTIONS, "--out", str(out)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, env=environment(), **quiet)


def status(out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "polyrefuse", "status", str(out), *options]
    return subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )


def answers(out: Path) -> int:
    path = out / "judgements.jsonl"
    return path.read_bytes().count(b"\n") if path.is_file() else 0


def wait_at_gate(process: subprocess.Popen[bytes], out: Path, gate: Path) -> int:
    """Wait until three batches are on disk and the fourth waits; return the answers."""
    deadline = time.monotonic() + 200
    while not gate.with_name("waiting").exists():
        assert process.poll() is None, "the run ended before its gate"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return answers(out)


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """A run that is looked at while it works, killed, looked at, resumed, and looked at."""
    folder = tmp_path_factory.mktemp("watched")
    out, gate = folder / "run", folder / "gate"
    process = start(out, gate)
    try:
        seen = {"done": wait_at_gate(process, out, gate), "pid": process.pid}
        before = (out / ".lock").read_bytes()
        seen["at work"], seen["plain"] = status(out, "--json"), status(out)
        seen["lock"] = (before, (out / ".lock").read_bytes())
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    seen["killed"], seen["killed plain"] = status(out, "--json"), status(out)
    gate.touch()
    again = start(out, gate)
    assert again.wait(timeout=300) == 0
    seen["finished"] = status(out, "--json")
    return out, seen


def test_status_beside_a_running_evaluation_says_what_is_done_and_by_whom(watched):
    _, seen = watched
    assert (seen["at work"].returncode, seen["at work"].stderr) == (0, "")
    found = json.loads(seen["at work"].stdout)
    assert (found["state"], found["model"]) == ("at work", "planted")
    assert (found["worker"]["pid"], found["worker"]["alive"]) == (seen["pid"], True)
    states = {stage["name"]: stage["state"] for stage in found["stages"]}
    assert states == {
        "prove": "done", "select": "done", "answer": "at work", "summarise": "waiting"
    }  # fmt: skip
    answer = found["stages"][2]
    assert (answer["done"], answer["total"]) == (seen["done"], 2 * 2 * 8 * 3)
    assert answer["recent_rate"] > 0
    assert answer["seconds_left"] > 0
    parts = {(part["condition"], part["language"]): part for part in answer["parts"]}
    assert set(parts) == {
        (condition, language)
        for condition in ("baseline", "ablate:en", "ablate:random")
        for language in ("de", "th")
    }
    assert sum(part["done"] for part in parts.values()) == seen["done"]
    assert all(part["total"] == 16 for part in parts.values())
    assert found["memory_mib"] > 100
    assert f"At work: process {seen['pid']} on " in seen["plain"].stdout
    assert seen["lock"][0] == seen["lock"][1]


def test_status_of_a_killed_run_says_that_it_stopped_and_how_to_go_on(watched):
    out, seen = watched
    found = json.loads(seen["killed"].stdout)
    assert (found["state"], found["worker"]["alive"]) == ("stopped", False)
    assert found["stages"][2]["done"] == seen["done"]
    command = f"polyrefuse {' '.join(OPTIONS)} --out {out}"
    assert f"To go on: run the same command again: {command}\n" in seen["killed plain"].stdout


def test_status_did_not_disturb_the_run_and_counts_what_was_done_before(watched):
    out, seen = watched
    found = json.loads(seen["finished"].stdout)
    assert (found["state"], found["sessions"]) == ("finished", 2)
    assert all(stage["state"] == "done" for stage in found["stages"])
    assert found["stages"][2]["done"] == found["stages"][2]["total"] == answers(out) == 96
    counts = [x.done for x in read_log(out / "log.jsonl") if x.stage == "answer" and not x.language]
    resumed = counts.index(None, 1)
    assert counts[resumed + 1] == seen["done"]  # what was on disk was not done again


def test_the_log_holds_no_text_of_a_prompt_or_an_answer(watched):
    out, _ = watched
    rows = [json.loads(line) for line in (out / "completions.jsonl").open(encoding="utf-8")]
    texts = [row["completion"].strip() for row in rows]
    log = (out / "log.jsonl").read_text(encoding="utf-8")
    assert sum(len(text) > 12 for text in texts) > 50
    assert not [text for text in texts if len(text) > 12 and json.dumps(text)[1:-1] in log]
    (row,) = json.dumps({"planted": texts[0]}).splitlines()  # the search can find one
    assert json.dumps(texts[0])[1:-1] in log + row


@pytest.mark.slow
@pytest.mark.parametrize("debug", [True, False])
def test_a_fault_in_several_processes_is_a_line_each_and_a_traceback_with_debug(tmp_path, debug):
    program = tmp_path / "program.py"
    program.write_text(FAULT)
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    logs = ["--redirects", "3", "--log-dir", str(tmp_path / "logs")]
    command = [sys.executable, *launch, *logs, str(program), *OPTIONS, "--out", str(tmp_path / "x")]
    command += ["--debug"] if debug else []
    done = subprocess.run(command, env=environment(), capture_output=True, check=False)
    assert done.returncode == 1
    said = [path.read_text() for path in (tmp_path / "logs").rglob("stderr.log")]
    said = [text for text in said if "ZeroDivisionError" in text]
    assert said  # the launcher may stop one process before it speaks
    for text in said:
        if debug:
            assert text.startswith("Traceback")
        else:
            (line,) = text.splitlines()
            assert line.startswith("polyrefuse: unexpected error, a bug: ZeroDivisionError")
            assert "--debug" in line
