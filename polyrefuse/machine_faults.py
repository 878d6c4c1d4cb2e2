"""Faults of this machine behind the errors of libraries: no file handles, memory or disk left.

They say nothing of the text or the service that is being asked. So they end a run, which resumes,
and are never recorded as what became of a text.
"""

import errno
import os

OURS = frozenset(
    {
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ENOBUFS,
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.EIO,
    }
)
REMEDY = "Mend that on this machine, then run the same command again: it resumes."


def machine_fault(error: BaseException | None) -> str | None:
    """Return what this machine lacks, if that is what lies behind `error`; else None.

    Looks through the errors that it was raised from or while handling.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, MemoryError):
            return os.strerror(errno.ENOMEM)
        if isinstance(error, OSError) and error.errno in OURS:
            return os.strerror(error.errno)
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None
