"""The log of a run: what it holds, what it survives, and that it never decides anything."""

import json
import os
import time
from datetime import UTC, datetime
from itertools import cycle

import pytest

from polyrefuse.errors import DatasetError
from polyrefuse.observing import advance, count_to, expect, observed, read_log, stage, stages, warn
from polyrefuse.observing.record import LONGEST, error_message, safe_line
from polyrefuse.observing.run_log import RunLog

TOKEN = "hf_" + "a1B2c3D4" * 4


@pytest.fixture
def eager(monkeypatch):
    """Write a line at every step."""
    monkeypatch.setattr(stages, "OFTEN", 0.0)
    monkeypatch.setattr(stages, "SHARE", 0.0)


def events(folder):
    return [record.event for record in read_log(folder / "log.jsonl")]


def answer(number, condition="baseline", language="de"):
    for _ in range(number):
        advance(condition=condition, language=language)


def test_a_run_is_a_session_of_stages_with_counts_of_each_condition_and_language(tmp_path, eager):
    with observed(tmp_path, ("select", "answer")), stage("answer"):
        expect({("baseline", "de"): (1, 4), ("baseline", "th"): (0, 4)})
        answer(2)
    first, *_, last = records = read_log(tmp_path / "log.jsonl")
    assert (first.event, first.pid, first.stages) == ("begin", os.getpid(), ("select", "answer"))
    assert last.event == "finish"
    parts = [(r.language, r.done, r.total) for r in records if r.condition == "baseline"]
    assert parts == [("de", 1, 4), ("th", 0, 4), ("de", 2, 4), ("de", 3, 4)]
    whole = [(r.event, r.done, r.total) for r in records if r.stage and r.language is None]
    assert whole[0] == ("start", None, None)
    assert whole[1:] == [
        ("progress", 1, 8), ("progress", 2, 8), ("progress", 3, 8), ("end", 3, 8)
    ]  # fmt: skip
    assert all(r.memory_mib > 1 for r in records if r.language is None)
    assert sorted(r.seconds for r in records if r.stage) == [r.seconds for r in records if r.stage]


def test_lines_of_progress_come_at_a_bounded_rate(tmp_path):
    with observed(tmp_path), stage("answer"):
        count_to(100_000, "answering")
        for _ in range(100_000):
            advance()
    lines = read_log(tmp_path / "log.jsonl")
    assert len(lines) < 20
    assert [r.done for r in lines if r.event == "end"] == [100_000]


def test_a_bar_in_a_stage_that_counts_parts_counts_nothing(tmp_path, eager):
    with observed(tmp_path), stage("answer"):
        expect({("baseline", "de"): (0, 4)})
        count_to(99, "a bar")
        advance(50)
        answer(1)
    assert [r.done for r in read_log(tmp_path / "log.jsonl") if r.event == "end"] == [1]


def test_an_error_is_logged_with_its_stage_and_raised(tmp_path):
    with pytest.raises(DatasetError), observed(tmp_path), stage("select"):
        raise DatasetError(f"row 7 of\nx.jsonl is wrong ({TOKEN}).", "Mend it.")
    last = read_log(tmp_path / "log.jsonl")[-1]
    assert (last.event, last.stage, last.error) == ("error", "select", "DatasetError")
    assert last.message == "row 7 of x.jsonl is wrong ([token]). Mend it."


def test_an_error_that_was_caught_is_not_the_one_that_ended_the_run(tmp_path):
    with observed(tmp_path):
        with pytest.raises(ValueError, match="x"), stage("select"):
            raise ValueError("x")
        with stage("answer"):
            count_to(1, "answers")
    assert [r.stage for r in read_log(tmp_path / "log.jsonl") if r.event == "end"] == ["answer"]
    assert events(tmp_path)[-1] == "finish"


def test_messages_hold_no_token_and_nothing_that_an_error_quotes():
    secret_prompt = {"how": 1}
    try:
        secret_prompt["the text of a prompt"]
    except KeyError as error:
        message = error_message(error)
    assert message == "KeyError"
    assert safe_line(f"a\x1b[31m {TOKEN}\nb") == "a\ufffd[31m [token] b"
    assert len(safe_line("x" * 9999)) == LONGEST
    assert error_message(RuntimeError("out of memory\nmore")) == "out of memory"


def test_the_command_is_kept_without_what_may_be_a_secret(tmp_path, monkeypatch):
    asked = ["--engine-setting", "api_key=abcdefgh", "--base-url", "http://h/v1?token=abcdefgh"]
    monkeypatch.setattr("sys.argv", ["/bin/polyrefuse", "evaluate", "x", *asked, "--limit", "3"])
    with observed(tmp_path):
        pass
    command = read_log(tmp_path / "log.jsonl")[0].command
    assert command.startswith("polyrefuse evaluate x --engine-setting 'api_key=[hidden]'")
    assert command.endswith("--limit 3")
    assert "abcdefgh" not in (tmp_path / "log.jsonl").read_text()
    monkeypatch.setattr("sys.argv", ["some-script.py", "x"])
    with observed(tmp_path):
        pass
    assert read_log(tmp_path / "log.jsonl")[-2].command is None


def test_a_warning_is_a_line(tmp_path):
    with observed(tmp_path), stage("answer"):
        warn("memory ran out: batches were halved")
    found = [r for r in read_log(tmp_path / "log.jsonl") if r.event == "warning"]
    assert [(r.stage, r.message) for r in found] == [
        ("answer", "memory ran out: batches were halved")
    ]


def test_outside_a_run_nothing_is_written_and_nothing_fails(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with stage("answer", 3):
        expect({("baseline", "de"): (0, 4)})
        count_to(4, "answers")
        answer(2)
        warn("nobody hears this")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_torn_last_line_costs_that_line_only_and_a_resumed_run_goes_on_below(tmp_path, cut):
    for _ in range(2):
        with observed(tmp_path), stage("answer"):
            count_to(2, "answers")
    path = tmp_path / "log.jsonl"
    whole = read_log(path)
    path.write_bytes(path.read_bytes()[:-cut])
    with observed(tmp_path):
        pass
    kept = whole[:-1] if cut > 1 else whole  # without its line end a line is still whole
    assert read_log(path)[:-2] == kept
    assert events(tmp_path)[-2:] == ["begin", "finish"]


def test_without_the_new_line_the_next_line_would_be_lost_with_the_torn_one(tmp_path, monkeypatch):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"time": "2026-')
    monkeypatch.setattr("polyrefuse.observing.run_log._ends_with_newline", lambda _: True)
    with observed(tmp_path):
        pass
    assert events(tmp_path) == ["finish"]


def test_a_clock_that_jumps_changes_no_seconds(tmp_path, monkeypatch, eager):
    times = cycle([2e9, 1e9, 3e9, 0.0])
    monkeypatch.setattr(stages, "now", lambda: datetime.fromtimestamp(next(times), UTC).isoformat())
    with observed(tmp_path), stage("answer"):
        count_to(3, "answers")
        for _ in range(3):
            time.sleep(0.01)
            advance()
    seconds = [r.seconds for r in read_log(tmp_path / "log.jsonl") if r.stage]
    assert seconds == sorted(seconds)
    assert 0.03 <= seconds[-1] < 5
    assert [r.done for r in read_log(tmp_path / "log.jsonl") if r.stage][-1] == 3


def test_a_log_that_cannot_be_opened_hides_no_error_and_stops_no_run(tmp_path):
    (tmp_path / "log.jsonl").symlink_to("/dev/full")  # a link is not followed, so it fails
    with observed(tmp_path), stage("answer"):
        advance()
    with pytest.raises(KeyError, match="the first error"), observed(tmp_path), stage("answer"):
        raise KeyError("the first error")


def test_lines_that_found_no_room_are_counted_in_the_next_that_does(tmp_path, monkeypatch):
    log = RunLog(tmp_path / "log.jsonl")
    real = os.write
    record = stages.LogRecord(time=stages.now(), event="warning", message="x")
    log.write(record)
    monkeypatch.setattr(os, "write", lambda f, data: real(f, data[:7]))  # short: the disk is full
    log.write(record)
    monkeypatch.setattr(os, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space")))
    log.write(record, record)
    monkeypatch.setattr(os, "write", real)
    log.write(record)
    said = [r.message for r in read_log(tmp_path / "log.jsonl")]
    assert said == ["x", "3 lines of this log could not be written", "x"]


def test_an_error_while_writing_that_is_no_oserror_stops_no_run_either(tmp_path, monkeypatch):
    def broken(*_):
        raise RuntimeError("the accelerator is gone")

    monkeypatch.setattr(stages, "memory", broken)
    with observed(tmp_path), stage("answer"):
        advance()
    with pytest.raises(KeyError, match="first"), observed(tmp_path), stage("answer"):
        raise KeyError("first")


def test_lines_that_are_no_log_lines_are_left_out(tmp_path):
    path = tmp_path / "log.jsonl"
    bad = [
        "", "null", "[]", "{}", '{"event": "progress"}', '{"time": 1, "event": "end"}', "\x00" * 9,
        '{"time": "t", "event": "progress", "done": "many"}', '{"time": "t", "event": "other"}',
        '{"time": "t", "event": "end", "done": true}', '{"time": "t", "event": "end", "done": -1}',
        '{"time": "t", "event": "begin", "stages": 1}', '{"time": "t", "event": "end", "pid": -2}',
    ]  # fmt: skip
    good = {"time": "2026-11-28T00:00:00Z", "event": "end", "stage": "a", "unknown": [1]}
    path.write_text("\n".join([*bad, json.dumps(good), ""]))
    assert [(r.event, r.stage) for r in read_log(path)] == [("end", "a")]


def test_the_log_is_for_its_owner_only(tmp_path):
    with observed(tmp_path):
        pass
    assert (tmp_path / "log.jsonl").stat().st_mode & 0o777 == 0o600
