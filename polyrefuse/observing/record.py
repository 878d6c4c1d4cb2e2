"""One line of a run's log: what it holds, how it is written, and how it is read back.

A line holds names and numbers. The only free text is the message of an error or a warning, which
goes through `safe_line`. Knows nothing of files.
"""

import json
import traceback
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from polyrefuse.outside_json import parse_json

Event = Literal["begin", "start", "progress", "end", "warning", "error", "finish"]

OURS = ("polyrefuse", "polyrefuse_builders", "polyrefuse_evaluation")

LONGEST = 400
"""Most characters of a message."""

SPEAKING = (OSError, MemoryError, ImportError, RuntimeError)
"""Errors of libraries whose messages are kept; those of others (KeyError, say) quote values."""


@dataclass(frozen=True, kw_only=True)
class LogRecord:
    """One line; fields that are None are left out.

    Attributes:
        time: when it was written, UTC, for people: a clock may jump, so nothing is computed from it
            but its age.
        event: ``begin`` and ``finish`` (or ``error``) of a session, that is one process at work on
            the run; ``start``, ``progress`` and ``end`` of a stage; ``warning``.
        process: its number among those that share the run.
        stage: what is being done; `step` is a part of it with a count of its own.
        language: language that the count is of; None: all of them.
        condition: condition that the count is of; None: all of them.
        done: how many are done, earlier sessions included. A process other than the first counts
            its own share only, and knows no total.
        total: how many there are.
        seconds: since the stage (of ``finish`` and ``error``: the session) began, monotonic.
        memory_mib: most memory that the process has had in use so far, in MiB.
        accelerator_mib: the same of its accelerator, where it uses one.
        error: name of an error's type.
        message: one line.
        session: name of the session, shared by its processes.
        pid: process id.
        host: name of the machine.
        started: start of the process in clock ticks since boot: tells a reused pid apart.
        processes: how many share the run.
        version: of polyrefuse.
        command: the command line, where there is one.
        stages: stages that this run has, in order.
    """

    time: str
    event: Event
    process: int = 0
    stage: str | None = None
    step: str | None = None
    language: str | None = None
    condition: str | None = None
    done: int | None = None
    total: int | None = None
    seconds: float | None = None
    memory_mib: float | None = None
    accelerator_mib: float | None = None
    error: str | None = None
    message: str | None = None
    session: str | None = None
    pid: int | None = None
    host: str | None = None
    started: int | None = None
    processes: int | None = None
    version: str | None = None
    command: str | None = None
    stages: tuple[str, ...] | None = None

    def to_line(self) -> bytes:
        """Return the line, with its end."""
        kept = {name: value for name, value in asdict(self).items() if value is not None}
        return (json.dumps(kept, ensure_ascii=True) + "\n").encode("ascii")


_NUMBERS = {"process", "done", "total", "seconds", "memory_mib", "accelerator_mib", "pid"}
_NUMBERS |= {"started", "processes"}
_NAMES = {field.name for field in fields(LogRecord)}


def parse_line(line: bytes) -> LogRecord | None:
    """Return what a line says; None where it is torn, or no line of a log."""
    try:
        found: Any = parse_json(line)
    except ValueError:
        return None
    if not isinstance(found, dict) or found.get("event") not in get_args(Event):
        return None
    values = {name: value for name, value in found.items() if name in _NAMES}
    if not isinstance(values.get("time"), str) or not all(map(_fits, values, values.values())):
        return None
    if "stages" in values:
        values["stages"] = tuple(values["stages"])
    return LogRecord(**values)


def _fits(name: str, value: Any) -> bool:
    if name in _NUMBERS:
        return type(value) in (int, float) and 0 <= value < 1e15
    if name == "stages":
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    return isinstance(value, str)


def safe_line(text: str) -> str:
    """Return `text` as a log may hold it: one line, not too long, no token.

    The one place where text enters a log, and so the one place where it is redacted.
    """
    from polyrefuse.redaction import redact

    line = "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in redact(text))
    return line if len(line) <= LONGEST else line[: LONGEST - 3] + "..."


def error_message(error: BaseException) -> str:
    """Return one line on an error, without a value that it may quote.

    Errors of this project name places and ids. Of others the message is kept where its type is
    known not to quote data; else only the place in this project's code where it arose.
    """
    from polyrefuse.errors import PolyRefuseError

    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    place = error_place(error)
    if isinstance(error, PolyRefuseError):
        return safe_line(str(error))
    if isinstance(error, SPEAKING):
        first = str(error).strip().splitlines() or [type(error).__name__]
        return safe_line(f"{first[0]} ({place})" if place else first[0])
    return safe_line(f"{type(error).__name__} at {place}" if place else type(error).__name__)


def error_place(error: BaseException) -> str:
    """Return module and line of this project's innermost frame of a traceback; or nothing."""
    place = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] in OURS:
            place = f"{module}:{line}"
    return place
