"""A run directory: settings, append-only records, and how a run is resumed.

Records are written a batch at a time, in one write that is flushed to disk. After a kill, a batch
that is not whole in both files is dropped and done again; everything before it is kept. Several
processes each append to files of their own, which the next `recover` brings together. A directory
is mode 0700, locked while in use, and refuses settings other than its own.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from polyrefuse.atomic import remove_partials, write_whole
from polyrefuse.errors import RunDirectoryError
from polyrefuse.outcomes import Outcome
from polyrefuse.outside_json import parse_json
from polyrefuse.plain_file import require_no_links
from polyrefuse.prompts import Label
from polyrefuse.redaction import redact_values
from polyrefuse.run_lock import LOCK, hold_lock
from polyrefuse_evaluation.input_files import InputFiles
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
        target = self.path / name
        with io_errors(target):
            write_whole(target, text)

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
        return self._read_file(self.path / name, model)

    def _read_file(self, path: Path, model: type[Record]) -> list[Record]:
        if not path.is_file():
            return []
        rows = []
        for number, line in whole_lines(path):
            try:
                rows.append(model.model_validate_json(line))
            except ValidationError as error:
                if is_torn(line):
                    continue
                raise RunDirectoryError(
                    f"{path}, line {number}: not a record of this version.",
                    "Start a new run directory with --out.",
                ) from error
        return rows

    def recover(self, sizes: Sequence[int], judges: int = 1) -> set[int]:
        """Bring the files of all processes together and drop what a kill left half done.

        Args:
            sizes: number of completions of each planned batch.
            judges: number of judgements that each completion gets.

        Returns:
            The batches that are whole.
        """
        completions = self._read_all(COMPLETIONS, CompletionRecord)
        judgements = self._read_all(JUDGEMENTS, JudgementRecord)
        whole = _whole(completions, sizes, 1) & _whole(judgements, sizes, judges)
        self._keep(COMPLETIONS, completions, whole)
        self._keep(JUDGEMENTS, judgements, whole)
        with io_errors(self.path / WORKERS):
            for path in self._worker_files("*"):
                path.unlink()
        return whole

    def _worker_files(self, name: str) -> list[Path]:
        return sorted((self.path / WORKERS).glob(f"*.{name}"))

    def _read_all(self, name: str, model: type[Record]) -> list[Record]:
        """Return the rows of all processes, each once: a kill may leave some in two files."""
        files = [self.path / name, *self._worker_files(name)]
        rows = {_identity(row): row for path in files for row in self._read_file(path, model)}
        return list(rows.values())

    def _keep(
        self, name: str, rows: Sequence[CompletionRecord | JudgementRecord], whole: set[int]
    ) -> None:
        """Write the rows of whole batches, in order of their batches, unless they are there."""
        kept = sorted((row for row in rows if row.batch in whole), key=lambda row: row.batch)
        self.rewrite(name, kept)

    def rewrite(self, name: str, rows: Sequence[BaseModel]) -> None:
        """Write an append-only file anew, if it holds anything else than these rows."""
        data = "".join(row.model_dump_json() + "\n" for row in rows)
        path = self.path / name
        if data.encode("utf-8") != (path.read_bytes() if path.is_file() else b""):
            self.write_text(name, data)


def _identity(row: BaseModel) -> tuple[object, ...]:
    names = ("condition", "language", "id", "judge")
    return tuple(getattr(row, name, None) for name in names)


def _whole(
    rows: Sequence[CompletionRecord | JudgementRecord], sizes: Sequence[int], each: int
) -> set[int]:
    counts = Counter(row.batch for row in rows)
    return {batch for batch, n in counts.items() if batch < len(sizes) and n == each * sizes[batch]}


@contextmanager
def open_run_directory(path: Path, settings: dict[str, Any]) -> Iterator[RunDirectory]:
    """Create or resume a run directory, locked until the block ends.

    Args:
        path: the directory.
        settings: everything that decides the figures; JSON values.

    Raises:
        RunDirectoryError: it cannot be written, another process has it, or it was made with other
            settings (the differences are named).
    """
    with io_errors(path):
        path.mkdir(parents=True, exist_ok=True)
        if path.stat().st_uid == os.getuid():
            path.chmod(0o700)
    require_no_links(path)
    with ExitStack() as stack:
        with io_errors(path / LOCK):
            stack.enter_context(hold_lock(path))
            remove_partials(path)
        run = RunDirectory(path)
        _match_settings(run, settings)
        yield run


def _match_settings(run: RunDirectory, settings: dict[str, Any]) -> None:
    path = run.path / SETTINGS
    settings = redact_values(settings)
    text = json.dumps(settings, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    if not path.is_file():
        others = [p.name for p in run.path.iterdir() if not p.name.startswith(".")]
        if others:
            raise RunDirectoryError(
                f"{run.path}: is not empty and is no run directory (it holds {others[0]}).",
                "Choose another folder with --out.",
            )
        run.write_text(SETTINGS, text)
        return
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
            f"{run.path}: was made with other settings ({'; '.join(differences)}).",
            "Use the same settings to resume, or another folder with --out.",
        )
