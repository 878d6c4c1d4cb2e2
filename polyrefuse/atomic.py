"""Write a file or a folder whole or not at all, whatever ends the process.

What is being written stands beside its target under a fixed name, ``.NAME.partial``, and takes the
target's name once it is on the disk. After SIGKILL it is left there; the next writer of the same
target removes it. Raises plain `OSError`; callers say what it means. Knows nothing of contents.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from polyrefuse.errors import PolyRefuseError
from polyrefuse.plain_file import plain

PARTIAL, OLD = ".partial", ".old"


class BusyError(PolyRefuseError):
    """Another process is writing the same folder."""


def partial_of(target: Path) -> Path:
    """Return the name under which `target` is written before it is whole."""
    return target.with_name(f".{target.name}{PARTIAL}")


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """Yield a path to write to; it becomes `target` when the block ends well, else it goes.

    Raises:
        OSError: it cannot be written, or a folder, pipe or device is there, which renaming would
            replace where it may; what was at `target` is still there.
    """
    partial = partial_of(plain(target))
    try:
        yield partial
        sync(partial)
        partial.replace(target)
    except BaseException:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def write_whole(target: Path, data: str | bytes) -> None:
    """Write `data` to `target`, text as UTF-8; the folder must be there.

    Raises:
        OSError: it cannot be written; what was at `target` is still there.
    """
    with whole_file(target) as partial:
        partial.write_bytes(data.encode("utf-8") if isinstance(data, str) else data)


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder to fill; it replaces `target` when the block ends well, else it goes.

    A folder that a kill left half replaced is put back first.

    Raises:
        OSError: it cannot be written, or `target` is no folder; what was there is still there.
        BusyError: another process is writing `target`.
    """
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "is no folder", str(target))
    partial, old = partial_of(target), target.with_name(f".{target.name}{OLD}")
    held = _hold(partial, target)
    try:
        _clear(partial)
        settle_folder(target)
        yield partial
        for path in sorted(partial.rglob("*")):
            if path.is_file():
                sync(path)
        if target.exists():
            target.rename(old)
        partial.rename(target)
    except BaseException:
        with suppress(OSError):
            if old.exists() and not target.exists():
                old.rename(target)
        shutil.rmtree(partial, ignore_errors=True)
        raise
    finally:
        os.close(held)
    _remove(old)


def settle_folder(target: Path) -> None:
    """End what a kill left of a replacement: the old folder comes back, or goes if it is replaced.

    Raises:
        OSError: it cannot be renamed.
    """
    old = target.with_name(f".{target.name}{OLD}")
    if old.exists() and not target.exists():
        old.rename(target)
    _remove(old)


def remove_partials(folder: Path) -> None:
    """Remove what killed writers left anywhere in `folder`; for its only user.

    Raises:
        OSError: a file cannot be removed.
    """
    for path in sorted(folder.rglob(f".*{PARTIAL}")):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file's contents are on the disk."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _hold(partial: Path, target: Path) -> int:
    """Make `partial`, or take over the one that a kill left, locked while the descriptor is open.

    The lock is on the folder itself, so nothing stays of it.
    """
    import fcntl  # here, so that reading a dataset needs no Unix

    while True:
        partial.mkdir(parents=True, exist_ok=True)
        held = os.open(partial, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(held)
            raise BusyError(
                f"{target}: another process is writing this folder.",
                "Wait for it, or name another folder.",
            ) from error
        except OSError:  # a file system without locks
            return held
        with suppress(FileNotFoundError):
            if os.fstat(held).st_ino == partial.stat().st_ino:
                return held
        os.close(held)  # renamed to the target since it was opened


def _remove(path: Path) -> None:
    if path.is_symlink():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
