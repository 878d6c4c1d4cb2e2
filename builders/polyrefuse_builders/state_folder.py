"""The folder with what a build remembers: made, locked, and cleared of what a killed build left."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from polyrefuse.atomic import remove_partials
from polyrefuse.errors import DatasetError
from polyrefuse.run_lock import LOCK, hold_lock


@contextmanager
def open_state(state: Path) -> Iterator[Path]:
    """Hold the state folder of a build until the block ends.

    Raises:
        DatasetError: it cannot be made or written, or is a folder of something else.
        RunDirectoryError: another build uses it; says which.
    """
    with ExitStack() as stack:
        try:
            _require_no_other(state)
            state.mkdir(parents=True, exist_ok=True)
            stack.enter_context(hold_lock(state))
            remove_partials(state)
        except OSError as error:
            raise DatasetError(
                f"{state}: the folder for what a build remembers cannot be written "
                f"({error.strerror or error}).",
                "Free some space, or name another folder with --state or --out.",
            ) from error
        yield state


def _require_no_other(folder: Path) -> None:
    """Raise unless the folder is new, empty, or of a build, whose lock file stays in it."""
    if folder.is_dir() and not (folder / LOCK).exists():
        others = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
        if others:
            raise DatasetError(
                f"{folder}: is not empty and is no folder of a build (it holds {others[0]}).",
                "Name another folder with --state or --out.",
            )
