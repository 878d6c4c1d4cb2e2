"""A killed run, run again, ends with the figures of an undisturbed one, and repeats no work."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from polyrefuse.errors import RunDirectoryError
from polyrefuse.reproducibility import without_times
from polyrefuse_evaluation import Options, evaluate

# Runs the command with a log line for every generated batch: the evidence of repeated work.
PROGRAM = """
import sys
import polyrefuse_evaluation.answering as answering
log, generate = sys.argv[1], answering.generate
def logged(loaded, sequences, limit):
    with open(log, "a") as stream:
        stream.write(f"{len(sequences)}\\n")
    return generate(loaded, sequences, limit)
answering.generate = logged
sys.argv = ["polyrefuse", *sys.argv[2:]]
from polyrefuse.cli import main
main()
"""
OPTIONS = [
    "evaluate", "planted", "--languages", "de,th,yo", "--source-languages", "en,de",
    "--max-new-tokens", "32", "--batch-tokens", "400", "--limit", "16",
]  # fmt: skip


def command(out: Path, log: Path) -> list[str]:
    return [sys.executable, "-c", PROGRAM, str(log), *OPTIONS, "--out", str(out)]


def environment() -> dict[str, str]:
    root = Path(__file__).parents[2]
    paths = [str(root), str(root / "builders"), str(root / "evaluation")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def run_to_end(out: Path, log: Path) -> None:
    subprocess.run(command(out, log), env=environment(), check=True, capture_output=True)


def figures(out: Path) -> bytes:
    return without_times((out / "result.json").read_bytes())


def lines(path: Path) -> int:
    return len(path.read_bytes().splitlines()) if path.is_file() else 0


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    run_to_end(folder / "run", folder / "log")
    return figures(folder / "run"), lines(folder / "log")


def kill_when(out: Path, log: Path, ready) -> None:
    """Start the run and SIGKILL it as soon as `ready` says so."""
    process = subprocess.Popen(
        command(out, log), env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not ready() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    assert process.poll() is None, "the run ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_three_kills_change_no_figure_and_repeat_only_the_batch_in_flight(tmp_path, undisturbed):
    expected, batches = undisturbed
    out, log = tmp_path / "run", tmp_path / "log"
    kill_when(out, log, lambda: lines(out / "selection.jsonl") == 1)  # between two languages
    kept = (out / "selection.jsonl").read_bytes()
    kill_when(out, log, lambda: lines(log) >= 2)  # among the first batches
    assert (out / "selection.jsonl").read_bytes().startswith(kept)
    kill_when(out, log, lambda: lines(log) >= 0.7 * batches)
    assert not (out / "result.json").exists()
    run_to_end(out, log)
    assert figures(out) == expected
    assert batches <= lines(log) <= batches + 3
    rows = [json.loads(line) for line in (out / "completions.jsonl").open(encoding="utf-8")]
    keys = [(row["condition"], row["language"], row["id"]) for row in rows]
    assert len(keys) == len(set(keys)) == 4 * 3 * 32
    assert not [path.name for path in out.iterdir() if path.name.endswith(".partial")]


def test_a_torn_last_line_is_dropped_with_its_batch(tmp_path, undisturbed):
    expected, batches = undisturbed
    out, log = tmp_path / "run", tmp_path / "log"
    kill_when(out, log, lambda: lines(log) >= 4)
    for name in ("completions.jsonl", "judgements.jsonl"):
        path = out / name
        path.write_bytes(path.read_bytes()[:-37])
    run_to_end(out, log)
    assert figures(out) == expected
    assert lines(log) <= batches + 3


def test_a_wrong_label_on_disk_is_seen_in_the_figures(tmp_path, undisturbed):
    """The comparison above can fail: one judgement changed by hand changes the figures."""
    expected, _ = undisturbed
    out, log = tmp_path / "run", tmp_path / "log"
    kill_when(out, log, lambda: lines(log) >= 4)
    path = out / "judgements.jsonl"
    text = path.read_text(encoding="utf-8")
    turned = text.replace('"complied"', '"broken"', 1)
    assert turned != text
    path.write_text(turned, encoding="utf-8")
    run_to_end(out, log)
    assert figures(out) != expected


@pytest.mark.parametrize("damaged", [b"", b"{}", b"\xff", b"["])
def test_a_damaged_result_is_made_again_of_the_records(tmp_path, capsys, damaged):
    options = Options(languages="en", limit=1, train_prompts=4, max_new_tokens=2)
    evaluate("planted", tmp_path, options=options)
    expected, answers = figures(tmp_path), (tmp_path / "completions.jsonl").stat().st_mtime_ns
    (tmp_path / "result.json").write_bytes(damaged)
    capsys.readouterr()
    evaluate("planted", tmp_path, options=options)
    assert "result.json: is damaged, and is made again" in capsys.readouterr().err
    assert figures(tmp_path) == expected
    assert (tmp_path / "completions.jsonl").stat().st_mtime_ns == answers


@pytest.mark.parametrize(
    ("field", "value"),
    [("judge", "other"), ("id", "other"), ("language", "th"), ("label", "harmless")],
)
def test_a_verdict_that_the_run_did_not_ask_for_is_named(tmp_path, field, value):
    options = Options(languages="en", limit=1, train_prompts=4, max_new_tokens=2)
    evaluate("planted", tmp_path, options=options)
    (tmp_path / "result.json").unlink()
    path = tmp_path / "judgements.jsonl"
    first, *rest = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text(json.dumps({**json.loads(first), field: value}) + "\n" + "".join(rest))
    with pytest.raises(RunDirectoryError, match=rf"judgements\.jsonl: .*'?{value}'?.* this run"):
        evaluate("planted", tmp_path, options=options)
    assert not (tmp_path / "result.json").exists()


def test_other_settings_are_refused_with_the_difference_named(tmp_path, undisturbed):
    out, log = tmp_path / "run", tmp_path / "log"
    kill_when(out, log, lambda: lines(out / "selection.jsonl") == 1)
    changed = [*command(out, log), "--max-new-tokens", "7"]
    done = subprocess.run(changed, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    taken, refused = done.stderr.strip().splitlines()
    assert "took over the lock" in taken
    assert "max_new_tokens: 32 there, 7 now" in refused
