"""Dataset folders on disk: README.md, data/<language>/<split>.jsonl, errata.jsonl.

Reading takes a line at a time and names file and line of what is wrong; writing is deterministic,
so that the same rows give the same bytes. Knows nothing of the Hub.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from polyrefuse.errors import DatasetError, first_problem
from polyrefuse.invariants import Erratum
from polyrefuse.languages import LANGUAGES, parse_languages
from polyrefuse.plain_file import plain
from polyrefuse.prompts import SPLITS, Prompt
from polyrefuse.row_index import RowIndex

Model = TypeVar("Model", bound=BaseModel)

MAX_LINE_MIB = 16
"""Longest line of a JSON Lines file that is read: a line must fit into memory, a file need not."""


def require_dataset_folder(folder: Path) -> None:
    """Raise `DatasetError` unless `folder` looks like a dataset folder."""
    if not folder.is_dir():
        raise DatasetError(
            f"{folder}: no such dataset folder.",
            "Name a folder made by 'polyrefuse data export' or 'polyrefuse build', or a Hub id.",
        )
    if not (folder / "README.md").is_file():
        raise DatasetError(
            f"{folder}: README.md is missing, so its configs and features are not declared.",
            "Use a folder made by 'polyrefuse data export' or 'polyrefuse build', or add the card.",
        )
    if not (folder / "data").is_dir():
        raise DatasetError(
            f"{folder}: there is no folder data/ with <language>/<split>.jsonl files.",
            "Name the dataset folder itself, or make one with 'polyrefuse data export DIR'.",
        )


def folder_languages(folder: Path) -> list[str]:
    """Return the language codes that `folder` has data for, sorted.

    Raises:
        DatasetError: a folder under data/ is no known language, or there is none.
    """
    require_dataset_folder(folder)
    names = sorted(path.name for path in (folder / "data").iterdir() if path.is_dir())
    unknown = [name for name in names if name not in LANGUAGES]
    if unknown:
        raise DatasetError(
            f"{folder / 'data' / unknown[0]}: {unknown[0]!r} is no known language.",
            "Folders under data/ are named by ISO 639-1 code; new ones go into languages.py.",
        )
    if not names:
        raise DatasetError(f"{folder / 'data'}: holds no language.", "Build the dataset again.")
    return names


def read_prompts(
    folder: Path, languages: Iterable[str] | None = None, splits: Iterable[str] | None = None
) -> list[Prompt]:
    """Return the rows of `folder` as a list; see `iter_prompts` for what and in which order."""
    return list(iter_prompts(folder, languages, splits))


def iter_prompts(
    folder: Path, languages: Iterable[str] | None = None, splits: Iterable[str] | None = None
) -> Iterator[Prompt]:
    """Yield the rows of `folder`, by language, split and line; see `iter_lines`."""
    return (row for row, _ in iter_lines(folder, languages, splits))


def iter_lines(
    folder: Path, languages: Iterable[str] | None = None, splits: Iterable[str] | None = None
) -> Iterator[tuple[Prompt, bytes]]:
    """Yield the rows of `folder` and their lines as they stand, by language, split and line.

    One line is in memory at a time.

    Args:
        folder: a dataset folder.
        languages: ISO 639-1 codes; all that the folder has by default.
        splits: split names; all that a language has by default.

    Raises:
        DatasetError: a folder, file or line cannot be used; names file, line and field.
    """
    available = folder_languages(folder)
    wanted = available if languages is None else parse_languages(languages)
    for language in wanted:
        if language not in available:
            raise DatasetError(
                f"{folder}: has no language {language!r}.", f"It has {', '.join(available)}."
            )
    for language in wanted:
        _refuse_stray_files(folder / "data" / language)
        empty = True
        for split in SPLITS if splits is None else splits:
            path = folder / "data" / language / f"{split}.jsonl"
            if not path.is_file():
                if splits is None:
                    continue
                raise DatasetError(
                    f"{path}: split {split!r} is missing for language {language!r}.",
                    f"Splits are {', '.join(SPLITS)}; build the dataset again.",
                )
            for number, line, row in _parsed_lines(path, Prompt):
                if (row.language, row.split) != (language, split):
                    raise DatasetError(
                        f"{path}, line {number}: row says {row.language}/{row.split}, "
                        f"the file is {language}/{split}.",
                        "Move the row to the file of its language and split.",
                    )
                empty = False
                yield row, line
        if splits is None and empty:
            raise DatasetError(
                f"{folder / 'data' / language}: holds no rows.",
                "Build the dataset again, or remove the folder of that language.",
            )


def data_size(folder: Path) -> int:
    """Return the bytes of the files that `iter_lines` reads, for a progress bar."""
    return sum(
        path.stat().st_size
        for language in folder_languages(folder)
        for path in (folder / "data" / language).glob("*.jsonl")
    )


def _refuse_stray_files(folder: Path) -> None:
    """Raise `DatasetError` for a .jsonl file that is no split: its rows would vanish in silence."""
    for path in sorted(folder.glob("*.jsonl")):
        if path.stem not in SPLITS:
            raise DatasetError(
                f"{path}: {path.stem!r} is no split.", f"Splits are {', '.join(SPLITS)}; rename it."
            )


def read_errata(folder: Path) -> list[Erratum]:
    """Read ``errata.jsonl`` of `folder`; a folder without one has no errata."""
    path = folder / "errata.jsonl"
    return [erratum for _, erratum in read_jsonl(path, Erratum)] if path.is_file() else []


def read_jsonl(path: Path, model: type[Model]) -> Iterator[tuple[int, Model]]:
    """Yield (line number, row) of a JSON Lines file, each row checked against `model`.

    Raises:
        DatasetError: a line is not UTF-8, not JSON, does not fit, or is longer than `MAX_LINE_MIB`;
            names file, line and field.
    """
    return ((number, row) for number, _, row in _parsed_lines(path, model))


def _parsed_lines(path: Path, model: type[Model]) -> Iterator[tuple[int, bytes, Model]]:
    """Yield line number, line without its end, and row."""
    for number, line in _lines(path):
        try:
            row = model.model_validate_json(line)
        except ValidationError as error:
            raise _unreadable(f"{path}, line {number}", line, error) from error
        yield number, line, row


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (line number, line without its end) of the lines of a file that are not blank."""
    most = MAX_LINE_MIB * 2**20
    try:
        with plain(path).open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(most + 1), b""), start=1):
                if len(line) > most:
                    raise DatasetError(
                        f"{path}, line {number}: is longer than {MAX_LINE_MIB} MiB.",
                        "JSON Lines have one row a line: put each row on its own, or remove it.",
                    )
                if line.strip():
                    yield number, line.rstrip(b"\r\n")
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}).") from error


def _unreadable(where: str, line: bytes, error: ValidationError) -> DatasetError:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as wrong:
        return DatasetError(
            f"{where}: byte {wrong.start + 1} is not UTF-8.", "Save the file as UTF-8."
        )
    problem = first_problem(error, "row").replace("at line 1 column", "at column")
    return DatasetError(f"{where}: {problem}.", "Correct that line.")


def write_prompts(folder: Path, prompts: Sequence[Prompt]) -> None:
    """Write rows to ``data/<language>/<split>.jsonl`` under `folder`, in the given order."""
    files: dict[Path, list[Prompt]] = defaultdict(list)
    for row in prompts:
        files[folder / "data" / row.language / f"{row.split}.jsonl"].append(row)
    for path, rows in files.items():
        write_jsonl(path, rows)


def write_jsonl(path: Path, rows: Iterable[BaseModel]) -> None:
    """Write one JSON object a line, UTF-8, keys in schema order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(row.model_dump(mode="json"), ensure_ascii=False) + "\n")


def content_digest(prompts: Iterable[Prompt]) -> str:
    """Return the sha256 of what an evaluation reads: language, split, label, id and prompt.

    Independent of row order and of provenance, so two folders with the same prompts agree. The
    digest is that of ``json.dumps`` of the sorted list of these five; rows are sorted on disk.

    Raises:
        DatasetError: there is no room for temporary files.
    """
    with RowIndex() as index:
        for _ in index.keep(prompts):
            pass
        return index.content_digest()
