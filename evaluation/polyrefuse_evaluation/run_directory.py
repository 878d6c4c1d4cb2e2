"""A run directory: settings, append-only records, and how a run is resumed.

Records are written a batch at a time, in one write that is flushed to disk. After a kill, a batch
that is not whole in both files is dropped and done again; everything before it is kept. Several
processes each append to files of their own, which the next `recover` brings together. A directory
is mode 0700, locked while in use, and refuses settings other than its own.
"""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from polyrefuse.atomic import remove_partials, whole_file
from polyrefuse.errors import RunDirectoryError
from polyrefuse.observing import observed
from polyrefuse.outcomes import Outcome
from polyrefuse.outside_json import parse_json
from polyrefuse.plain_file import require_own_files
from polyrefuse.prompts import Label
from polyrefuse.redaction import redact_values
from polyrefuse.run_lock import LOCK, hold_lock
from polyrefuse_evaluation.input_files import InputFiles
from polyrefuse_evaluation.record_batches import (
    Row,
    Stretch,
    joined,
    read_stretches,
    whole_batches,
)
from polyrefuse_evaluation.record_lines import append_lines, is_torn, whole_lines

SETTINGS, RESULT = "settings.json", "result.json"
COMPLETIONS, JUDGEMENTS = "completions.jsonl", "judgements.jsonl"
SELECTION, DIRECTIONS = "selection.jsonl", "directions.safetensors"
WORKERS = "workers"
"""Folder of the files of processes other than the first, named ``RANK.FILE``."""

Record = TypeVar("Record", bound=BaseModel)


class CompletionRecord(BaseModel):
    """One line of ``completions.jsonl``: one prompt under one condition.

    `completion` is None with ``--no-store-completions``; `sha256` is of its UTF-8 text always.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    condition: str
    language: str
    label: Label
    id: str
    batch: int
    completion: str | None
    sha256: str
    tokens: int
    finished: bool


class JudgementRecord(BaseModel):
    """One line of ``judgements.jsonl``: one judge's verdict on one completion.

    `reasoning` says that the answer held reasoning, which no judge reads.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    condition: str
    language: str
    label: Label
    id: str
    batch: int
    judge: str
    outcome: Outcome
    score: float | None
    response_language: str | None
    reason: str
    reasoning: bool = False


@contextmanager
def io_errors(path: Path) -> Iterator[None]:
    """Turn a full disk or a read-only folder into a one-line error."""
    try:
        yield
    except OSError as error:
        raise RunDirectoryError(
            f"{path}: cannot be written ({error.strerror or error}).",
            "Free some space or choose another folder with --out, then run the command again: "
            "it resumes.",
        ) from error


class RunDirectory:
    """One run on disk. Use `open_run_directory`, or `join` in processes other than the first."""

    def __init__(self, path: Path, worker: int = 0) -> None:
        self.path = path
        self.worker = worker
        self._inputs: list[InputFiles] = []

    def join(self, worker: int) -> "RunDirectory":
        """Return the run as another process writes to it: what it appends goes to its own files."""
        return RunDirectory(self.path, worker)

    def watch(self, *inputs: InputFiles) -> None:
        """Name the files that the run reads, as they were before they were read."""
        self._inputs += inputs

    def require_inputs(self) -> None:
        """Call before what was made of the inputs is kept.

        Raises:
            RunDirectoryError: an input was changed since the run began; names the file.
        """
        for files in self._inputs:
            files.require_unchanged()

    def write_text(self, name: str, text: str) -> None:
        """Write a whole file atomically."""
        self.write_pieces(name, [text.encode("utf-8")])

    def write_pieces(self, name: str, pieces: Iterable[bytes]) -> None:
        """Write a whole file atomically, a piece at a time."""
        target = self.path / name
        with io_errors(target), whole_file(target) as partial, partial.open("wb") as stream:
            stream.writelines(pieces)

    def append(self, name: str, rows: Sequence[BaseModel]) -> None:
        """Append rows in one write, flushed to disk."""
        data = "".join(row.model_dump_json() + "\n" for row in rows).encode("utf-8")
        path = self.path / name
        if self.worker:
            path = self.path / WORKERS / f"{self.worker}.{name}"
            with io_errors(path):
                path.parent.mkdir(exist_ok=True)
        with io_errors(path):
            append_lines(path, data)

    def read(self, name: str, model: type[Record]) -> list[Record]:
        """Read the whole lines of an append-only file; torn lines are not among them."""
        return list(self.scan(name, model))

    def scan(self, name: str, model: type[Record]) -> Iterator[Record]:
        """Yield the rows of an append-only file, one at a time; see `read`."""
        return (row for _, _, row in self._scan_file(self.path / name, model))

    def _scan_file(self, path: Path, model: type[Record]) -> Iterator[tuple[int, int, Record]]:
        """Yield (first byte, byte after the last, row) of each whole line."""
        if not path.is_file():
            return
        end = 0
        for number, line in whole_lines(path):
            start, end = end, end + len(line) + 1
            try:
                row = model.model_validate_json(line)
            except ValidationError as error:
                if is_torn(line):
                    continue
                raise RunDirectoryError(
                    f"{path}, line {number}: not a record of this version.",
                    "Start a new run directory with --out.",
                ) from error
            yield start, end, row

    def recover(self, sizes: Sequence[int], judges: int = 1) -> set[int]:
        """Bring the files of all processes together and drop what a kill left half done.

        Args:
            sizes: number of completions of each planned batch.
            judges: number of judgements that each completion gets.

        Returns:
            The batches that are whole.
        """
        completions = self._whole(COMPLETIONS, CompletionRecord, sizes, 1)
        judgements = self._whole(JUDGEMENTS, JudgementRecord, sizes, judges)
        whole = completions.keys() & judgements.keys()
        self._keep(COMPLETIONS, [x for batch in sorted(whole) for x in completions[batch]])
        self._keep(JUDGEMENTS, [x for batch in sorted(whole) for x in judgements[batch]])
        with io_errors(self.path / WORKERS):
            for path in self._worker_files("*"):
                path.unlink()
        return set(whole)

    def _worker_files(self, name: str) -> list[Path]:
        return sorted((self.path / WORKERS).glob(f"*.{name}"))

    def _files(self, name: str) -> list[Path]:
        return [self.path / name, *self._worker_files(name)]

    def _whole(
        self,
        name: str,
        model: type[CompletionRecord] | type[JudgementRecord],
        sizes: Sequence[int],
        each: int,
    ) -> dict[int, list[Stretch]]:
        """Return where each whole batch stands, in the files of all processes."""
        rows = (
            (Row(start, end, row.batch, _identity(row)) for start, end, row in found)
            for path in self._files(name)
            for found in [self._scan_file(path, model)]
        )
        return whole_batches(rows, sizes, each)

    def _keep(self, name: str, stretches: Sequence[Stretch]) -> None:
        """Write stretches as one file, unless it is them already."""
        path, parts = self.path / name, joined(stretches)
        size = path.stat().st_size if path.is_file() else 0
        if parts != [Stretch(0, 0, size)] * (size > 0):
            with io_errors(path):
                self.write_pieces(name, read_stretches(self._files(name), parts))

    def rewrite(self, name: str, rows: Sequence[BaseModel]) -> None:
        """Write an append-only file anew, if it holds anything else than these rows."""
        data = "".join(row.model_dump_json() + "\n" for row in rows)
        path = self.path / name
        if data.encode("utf-8") != (path.read_bytes() if path.is_file() else b""):
            self.write_text(name, data)


def _identity(row: BaseModel) -> tuple[object, ...]:
    names = ("condition", "language", "id", "judge")
    return tuple(getattr(row, name, None) for name in names)


@contextmanager
def open_run_directory(
    path: Path, settings: dict[str, Any], stages: Sequence[str] = ()
) -> Iterator[RunDirectory]:
    """Create or resume a run directory, locked and logged until the block ends.

    Args:
        path: the directory.
        settings: everything that decides the figures; JSON values.
        stages: what the run does, in order, as its log names it.

    Raises:
        RunDirectoryError: it cannot be written, another process has it, or it was made with other
            settings (the differences are named).
    """
    require_own_files(path)
    settings = redact_values(settings)
    with io_errors(path):
        if not (path / LOCK).exists():  # a folder that is somebody else's stays as it is
            _require_same_run(path, settings)
        path.mkdir(parents=True, exist_ok=True)
        if path.stat().st_uid == os.getuid():
            path.chmod(0o700)
    with ExitStack() as stack:
        with io_errors(path / LOCK):
            stack.enter_context(hold_lock(path))
            remove_partials(path)
        run = RunDirectory(path)
        if not _require_same_run(path, settings):
            text = json.dumps(settings, indent=2, ensure_ascii=False, sort_keys=True)
            run.write_text(SETTINGS, text + "\n")
        stack.enter_context(observed(path, stages))
        yield run


def _require_same_run(folder: Path, settings: dict[str, Any]) -> bool:
    """Raise unless `folder` is a run of these settings or none yet; say whether it is one."""
    path = folder / SETTINGS
    if not path.is_file():
        names = [p.name for p in folder.iterdir()] if folder.is_dir() else []
        others = [name for name in names if not name.startswith(".")]
        if others:
            raise RunDirectoryError(
                f"{folder}: is not empty and is no run directory (it holds {others[0]}).",
                "Choose another folder with --out.",
            )
        return False
    try:
        before = parse_json(path.read_text(encoding="utf-8"))
        if not isinstance(before, dict):
            raise ValueError("no object")
    except (ValueError, OSError) as error:
        raise RunDirectoryError(f"{path}: is not valid JSON.", "Choose another folder.") from error
    differences = [
        f"{key}: {before.get(key)!r} there, {settings.get(key)!r} now"
        for key in sorted({*before, *settings})
        if before.get(key) != settings.get(key)
    ]
    if differences:
        raise RunDirectoryError(
            f"{folder}: was made with other settings ({'; '.join(differences)}).",
            "Use the same settings to resume, or another folder with --out.",
        )
    return True
