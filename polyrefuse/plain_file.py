"""Plain files only: a pipe never ends, a device has no size, a link leads out of the folder.

Reading follows links (the Hub's cache is made of them); writing into a folder does not.
"""

import errno
from collections.abc import Iterable
from pathlib import Path

from polyrefuse.errors import PolyRefuseError


def plain(path: Path) -> Path:
    """Return `path`, links followed, if it is a plain file or not there at all.

    Raises:
        OSError: it is a folder, a pipe, a socket or a device; `strerror` says so.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "is no plain file", str(path))
    return path


def require_replaceable(path: Path | None, begin: str) -> None:
    """Refuse an output that would take the place of a file of another kind: call before the work.

    Args:
        path: where it is to be written; nothing need be there.
        begin: how every file of this kind begins.

    Raises:
        PolyRefuseError: a file is there that is not empty and begins otherwise.
        OSError: it cannot be read.
    """
    if path is None or not path.is_file():
        return
    with path.open("rb") as stream:
        found = stream.read(len(begin.encode()))
    if found and found != begin.encode():
        raise PolyRefuseError(
            f"{path}: is a file of another kind, which would be lost.",
            "Name another file, or remove it.",
        )


def require_own_files(folder: Path, names: Iterable[str] | None = None) -> None:
    """Refuse to write into a folder where what is written would go elsewhere, or wait for ever.

    Args:
        folder: a folder, which may be a link itself; it need not exist.
        names: what will be written, relative; everything that is there by default.

    Raises:
        PolyRefuseError: a link, a pipe or a socket stands there; names it.
    """
    found = folder.rglob("*") if names is None else (folder / name for name in names)
    for path in found:
        parents = (path, *(folder / part for part in path.relative_to(folder).parents))
        for place in parents:
            if place != folder and place.is_symlink() and not place.is_char_device():
                raise PolyRefuseError(
                    f"{place}: is a link, and what is written there would go elsewhere.",
                    "Put the file or folder itself there, or name another folder.",
                )
            if place.is_fifo() or place.is_socket():
                raise PolyRefuseError(
                    f"{place}: is no plain file.", "Remove it, or name another folder."
                )
