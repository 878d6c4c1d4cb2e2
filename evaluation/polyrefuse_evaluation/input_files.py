"""The files that a run reads, and whether they are still what they were when it began.

Weights may stay mapped from their files for as long as a run lasts, and several steps or processes
read the same folder at different times: figures of two versions must never meet in one result.
Size, time of change and file number are compared, at every batch; whether the *content* is another
is for the digests in ``settings.json`` to say when the run is resumed.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from polyrefuse.errors import RunDirectoryError

CHECKPOINT = (".safetensors", ".json", ".jinja", ".model", ".txt", ".py")
"""Endings of the files that a checkpoint folder is loaded from."""

State = tuple[int, int, int]
"""Size, time of change in ns, and file number; all 0 where there is no file."""


@dataclass(frozen=True)
class InputFiles:
    """Files as they were when this was made; empty for what is not a folder on this machine."""

    files: dict[Path, State] = field(default_factory=dict)

    def require_unchanged(self) -> None:
        """Raise if a file is another than it was.

        Raises:
            RunDirectoryError: names the first file that was changed, replaced or removed.
        """
        for path, before in self.files.items():
            now = _state(path)
            if now != before:
                what = "changed" if now != _ABSENT else "removed"
                raise RunDirectoryError(
                    f"{path}: was {what} while the run was going on; what came after was not kept.",
                    "Put it back as it was and run the same command again: it resumes. For the new "
                    "version choose another folder with --out.",
                )


_ABSENT: State = (0, 0, 0)


def watch(paths: Iterable[Path]) -> InputFiles:
    """Return the present state of files."""
    return InputFiles({path: _state(path) for path in paths})


def checkpoint_files(name: str) -> list[Path]:
    """Return the files of a checkpoint folder, sorted; none for a Hub id."""
    folder = Path(name)
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix in CHECKPOINT)


def checkpoint_digest(name: str) -> str | None:
    """Return the sha256 over names and contents of a checkpoint folder; None for a Hub id."""
    files = checkpoint_files(name)
    if not files:
        return None
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as stream:
            own = hashlib.file_digest(stream, "sha256").hexdigest()
        digest.update(f"{path.name} {own}\n".encode())
    return "sha256:" + digest.hexdigest()


def _state(path: Path) -> State:
    try:
        found = path.stat()
    except OSError:
        return _ABSENT
    return found.st_size, found.st_mtime_ns, found.st_ino
