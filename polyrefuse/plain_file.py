"""Only plain files are read: a pipe would never end, a device has no size."""

import errno
from pathlib import Path


def plain(path: Path) -> Path:
    """Return `path`, links followed, if it is a plain file or not there at all.

    Raises:
        OSError: it is a folder, a pipe, a socket or a device; `strerror` says so.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "is no plain file", str(path))
    return path
