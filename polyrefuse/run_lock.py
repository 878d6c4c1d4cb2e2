"""The lock of a run or build directory: one process at a time, and who that is.

``.lock`` is locked with flock and says who holds it: process, host, boot, since when, command. A
process that ends well empties it; one that was killed leaves its record, which the next process
finds stale and takes over, with a word on stderr. The file stays: unlinking a held lock would let
two processes in.

flock is the authority wherever both processes run on one kernel. Of a holder on another host only
the record can be read: whether it still runs cannot be known, so it is never taken for dead. What
this does not know: two hosts of one name, and two that start at the same moment on a network file
system that shows neither locks nor files at once.
"""

import errno
import fcntl
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path

from polyrefuse.errors import RunDirectoryError
from polyrefuse.outside_json import parse_json
from polyrefuse.plain_file import plain

LOCK = ".lock"
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_LONGEST = 65_536
_WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


@dataclass(frozen=True)
class Holder:
    """Who holds a lock.

    Attributes:
        pid: its process id.
        host: name of its machine.
        boot: id of the machine's boot; None where the system has none.
        started: its start, in clock ticks since boot, so that a reused pid is told apart; or None.
        since: when it took the lock, UTC, for people; nothing is decided by it.
        command: what it runs.
    """

    pid: int
    host: str
    boot: str | None
    started: int | None
    since: str
    command: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} (since {self.since}: {self.command})"


def this_process() -> Holder:
    """Return this process as a holder; options are left out of the command: they may hold keys."""
    words = list(takewhile(lambda word: not word.startswith("-"), sys.argv[1:]))
    command = " ".join([Path(sys.argv[0]).name or "python", *words])
    return Holder(
        pid=os.getpid(),
        host=socket.gethostname(),
        boot=_boot(),
        started=start_ticks(os.getpid()),
        since=datetime.now(UTC).isoformat(timespec="seconds"),
        command="".join(c if c.isprintable() else "\ufffd" for c in command)[:200],
    )


def read_holder(folder: Path) -> Holder | None:
    """Return who holds the lock of `folder`, or held it when it was killed; None if nobody did."""
    try:
        with plain(folder / LOCK).open("rb") as stream:
            return _parse(stream.read(_LONGEST))
    except OSError:
        return None


def is_held(folder: Path) -> bool:
    """Whether a living process on this kernel holds the lock of `folder`; changes nothing."""
    try:
        with (folder / LOCK).open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def say(line: str) -> None:
    """Write one line to stderr."""
    sys.stderr.write(f"polyrefuse: {line}\n")


@contextmanager
def hold_lock(folder: Path, announce: Callable[[str], None] = say) -> Iterator[None]:
    """Hold the lock of `folder` until the block ends.

    Args:
        folder: the directory; it must be there.
        announce: told in one line that a stale lock was taken over.

    Raises:
        RunDirectoryError: another process holds it, or one on another host may.
        OSError: the lock file cannot be written.
    """
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _take(folder, descriptor, announce)
        try:
            yield
        finally:
            with suppress(OSError):
                os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _take(folder: Path, descriptor: int, announce: Callable[[str], None]) -> None:
    locked = _flock(descriptor)
    content = os.pread(descriptor, _LONGEST, 0)
    holder = _parse(content)
    if locked is False:
        raise _busy(folder, holder)
    if content:
        _require_stale(folder, holder, bool(locked))
        announce(
            f"{folder}: took over the lock of {holder or 'a process that it does not name'}, "
            "which ended without giving it back."
        )
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(asdict(this_process())).encode(), 0)


def _flock(descriptor: int) -> bool | None:
    """Lock the file; False if another has it, None where the file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _WITHOUT_LOCKS:
            return None
        raise
    return True


def _require_stale(folder: Path, holder: Holder | None, locked: bool) -> None:
    """Raise unless the holder is gone; `locked` says that this process has the flock now."""
    if holder is None:
        if not locked:
            raise _busy(folder, holder)
        return
    boot = _boot()
    one_kernel = holder.boot == boot and (boot is not None or holder.host == socket.gethostname())
    if one_kernel:
        if not locked and is_running(holder.pid, holder.started):
            raise _busy(folder, holder)
    elif holder.host != socket.gethostname():
        raise RunDirectoryError(
            f"{folder}: was taken by {holder}; whether that still runs cannot be seen from here.",
            f"Wait for it; if it is gone, remove {folder / LOCK} and run again.",
        )


def _busy(folder: Path, holder: Holder | None) -> RunDirectoryError:
    who = f": {holder}" if holder else ""
    return RunDirectoryError(
        f"{folder}: another process is writing to this directory{who}.",
        "Wait for it, stop it, or choose another folder with --out.",
    )


def _parse(content: bytes) -> Holder | None:
    """Return who a lock names; None where it is empty, torn, or no record of ours."""
    try:
        holder = Holder(**parse_json(content))
    except (ValueError, TypeError):
        return None
    texts = [holder.host, holder.since, holder.command, holder.boot or ""]
    sound = (
        all(isinstance(text, str) and text.isprintable() for text in texts)
        and type(holder.pid) is int
        and 0 < holder.pid < 2**31
        and (holder.started is None or type(holder.started) is int)
    )
    return holder if sound else None


def _boot() -> str | None:
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return None


def start_ticks(pid: int) -> int | None:
    """Return when a process of this machine started, in clock ticks since boot; or None."""
    try:
        return int(_stat(pid)[19])
    except (OSError, ValueError, IndexError):
        return None


def is_running(pid: int, started: int | None) -> bool:
    """Whether a process is alive on this machine; where processes cannot be looked at, it is.

    Args:
        pid: its id.
        started: its start in clock ticks since boot, if known: another process may have its id now.
    """
    try:
        os.kill(pid, 0)  # asks whether it is there; sends nothing
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return not _is_zombie(pid) and (started is None or start_ticks(pid) in (None, started))


def _is_zombie(pid: int) -> bool:
    try:
        return _stat(pid)[0] == "Z"
    except (OSError, IndexError):
        return False


def _stat(pid: int) -> list[str]:
    """Return what Linux says of a process, from its state on."""
    return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
