"""Is a process at work on a run? Read from what it left there; nothing is locked or touched.

The run's ``.lock`` may name its holder; the log's last session names its process. Whether that one
is alive can be seen on its own machine only.
"""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from polyrefuse.observing.record import LogRecord
from polyrefuse.run_lock import is_running, read_holder


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
    held = read_holder(folder)
    found = [_worker(held.pid, held.host, held.started)] if held else []
    if begun:
        found.append(_worker(begun[-1].pid, begun[-1].host, begun[-1].started))
    known = [worker for worker in found if worker is not None]
    return next((worker for worker in known if worker.alive), known[-1] if known else None)


def _worker(pid: int | None, host: str | None, started: int | None) -> Worker | None:
    if pid is None or pid < 1 or host is None:
        return None
    alive = is_running(pid, started) if host == socket.gethostname() else None
    return Worker(pid, host, started, alive)
