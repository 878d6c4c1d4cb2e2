"""Several processes share one evaluation: the same result as one, and a dead one loses nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from polyrefuse.observing import read_log
from polyrefuse.observing.status import read_status
from polyrefuse.reproducibility import without_times
from polyrefuse_evaluation import load_model
from polyrefuse_evaluation.progress import leads

ROOT = Path(__file__).parents[2]
LAUNCH = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
CHOICES = ["--languages", "en,th", "--limit", "6", "--batch-tokens", "300"]


def test_a_rank_that_no_launcher_set_silences_nothing(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert leads()
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert not leads()


def start(out: Path, launcher: list[str]) -> subprocess.Popen[str]:
    paths = os.pathsep.join(str(path) for path in (ROOT / "builders", ROOT / "evaluation", ROOT))
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *launcher, "-m", "polyrefuse", "evaluate", "planted"]
    return subprocess.Popen(
        [*command, *CHOICES, "--out", str(out)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=out.parent,
    )


def finish(process: subprocess.Popen[str]) -> str:
    output, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    return output


def figures(out: Path) -> bytes:
    return without_times((out / "result.json").read_bytes(), machine=True)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    load_model("planted")  # trained here, not by two processes at once
    out = tmp_path_factory.mktemp("runs") / "alone"
    finish(start(out, []))
    return out


def test_two_processes_make_the_same_run_as_one_and_only_the_first_speaks(alone, tmp_path):
    out = tmp_path / "shared"
    output = finish(start(out, LAUNCH))
    assert output.count("Report:") == 1
    assert figures(out) == figures(alone)
    for name in ("completions.jsonl", "judgements.jsonl"):
        assert (out / name).read_bytes() == (alone / name).read_bytes()
    assert not list((out / "workers").iterdir())
    assert json.loads((out / "result.json").read_text())["environment"]["processes"] == 2
    status = read_status(out)
    assert (status.state, status.processes) == ("finished", 2)
    answer = status.stages[2]
    assert (answer.done, answer.total) == (24 * 3, 24 * 3)
    assert all(part.done == part.total == 12 for part in answer.parts)
    theirs = [x.done for x in read_log(out / "log.1.jsonl") if x.event == "end" and x.done]
    assert 0 < theirs[0] < 72  # each process counted its own share in its own file


def test_a_process_that_dies_loses_nothing(alone, tmp_path):
    out = tmp_path / "killed"
    process = start(out, LAUNCH)
    theirs = out / "workers" / "1.judgements.jsonl"
    deadline = time.monotonic() + 300
    while not (theirs.is_file() and theirs.read_bytes().count(b"\n") >= 3):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process_of_rank(1, process.pid), signal.SIGKILL)
    process.communicate(timeout=300)
    assert process.returncode != 0
    assert not (out / "result.json").exists()
    kept = Counter()
    for path in (out / "completions.jsonl", out / "workers" / "1.completions.jsonl"):
        if path.is_file():
            kept.update(line for line in path.read_text().splitlines() if line.endswith("}"))
    finish(start(out, []))  # one process finishes what two began
    assert figures(out) == figures(alone)
    rows = Counter((out / "completions.jsonl").read_text().splitlines())
    assert kept <= rows
    assert max(rows.values()) == 1


def process_of_rank(rank: int, launcher: int) -> int:
    for folder in Path("/proc").iterdir():
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, ValueError, IndexError):
            continue
        if parent == launcher and f"RANK={rank}".encode() in environment:
            return int(folder.name)
    raise AssertionError(f"no process of rank {rank}")
