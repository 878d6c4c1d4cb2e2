"""Say what a run is doing: sessions, stages and counts, from wherever the work is done.

`observed` opens the log of a run; `stage`, `expect`, `advance` and `warn` write to the log that is
open, and do nothing where none is. They return nothing: a log decides nothing.
"""

import os
import re
import resource
import secrets
import shlex
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from polyrefuse.observing.record import Event, LogRecord, error_message, safe_line
from polyrefuse.observing.run_log import RunLog, log_file, now, read_log
from polyrefuse.run_lock import start_ticks

Part = tuple[str | None, str | None]
"""Condition and language."""

OFTEN, SELDOM, SHARE = 1.0, 30.0, 0.02
"""Progress is logged after this share of a stage's time so far, in these bounds, in seconds."""

SECRET = re.compile(r"(?i)([\w-]*(?:key|token|secret|passw)[\w-]*=).+")
"""A setting of a command that may hold a secret, as in ``--engine-setting api_key=...``."""

_OPEN: ContextVar["Session | None"] = ContextVar("open log", default=None)
_LAST: list[Path] = []


class Stage:
    """Counts of one stage."""

    def __init__(self, name: str, total: int | None) -> None:
        self.name = name
        self.step: str | None = None
        self.done = 0
        self.total = total
        self.parts: dict[Part, list[int | None]] | None = None
        self.changed: set[Part] = set()
        self.began = self.logged = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.began

    def counts(self) -> dict[str, Any]:
        """Return the fields of a line on the whole stage."""
        return {
            "stage": self.name,
            "step": self.step,
            "done": self.done if self.total is not None or self.parts is not None else None,
            "total": self.total,
            "seconds": round(self.seconds, 3),
        }

    @property
    def due(self) -> bool:
        """Whether it is time for a line."""
        wait = min(SELDOM, max(OFTEN, SHARE * self.seconds))
        return time.monotonic() - self.logged >= wait


class Session:
    """One process at work on a run."""

    def __init__(self, log: RunLog, name: str) -> None:
        self.log = log
        self.name = name
        self.began = time.monotonic()
        self.stages: list[Stage] = []
        self.failed: str | None = None

    def say(self, event: Event, here: Stage | None = None, **values: Any) -> None:
        """Write one line, and before it the counts of the stage's parts that changed.

        Whatever goes wrong in here is no reason to stop a run, nor to hide why it stops.
        """
        with suppress(Exception):
            lines = []
            if here is not None:
                lines = list(_part_lines(here))
                here.logged = time.monotonic()
                values = {**here.counts(), **values}
            self.log.write(*lines, LogRecord(time=now(), event=event, **memory(), **values))


def _part_lines(stage: Stage) -> Iterator[LogRecord]:
    for part, (done, total) in (stage.parts or {}).items():
        if part not in stage.changed:
            continue
        yield LogRecord(
            time=now(),
            event="progress",
            stage=stage.name,
            condition=part[0],
            language=part[1],
            done=done,
            total=total,
            seconds=round(stage.seconds, 3),
        )
    stage.changed.clear()


@contextmanager
def observed(
    folder: Path,
    stages: Sequence[str] = (),
    *,
    process: int = 0,
    file: Path | None = None,
) -> Iterator[None]:
    """Log what is done in the block into the log of a run.

    Args:
        folder: the run directory.
        stages: names of the stages that this run has, in order.
        process: number of this process among those that share the run; the first begins a session,
            the others join it.
        file: write this file instead of the run directory's.
    """
    log = RunLog(file or log_file(folder, process), process)
    session = Session(log, _session_of(folder) if process else secrets.token_hex(4))
    _LAST[:] = [log.path]
    session.say(
        "begin",
        session=session.name,
        pid=os.getpid(),
        host=socket.gethostname(),
        started=start_ticks(os.getpid()),
        processes=_processes(),
        version=_version(),
        command=command_line(),
        stages=tuple(stages),
    )
    token = _OPEN.set(session)
    event: Event = "finish"
    said: dict[str, Any] = {}
    try:
        yield
    except BaseException as error:
        event, said = "error", {"error": type(error).__name__, "stage": session.failed}
        with suppress(Exception):
            said["message"] = error_message(error)
        raise
    finally:
        _OPEN.reset(token)
        session.say(event, seconds=round(time.monotonic() - session.began, 3), **said)


@contextmanager
def stage(name: str, total: int | None = None) -> Iterator[None]:
    """Log the start and the end of a stage, and the counts within it.

    Args:
        name: what is done.
        total: how many there are to do, where that is known and counted.
    """
    session = _OPEN.get()
    if session is None:
        yield
        return
    here = Stage(name, total)
    session.stages.append(here)
    session.say("start", here)
    try:
        yield
    except BaseException:
        session.failed = name
        session.say("progress", here)  # what was done before the error, which `observed` writes
        raise
    else:
        session.say("end", here)
    finally:
        session.stages.pop()


def expect(parts: Mapping[Part, tuple[int, int | None]]) -> None:
    """Say how many there are of each condition and language in this stage, and how many are done.

    From then on the stage counts by `advance` with a part, and bars in it count nothing. A process
    other than the first expects nothing: it counts what it does.
    """
    session = _OPEN.get()
    if session is None or not session.stages:
        return
    here = session.stages[-1]
    here.parts = {part: list(counts) for part, counts in parts.items()}
    here.changed = set(parts)
    here.done = sum(done for done, _ in parts.values())
    totals = [total for _, total in parts.values() if total is not None]
    here.total = sum(totals) if totals else None
    session.say("progress", here)


def count_to(total: int, step: str) -> None:
    """Begin to count a step of this stage, as a progress bar does."""
    session = _OPEN.get()
    if session is None or not session.stages or session.stages[-1].parts is not None:
        return
    here = session.stages[-1]
    here.step, here.done, here.total = step, 0, total
    session.say("progress", here)


def advance(number: int = 1, *, language: str | None = None, condition: str | None = None) -> None:
    """Count what is done; a line is written at a bounded rate."""
    session = _OPEN.get()
    if session is None or not session.stages:
        return
    here = session.stages[-1]
    part = (condition, language)
    if here.parts is not None:
        if part == (None, None):
            return  # a bar
        counts = here.parts.setdefault(part, [0, None])
        counts[0] = (counts[0] or 0) + number
        here.changed.add(part)
    here.done += number
    if here.due:
        session.say("progress", here)


def warn(message: str, *, language: str | None = None, condition: str | None = None) -> None:
    """Log a warning: one line without text of prompts or answers."""
    session = _OPEN.get()
    if session is not None:
        name = session.stages[-1].name if session.stages else None
        said = safe_line(message)
        session.say("warning", message=said, stage=name, language=language, condition=condition)


def last_log() -> Path | None:
    """Return the log that this process opened last."""
    return _LAST[0] if _LAST else None


def memory() -> dict[str, Any]:
    """Return the most memory that this process has had in use, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found: dict[str, Any] = {
        "memory_mib": round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)
    }
    torch = sys.modules.get("torch")  # never imported for the log's sake
    cuda = getattr(torch, "cuda", None)
    with suppress(RuntimeError):  # a device that failed fails here, too
        if cuda is not None and cuda.is_initialized():
            most = max(cuda.max_memory_allocated(index) for index in range(cuda.device_count()))
            found["accelerator_mib"] = round(most / 2**20, 1)
    return found


def command_line() -> str | None:
    """Return the command that runs, if it is one of polyrefuse's; without tokens."""
    program = Path(sys.argv[0]) if sys.argv else Path()
    if program.name != "polyrefuse" and program.parts[-2:] != ("polyrefuse", "__main__.py"):
        return None
    arguments = [SECRET.sub(r"\1[hidden]", argument) for argument in sys.argv[1:]]
    return safe_line(shlex.join(["polyrefuse", *arguments]))


def _session_of(folder: Path) -> str:
    """Return the session that the first process began."""
    try:
        begun = [x.session for x in read_log(log_file(folder)) if x.event == "begin" and x.session]
    except OSError:
        begun = []
    return begun[-1] if begun else ""


def _processes() -> int:
    size = os.environ.get("WORLD_SIZE", "1")
    return int(size) if size.isdigit() else 1


def _version() -> str:
    from polyrefuse import __version__

    return __version__
