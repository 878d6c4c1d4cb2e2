"""A fault of this machine ends the run and resumes: it is never kept as a failure of a text."""

import errno
import os
import socket
from contextlib import contextmanager

import pytest

from polyrefuse.machine_faults import machine_fault
from polyrefuse_builders.translation import EngineError, get_engine, translate_rows
from polyrefuse_builders.translation.engine import RejectedText

TEXTS = [f"Describe object {n} in a few plain words." for n in range(6)]


@pytest.fixture(params=["libretranslate", "openai"])
def engine(request, service):
    if request.param == "openai":
        return get_engine("openai", base_url=f"{service.url}/v1", model="m")
    return get_engine("libretranslate", url=service.url)


@pytest.fixture
def no_handles(monkeypatch):
    """No connection can be opened, as when all file handles are used up."""

    def connect(*_):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    @contextmanager
    def used_up():
        with monkeypatch.context() as patched:
            patched.setattr(socket.socket, "connect", connect)
            yield

    return used_up


def translate(rows, engine, tmp_path, fast_clock):
    return translate_rows(rows, ["es"], engine, tmp_path / "cache.db", clock=fast_clock)


def test_without_file_handles_the_run_ends_and_goes_on_later(
    engine, service, make_rows, tmp_path, fast_clock, no_handles
):
    rows = make_rows(TEXTS)
    with no_handles(), pytest.raises(EngineError, match=r"Too many open files.*resumes"):
        translate(rows, engine, tmp_path, fast_clock)
    outcome = translate(rows, engine, tmp_path, fast_clock)
    assert outcome.reasons() == {}
    assert sorted(service.log) == TEXTS


def test_memory_that_runs_out_in_an_engine_is_no_failure_of_the_text(
    counting_engine, make_rows, tmp_path, fast_clock
):
    full = counting_engine(lambda *_: MemoryError())
    with pytest.raises(EngineError, match="engine 'counting': Cannot allocate memory"):
        translate(make_rows(TEXTS), full, tmp_path, fast_clock)
    outcome = translate(make_rows(TEXTS), counting_engine(), tmp_path, fast_clock)
    assert outcome.reasons() == {}


def test_taken_for_the_service_s_fault_it_would_be_kept(
    engine, make_rows, tmp_path, fast_clock, no_handles, monkeypatch
):
    """The mutation: every text is counted as failed, and not asked for again."""
    for module in ("deep", "chat", "retrying"):
        monkeypatch.setattr(f"polyrefuse_builders.translation.{module}.own_fault", lambda *_: None)
    with no_handles():
        outcome = translate(make_rows(TEXTS), engine, tmp_path, fast_clock)
    assert sum(outcome.reasons().values()) == len(TEXTS)


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (OSError(errno.ENOSPC, ""), "No space left on device"),
        (ConnectionRefusedError(errno.ECONNREFUSED, ""), None),
        (OSError("without a number"), None),
        (RejectedText("empty", "nothing"), None),
        (None, None),
    ],
)
def test_what_is_a_fault_of_this_machine(error, found):
    assert machine_fault(error) == found


def test_a_fault_is_found_behind_other_errors_and_a_loop_of_them_ends():
    outer, inner = RuntimeError(), OSError(errno.EIO, "")
    outer.__cause__, inner.__context__ = ValueError(), outer
    outer.__cause__.__context__ = inner
    assert machine_fault(outer) == "Input/output error"
    outer.__cause__.__context__ = outer
    assert machine_fault(outer) is None
