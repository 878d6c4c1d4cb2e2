"""The status of a run, from its log: what is done, how fast, what is left, who is at work."""

import json
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from polyrefuse import cli
from polyrefuse.errors import RunDirectoryError
from polyrefuse.observing import observed, stage, warn
from polyrefuse.observing.show import duration, status_json, status_table, status_text
from polyrefuse.observing.status import read_status
from polyrefuse.run_lock import start_ticks

STAGES = ["prove", "answer", "summarise"]
ME = {"pid": os.getpid(), "host": socket.gethostname(), "started": start_ticks(os.getpid())}
GONE = {"pid": 2**22 - 1, "host": socket.gethostname()}  # above the highest pid of Linux
AWAY = {"pid": 4, "host": "another-machine"}


def line(event, stage=None, age=0.0, **values):
    time = (datetime.now(UTC) - timedelta(seconds=age)).isoformat()
    return {"time": time, "event": event, "stage": stage, "memory_mib": 500.5, **values}


def begin(who=GONE, session="s1", **values):
    return line("begin", session=session, stages=STAGES, processes=1, **who, **values)


def count(done, seconds, total=100, **values):
    return line("progress", "answer", done=done, total=total, seconds=seconds, **values)


def write(folder, *lines, process=0):
    folder.mkdir(exist_ok=True)
    name = f"log.{process}.jsonl" if process else "log.jsonl"
    texts = [json.dumps({k: v for k, v in x.items() if v is not None}) for x in lines]
    (folder / name).write_text("".join(text + "\n" for text in texts))


def stage_of(status, name="answer"):
    return next(stage for stage in status.stages if stage.name == name)


RUNNING = [
    line("start", "prove", seconds=0.0),
    line("end", "prove", seconds=2.0),
    line("start", "answer", seconds=0.0),
    count(0, 1.0),
    count(5, 1.0, total=50, language="de", condition="baseline"),
    count(0, 1.0, total=50, language="th", condition="baseline"),
    count(10, 21.0),
    count(50, 101.0),
]


def test_a_run_at_work_says_what_is_done_how_fast_and_what_is_left(tmp_path):
    write(tmp_path, begin(ME), *RUNNING)
    status = read_status(tmp_path)
    assert (status.state, status.worker.pid, status.worker.alive) == ("at work", os.getpid(), True)
    assert [(x.name, x.state) for x in status.stages] == [
        ("prove", "done"), ("answer", "at work"), ("summarise", "waiting")
    ]  # fmt: skip
    answer = stage_of(status)
    assert (answer.done, answer.total) == (50, 100)
    assert answer.recent_rate == pytest.approx(40 / 80)  # since 21 s: a minute back at least
    assert answer.rate == pytest.approx(50 / 100)
    assert answer.seconds_left == pytest.approx(100)
    assert [(x.language, x.done, x.total) for x in answer.parts] == [("de", 5, 50), ("th", 0, 50)]
    text = status_text(status)
    for words in (
        f"At work: process {os.getpid()}",
        "50/100 (50%)",
        "1 min 40 s",
        "baseline: 5/100; left: de 5/50, th 0/50",
        "Most memory of a process: 500 MiB",
    ):
        assert words in text


def test_a_process_that_is_gone_is_not_at_work_and_the_command_that_resumes_is_named(tmp_path):
    command = "polyrefuse evaluate planted --out x"
    write(tmp_path, begin(GONE, command=command), *RUNNING)
    status = read_status(tmp_path)
    assert (status.state, stage_of(status).state) == ("stopped", "stopped")
    assert stage_of(status).seconds_left is None
    assert "No process is at work on it" in status_text(status)
    assert status_text(status).endswith(f"To go on: run the same command again: {command}")


def test_a_pid_that_another_process_has_now_is_not_the_run(tmp_path):
    if ME["started"] is None:
        pytest.skip("no /proc here, so reused pids cannot be told apart")
    write(tmp_path, begin({**ME, "started": ME["started"] - 1}), *RUNNING)
    assert read_status(tmp_path).state == "stopped"


def test_a_process_on_another_machine_is_neither_called_alive_nor_dead(tmp_path):
    write(tmp_path, begin(AWAY), *RUNNING)
    status = read_status(tmp_path)
    assert (status.state, status.worker.alive) == ("unknown", None)
    assert "cannot be seen from here" in status_text(status)
    assert "see on another-machine whether process 4 still runs" in status.resume


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "x"}', '{"pid": -1, "host": "a"}'])
def test_a_lock_that_says_nothing_leaves_it_to_the_log(tmp_path, content):
    write(tmp_path, begin(ME), *RUNNING)
    (tmp_path / ".lock").write_text(content)
    assert read_status(tmp_path).state == "at work"


def test_a_lock_names_the_process_that_is_at_work_before_the_log_does(tmp_path):
    write(tmp_path, begin(GONE), *RUNNING)
    (tmp_path / ".lock").write_text(json.dumps({**ME, "boot": None, "since": "", "command": ""}))
    status = read_status(tmp_path)
    assert (status.state, status.worker.pid) == ("at work", os.getpid())


def test_an_error_is_shown_with_its_stage_and_a_finished_resume_is_finished(tmp_path):
    failed = line("error", "answer", error="RunDirectoryError", message="x: no\x1b[2J space")
    write(tmp_path, begin(), *RUNNING, failed)
    status = read_status(tmp_path)
    assert status.state == "failed"
    assert "in answer): x: no\ufffd[2J space" in status_text(status)
    again = [begin(session="s2"), *RUNNING[2:], line("end", "answer", seconds=9.0), line("finish")]
    write(tmp_path, begin(), *RUNNING, failed, *again)
    status = read_status(tmp_path)
    assert (status.state, status.sessions) == ("finished", 2)
    assert status.last_error["message"].startswith("x: no")


def test_an_interrupted_run_has_not_failed(tmp_path):
    stop = line("error", "answer", error="KeyboardInterrupt", message="interrupted")
    write(tmp_path, begin(), *RUNNING, stop)
    assert read_status(tmp_path).state == "stopped"


def test_rates_span_sessions_and_know_nothing_of_the_clock(tmp_path):
    then = [{**x, "time": "2031-01-01T00:00:00Z"} for x in RUNNING]
    second = [begin(ME, "s2"), line("start", "answer"), count(50, 0.0), count(70, 10.0)]
    second = [{**x, "time": "2031-01-01T00:00:00Z"} for x in second]
    write(tmp_path, begin(), *then, *second)
    answer = stage_of(read_status(tmp_path))
    assert answer.rate == pytest.approx((50 + 20) / (100 + 10))
    assert answer.recent_rate == pytest.approx(2.0)
    assert "clock was set back" in status_text(read_status(tmp_path))


def test_processes_that_share_a_run_are_added_up_and_those_of_another_session_are_not(tmp_path):
    write(tmp_path, begin(ME, "s2"), *RUNNING[2:])
    part = {"language": "th", "condition": "baseline", "total": None}
    theirs = [
        {**begin(ME, "s1"), "process": 1},
        {**count(999, 5.0, total=None), "process": 1},
        {**begin(ME, "s2"), "process": 1},
        {**count(0, 0.0, total=None), "process": 1},
        {**count(30, 60.0, **part), "process": 1},
        {**count(30, 60.0, total=None), "process": 1, "memory_mib": 900.0},
    ]
    write(tmp_path, *theirs, process=1)
    write(tmp_path, {**begin(ME, "s1"), "process": 2}, {**count(7, 1.0), "process": 2}, process=2)
    status = read_status(tmp_path)
    answer = stage_of(status)
    assert (answer.done, answer.total, status.memory_mib) == (80, 100, 900.0)
    assert answer.recent_rate == pytest.approx(40 / 80 + 30 / 60)
    assert [(x.language, x.done) for x in answer.parts] == [("de", 5), ("th", 30)]


def test_a_long_silence_of_a_living_process_is_pointed_out(tmp_path):
    old = [{**x, "time": line("end", age=600)["time"]} for x in (begin(ME), *RUNNING)]
    write(tmp_path, *old)
    assert "finished nothing since" in status_text(read_status(tmp_path))
    write(tmp_path, begin(ME), *RUNNING)
    assert "finished nothing since" not in status_text(read_status(tmp_path))


def test_warnings_of_the_last_session_are_shown(tmp_path):
    with observed(tmp_path, STAGES), stage("answer"):
        warn("batches were halved")
    assert "Warning: batches were halved" in status_text(read_status(tmp_path))


@pytest.mark.parametrize("name", ["settings.json", "result.json and settings.json"])
def test_a_run_without_a_log_says_so(tmp_path, name):
    for file in name.split(" and "):
        (tmp_path / file).write_text('{"model": "org/model"}')
    status = read_status(tmp_path)
    assert status.state == ("finished" if "result" in name else "stopped")
    text = status_text(status)
    assert "No log" in text
    assert "org/model" in text


def test_a_build_is_found_by_its_dataset_folder_and_a_log_by_its_name(tmp_path):
    (tmp_path / "data").mkdir()
    write(tmp_path / "data.build", begin(), line("start", "translate"))
    assert read_status(tmp_path / "data").folder == tmp_path / "data.build"
    (tmp_path / "data.build" / "log.jsonl").rename(tmp_path / "report.log.jsonl")
    assert stage_of(read_status(tmp_path / "report.log.jsonl"), "translate")


@pytest.mark.parametrize("name", [".", "/", "nowhere", "file.jsonl"])
def test_what_is_no_run_exits_2_and_says_what_was_looked_for(run, tmp_path, name):
    (tmp_path / "file.jsonl").write_text("{}\n")
    with pytest.raises(RunDirectoryError, match=r"is no run: there is no log\.jsonl and no sett"):
        read_status(tmp_path / name)
    done = run("status", tmp_path / name)
    assert (done.returncode, done.stdout) == (2, "")
    (said,) = done.stderr.splitlines()
    assert "no log.jsonl and no settings.json" in said


def test_the_command_prints_plain_lines_into_a_pipe_and_json_on_demand(run, tmp_path):
    write(tmp_path, begin(ME), *RUNNING)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    plain = run("status", tmp_path)
    assert (plain.returncode, plain.stderr) == (0, "")
    assert plain.stdout.isascii()
    found = json.loads(run("status", tmp_path, "--json").stdout)
    assert found == json.loads(json.dumps(status_json(read_status(tmp_path)))) | {
        "log_age": found["log_age"]
    }
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_watching_ends_with_the_run(run, tmp_path):
    write(tmp_path, begin(), *RUNNING, line("finish"))
    assert run("status", tmp_path, "--watch", "0.1").stdout.count("finished") == 1
    for seconds in ("0", "-1", "nan"):
        assert run("status", tmp_path, "--watch", seconds).returncode == 2


def test_watching_looks_again_while_a_process_is_at_work(tmp_path, monkeypatch, capsys):
    write(tmp_path, begin(ME), *RUNNING)
    naps = []

    def nap(seconds):
        naps.append(seconds)
        if len(naps) == 2:
            write(tmp_path, begin(ME), *RUNNING, line("finish"))

    monkeypatch.setattr("polyrefuse.cli.observing.time.sleep", nap)
    cli.observing.status_command(tmp_path, as_json=False, watch=7.0)
    assert naps == [7.0, 7.0]
    assert capsys.readouterr().out.count("model") == 0
    assert read_status(tmp_path).state == "finished"


def test_in_a_terminal_it_is_a_table_and_hostile_names_stay_text(tmp_path):
    from rich.console import Console

    hostile = "[red]x[/nope]"
    lines = [begin(ME), line("start", hostile), line("error", hostile, message=hostile)]
    write(tmp_path, *lines)
    console = Console(width=120, record=True)
    console.print(status_table(read_status(tmp_path)))
    assert console.export_text().count(hostile) >= 2


def test_torch_is_not_imported(root, tmp_path):
    write(tmp_path, begin(ME), *RUNNING)
    program = (
        f"import sys; sys.argv = ['polyrefuse', 'status', {str(tmp_path)!r}]\n"
        "from polyrefuse.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print({'torch', 'transformers', 'polyrefuse_evaluation'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, ""), (4.24, "4.2 s"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (273_600, "3 d 4 h")],
)
def test_durations_are_said_as_people_say_them(seconds, words):
    assert duration(seconds) == words
