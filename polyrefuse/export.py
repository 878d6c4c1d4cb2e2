"""Write the packaged sample as a dataset folder of its own."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from polyrefuse.atomic import whole_folder
from polyrefuse.dataset import SAMPLE_FOLDER
from polyrefuse.errors import DatasetError


def export_sample(folder: Path) -> int:
    """Copy the sample's card and data to `folder`; return the number of files.

    Raises:
        DatasetError: the folder is not empty, or cannot be written; then nothing stays in it.
    """
    with _write_errors_named(folder):
        if folder.exists() and not folder.is_dir():
            raise DatasetError(f"{folder}: is a file, not a folder.", "Name a new folder.")
        if folder.exists() and any(folder.iterdir()):
            raise DatasetError(f"{folder}: exists and is not empty.", "Name a new folder.")
        with whole_folder(folder.resolve()) as fresh:
            shutil.copytree(SAMPLE_FOLDER / "data", fresh / "data")
            shutil.copy(SAMPLE_FOLDER / "README.md", fresh / "README.md")
    return sum(1 for path in folder.rglob("*") if path.is_file())


@contextmanager
def _write_errors_named(folder: Path) -> Iterator[None]:
    """Turn an `OSError` into a `DatasetError` that names the folder and the reason."""
    try:
        yield
    except shutil.Error as error:  # copytree collects (source, target, reason)
        raise _not_writable(folder, str(error.args[0][0][2])) from error
    except OSError as error:
        raise _not_writable(folder, error.strerror or str(error)) from error


def _not_writable(folder: Path, reason: str) -> DatasetError:
    return DatasetError(
        f"{folder}: cannot be written ({reason}).", "Free space, or name another folder."
    )
