"""The folder with what a build remembers: made, locked, and cleared of what a killed build left."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from polyrefuse.atomic import remove_partials
from polyrefuse.errors import DatasetError
from polyrefuse.run_lock import hold_lock


@contextmanager
def open_state(state: Path) -> Iterator[Path]:
    """Hold the state folder of a build until the block ends.

    Raises:
        DatasetError: it cannot be made or written.
        RunDirectoryError: another build uses it; says which.
    """
    with ExitStack() as stack:
        try:
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
