"""The suite can fail: with a fault planted in the product, its judgements say so; see plants.py."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import tally
from tests.faults.disturb import Case
from tests.faults.test_inputs import change_dataset


@pytest.fixture(autouse=True)
def not_counted(monkeypatch):
    """These are no cases of the product."""
    monkeypatch.setattr(tally, "FILE", None)


@pytest.fixture
def make_case(children, scenes, undisturbed, tmp_path) -> Callable[[str], Case]:
    def make(scene: str) -> Case:
        case = Case(children, scenes[scene], undisturbed(scene), tmp_path / "case", "planted")
        return case.prepare()

    return make


def kill_until(case: Case, ready: Callable[[], bool], **fault: object) -> None:
    """Kill the command at one event after the other until what is wanted was left behind."""
    for event in range(3, case.expected.events):
        case.run(event=event, signal="SIGKILL", **fault)
        case.interruptions += 1
        if ready():
            return
    raise AssertionError("it was never left behind")


def require_caught(case: Case, words: str) -> None:
    assert any(words in problem for problem in case.problems), case.problems


def test_a_resume_that_repeats_what_was_kept(make_case):
    case = make_case("evaluate")
    case.kill(signal.SIGKILL, {"event": int(case.expected.events * 0.6)})
    case.settle(plant="forgets_what_is_there")
    require_caught(case, "units made again beyond those under way")


@pytest.mark.slow
def test_a_cache_that_remembers_nothing(make_case):
    case = make_case("build run")
    case.kill(signal.SIGKILL, {"requests": case.expected.requests - 2})
    case.settle(plant="asks_again")
    require_caught(case, "units made again beyond those under way")


def test_files_that_a_kill_left_and_nobody_removes(make_case):
    case = make_case("evaluate")
    kill_until(case, lambda: any(case.folder.rglob(".*.partial")), plant="leaves_partials")
    case.settle(plant="leaves_partials")
    require_caught(case, "left over")


@pytest.mark.slow
def test_a_writer_that_is_not_atomic(make_case):
    case = make_case("evaluate")
    settings = case.folder / "run" / "settings.json"
    kill_until(case, settings.is_file, plant="writes_in_place", torn=True)
    case.settle(plant="writes_in_place")
    require_caught(case, "exit code 2")


@pytest.mark.slow
def test_an_append_behind_half_a_line(make_case):
    case = make_case("evaluate")
    tokens = case.folder / "run" / "first_tokens.jsonl"
    kill_until(case, tokens.is_file)
    case.kill(signal.SIGKILL, {"event": 8})
    tear(tokens)
    case.settle(plant="resumes_after_a_torn_line")
    require_caught(case, "lost or changed")


def tear(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b'{"language":"de","id":"harm')


def start_and_wait_for_settings(case: Case, **fault: object):
    child = case.children.start(case.scene.arguments, case.folder, **fault)
    while not (case.folder / "run" / "settings.json").is_file():
        time.sleep(0.001)
    return child


def test_a_lock_that_lets_two_in(make_case):
    """The second process is told nothing: what test_locks.py demands is not said."""
    case = make_case("evaluate")
    first = start_and_wait_for_settings(case, plant="lets_two_in")
    side = case.folder.with_name("second")
    second = case.children.start(case.scene.arguments, case.folder, side, plant="lets_two_in")
    said = second.wait().stderr
    first.wait()
    assert "another process is writing" not in said


@pytest.mark.slow
def test_inputs_that_nobody_looks_at(make_case):
    """The run ends as if nothing had happened: test_inputs.py demands that it does not."""
    case = make_case("evaluate")
    child = start_and_wait_for_settings(case, plant="ignores_inputs")
    change_dataset(case.folder)
    assert child.wait().code == 0
