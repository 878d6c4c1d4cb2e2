"""Activations on disk: one memory-mapped .npy file for each language and label.

Shape (positions, layers, prompts, hidden), float32 (bfloat16 has no place in .npy and float16 ends
at 65,504, which some models' activations pass), so that the prompts of one place lie together and
an analysis holds one place in memory at a time. A file appears under its name only when it is
whole. Knows nothing of models.
"""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polyrefuse.atomic import whole_file
from polyrefuse.errors import RunDirectoryError
from polyrefuse_evaluation.run_directory import io_errors

FOLDER = "activations"

Batch = tuple[list[int], NDArray[np.float32]]
"""Rows of the file, and their activations (rows, positions, layers, hidden)."""


class ActivationStore:
    """The activations of a run.

    Args:
        folder: the run directory.
        positions: token positions kept, negative from the end, in the order of the files.
        layers: number of layers.
        hidden: width of the residual stream.
    """

    def __init__(self, folder: Path, positions: list[int], layers: int, hidden: int) -> None:
        self.folder = folder / FOLDER
        self.positions = positions
        self.layers = layers
        self.hidden = hidden

    def path(self, language: str, label: str) -> Path:
        """Return the file of one language and label."""
        return self.folder / f"{language}-{label}.npy"

    def has(self, language: str, label: str, prompts: int) -> bool:
        """Whether the activations of this many prompts are there, whole.

        Raises:
            RunDirectoryError: the file is there and is not what this run needs.
        """
        path = self.path(language, label)
        if not path.is_file():
            return False
        wanted = (len(self.positions), self.layers, prompts, self.hidden)
        found = _load(path)
        if found.shape != wanted or found.dtype != np.float32:
            raise RunDirectoryError(
                f"{path}: has shape {found.shape}, this run needs {wanted}.",
                "Remove it, or choose another folder with --out.",
            )
        return True

    def write(self, language: str, label: str, prompts: int, batches: Iterable[Batch]) -> None:
        """Write one file from batches in any order; nothing is left under its name on failure.

        Raises:
            RunDirectoryError: no space, or the folder cannot be written.
            ValueError: the batches do not cover all rows.
        """
        target = self.path(language, label)
        with io_errors(target):
            self.folder.mkdir(parents=True, exist_ok=True)
        shape = (len(self.positions), self.layers, prompts, self.hidden)
        self._require_space(4 * int(np.prod(shape)))
        seen: set[int] = set()
        with io_errors(target), whole_file(target) as partial:
            array = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float32, shape=shape)
            _reserve(partial)
            for rows, values in batches:
                array[:, :, rows] = values.transpose(1, 2, 0, 3)
                seen.update(rows)
            if seen != set(range(prompts)):
                raise ValueError(f"{len(seen)} of {prompts} rows were written")
            array.flush()
            del array

    def _require_space(self, size: int) -> None:
        status = os.statvfs(self.folder)
        free = status.f_bavail * status.f_frsize
        if free < size:  # a full disk under a memory map is a bus error, not an exception
            raise RunDirectoryError(
                f"{self.folder}: the next activations need {size / 2**20:.0f} MiB and "
                f"{free / 2**20:.0f} MiB are free.",
                "Free some space, or choose another folder with --out.",
            )

    def read(self, language: str, label: str, position: int, layer: int) -> NDArray[np.float32]:
        """Return the activations of one place, (prompts, hidden), copied out of the map."""
        array = _load(self.path(language, label))
        return np.array(array[self.positions.index(position), layer])


def _reserve(path: Path) -> None:
    """Take the file's blocks now: a disk that fills up later would be a bus error, too."""
    with path.open("r+b") as stream:
        os.posix_fallocate(stream.fileno(), 0, os.fstat(stream.fileno()).st_size)


def _load(path: Path) -> NDArray[np.float32]:
    """Return the array in a file, mapped into memory: never a pickle, never an archive.

    Raises:
        RunDirectoryError: it holds no whole array.
    """
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # numpy reads its headings with Python's own parser
        problem = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise RunDirectoryError(
            f"{path}: is no whole array ({problem}).", "Remove it; the run makes it again."
        ) from error
    if not isinstance(found, np.ndarray):
        raise RunDirectoryError(f"{path}: is an archive, no array.", "Remove it.")
    return found
