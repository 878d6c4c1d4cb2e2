"""Is a process at work on a run? Read from what it left there; nothing is locked or touched.

The run's ``.lock`` may name its holder; the log's last session names its process. Whether that one
is alive can be seen on its own machine only.
"""

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyrefuse.observing.record import LogRecord
from polyrefuse.outside_json import parse_json
from polyrefuse.run_lock import start_ticks

LOCK = ".lock"


@dataclass(frozen=True)
class Worker:
    """A process that works on a run, or did.

    Attributes:
        pid: its process id.
        host: its machine.
        started: its start in clock ticks since boot, where that is known.
        alive: whether it is; None where that cannot be seen from here.
    """

    pid: int
    host: str
    started: int | None
    alive: bool | None


def find_worker(folder: Path, begun: Sequence[LogRecord]) -> Worker | None:
    """Return the process that the lock names or that began the last session; None if none is known.

    Args:
        folder: the run directory.
        begun: ``begin`` records of the log, in order.
    """
    found = [_from_lock(folder / LOCK)]
    if begun:
        found.append(_worker(begun[-1].pid, begun[-1].host, begun[-1].started))
    known = [worker for worker in found if worker is not None]
    return next((worker for worker in known if worker.alive), known[-1] if known else None)


def _from_lock(path: Path) -> Worker | None:
    try:
        with path.open("rb") as stream:
            held: Any = parse_json(stream.read(65_536))
    except (OSError, ValueError):
        return None  # none, empty, or a lock that does not say who has it
    if not isinstance(held, dict):
        return None
    return _worker(held.get("pid"), held.get("host"), held.get("started"))


def _worker(pid: Any, host: Any, started: Any) -> Worker | None:
    if type(pid) is not int or pid < 1 or not isinstance(host, str):
        return None
    ticks = started if type(started) is int else None
    alive = _runs(pid, ticks) if host == socket.gethostname() else None
    return Worker(pid, host, ticks, alive)


def _runs(pid: int, started: int | None) -> bool:
    try:
        os.kill(pid, 0)  # asks whether it is there; sends nothing
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    if _is_zombie(pid):
        return False
    return started is None or start_ticks(pid) in (None, started)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return False
