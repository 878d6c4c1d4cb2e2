"""Two processes on one run directory, and locks whose holders are gone or on another host."""

import json
import signal
import socket

import pytest

from polyrefuse.errors import RunDirectoryError
from polyrefuse.run_lock import LOCK, hold_lock, is_held, read_holder, this_process
from tests.faults import tally
from tests.faults.disturb import Case

FULL = tally.FORM == "full"
SCENES = ["evaluate", "geometry", "residual-space", "evaluate, endpoint", "build run"]


@pytest.mark.parametrize("scene", SCENES if FULL else ["evaluate"])
def test_two_processes_on_one_directory(children, scenes, undisturbed, tmp_path, scene):
    fault = f"two processes during {scene}"
    folder = tmp_path / "case"
    case = Case(children, scenes[scene], undisturbed(scene), folder, fault).prepare()
    lock = folder / ("out.build" if scene == "build run" else "run") / LOCK
    first = children.start(case.scene.arguments, folder)
    while not lock.is_file() or read_holder(lock.parent) is None:
        pass
    second = children.start(case.scene.arguments, folder, tmp_path / "second").wait()
    words = f"another process is writing to this directory: process {first.pid} on "
    said = second.complaint[-1]
    if second.code != 2 or words + socket.gethostname() not in said or "since 20" not in said:
        case.problems.append(f"the second: exit {second.code}, {second.stderr[-500:]}")
    ended = first.wait()
    if ended.code != case.expected.code:
        case.problems.append(f"the first: {ended.stderr[-500:]}")
    case.settle()
    case.require_sound()


def test_a_stale_lock_is_taken_over_and_said(children, scenes, undisturbed, tmp_path):
    folder = tmp_path / "case"
    expected = undisturbed("evaluate")
    case = Case(children, scenes["evaluate"], expected, folder, "stale lock").prepare()
    killed = case.kill(signal.SIGKILL, {"event": expected.events // 2})
    assert killed.code == -signal.SIGKILL
    holder = read_holder(folder / "run")
    assert holder is not None
    ended = case.settle()
    said = f"polyrefuse: run: took over the lock of process {holder.pid} on {holder.host}"
    assert ended.complaint[0].startswith(said), ended.stderr
    assert (folder / "run" / LOCK).read_bytes() == b""
    case.require_sound()


def record(**changes: object) -> bytes:
    return json.dumps({**vars(this_process()), **changes}).encode()


@pytest.mark.parametrize(
    ("changes", "gone"),
    [
        ({"boot": "another boot"}, True),
        ({"pid": 2**22 + 1}, True),
        ({"host": "elsewhere", "boot": "another boot"}, False),
        ({"host": "a container of this machine"}, True),
    ],
)
def test_a_lock_that_nobody_holds_here(tmp_path, changes, gone):
    tally.count("lock of a dead holder" if gone else "lock of another host")
    (tmp_path / LOCK).write_bytes(record(**changes))
    said: list[str] = []
    if gone:
        with hold_lock(tmp_path, said.append):
            assert is_held(tmp_path)
        assert len(said) == 1
        assert not is_held(tmp_path)
        return
    with (
        pytest.raises(RunDirectoryError, match=r"elsewhere.*cannot be seen from here.*remove"),
        hold_lock(tmp_path, said.append),
    ):
        pass
    assert (tmp_path / LOCK).read_bytes() == record(**changes), "it says still who has it"


def test_a_torn_record_is_taken_over(tmp_path):
    (tmp_path / LOCK).write_bytes(record()[:40])
    said: list[str] = []
    with hold_lock(tmp_path, said.append):
        assert read_holder(tmp_path) == this_process()
    assert "does not name" in said[0]


def test_without_flock_the_record_decides(tmp_path, monkeypatch):
    """A file system without locks: the living holder is seen by its pid, the dead one is gone."""
    import errno
    import fcntl

    def none(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr(fcntl, "flock", none)
    with (
        hold_lock(tmp_path),
        pytest.raises(RunDirectoryError, match="another process"),
        hold_lock(tmp_path),
    ):
        pass
    (tmp_path / LOCK).write_bytes(record(started=1))  # the pid lives, but it is another process
    said: list[str] = []
    with hold_lock(tmp_path, said.append):
        assert len(said) == 1


def test_the_record_holds_no_option(tmp_path, monkeypatch):
    arguments = ["polyrefuse", "build", "run", "recipe.toml", "--engine-setting", "api_key=secret"]
    monkeypatch.setattr("sys.argv", arguments)
    with hold_lock(tmp_path):
        holder = read_holder(tmp_path)
    assert holder is not None
    assert holder.command == "polyrefuse build run recipe.toml"
