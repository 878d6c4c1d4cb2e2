"""A decoder that crashes, fills the memory or does not end is an error of its input, no more."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from polyrefuse import isolated as module
from polyrefuse.isolated import CrashedError, DecodingError, isolated

PLACE = "tests.support.decoders"


@pytest.fixture(autouse=True)
def fresh():
    """Each test begins and ends without children."""
    module._close_all()
    yield
    module._close_all()


def ask(name: str, argument: bytes = b"") -> list[bytes]:
    return list(isolated(f"{PLACE}:{name}", argument))


def test_pieces_come_back_as_they_are():
    data = bytes(range(256)) * 5000
    assert ask("repeat", data) == [data] * 3
    assert ask("repeat", b"") == [b""] * 3


def test_one_child_serves_many_calls_and_two_at_once_have_two():
    assert ask("who") == ask("who") != [str(os.getpid()).encode()]
    first = isolated(f"{PLACE}:who", b"")
    assert next(first) != ask("who")[0]
    assert list(first) == []


def test_an_exception_is_told_in_one_line_and_the_child_goes_on():
    child = ask("who")
    with pytest.raises(DecodingError, match=r"^'no such\\nthing'$"):
        ask("refuse")
    assert ask("who") == child


@pytest.mark.parametrize(
    ("decoder", "how"), [("abort", "by SIGABRT"), ("leave", "with exit code 3")]
)
def test_a_crash_is_an_error_and_the_next_call_has_a_new_child(decoder, how):
    before = ask("who")
    pieces = isolated(f"{PLACE}:{decoder}", b"")
    assert next(pieces) == b"one"
    with pytest.raises(CrashedError, match=how):
        next(pieces)
    assert ask("who") != before


def test_memory_beyond_the_limit_is_refused_there(monkeypatch):
    monkeypatch.setattr(module, "MEMORY", 2**30)
    assert ask("fill", b"10000000") == [b"10000000"]
    with pytest.raises(DecodingError, match="MemoryError"):
        ask("fill", str(2**31).encode())


def test_without_the_limit_the_memory_would_be_taken(monkeypatch):
    """The mutation."""
    monkeypatch.setattr(module, "MEMORY", 2**40)
    assert ask("fill", str(2**31).encode()) == [str(2**31).encode()]


def test_work_without_end_is_ended():
    started = time.monotonic()
    with pytest.raises(CrashedError, match="by SIGXCPU"):
        ask("never_end")
    assert time.monotonic() - started < 60


def test_what_a_library_prints_is_no_answer(capfd):
    assert ask("chatter", b"x") == [b"x"]
    assert capfd.readouterr() == ("", "")


def test_ctrl_c_is_for_the_parent():
    assert ask("interrupt", b"x") == [b"x"]


def test_a_call_that_is_given_up_ends_its_child():
    before = ask("who")
    pieces = isolated(f"{PLACE}:repeat", b"x" * 2**20)
    assert next(pieces)
    pieces.close()
    assert ask("who") != before


def test_no_child_outlives_its_parent():
    program = (
        "from polyrefuse.isolated import isolated\n"
        f"print(next(isolated('{PLACE}:who', b'')).decode(), flush=True)\n"
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, check=False, cwd=Path.cwd()
    )
    place = Path(f"/proc/{int(done.stdout)}/stat")
    deadline = time.monotonic() + 30
    while place.exists() and place.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_fork_does_not_talk_to_its_parent_s_child():
    before = ask("who")
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writing, ask("who")[0])
        module._close_all()
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reading, 100) != before[0]
    os.close(reading)
    os.close(writing)
    assert ask("who") == before


def test_no_module_is_taken_from_the_folder_where_the_command_runs(tmp_path, monkeypatch):
    (tmp_path / "struct.py").write_text("raise SystemExit('hostile')\n", "utf-8")
    (tmp_path / "pyarrow.py").write_text("raise SystemExit('hostile')\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    assert ask("repeat", b"x") == [b"x"] * 3
