"""Write a dataset folder of its own: the packaged sample, or any other, checked as it is copied.

The copy takes its name once every row has passed. One row is in memory at a time.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from polyrefuse.atomic import whole_folder
from polyrefuse.check import CheckReport, check_prompts
from polyrefuse.dataset import SAMPLE_FOLDER
from polyrefuse.errors import AnswerIsNo, DatasetError
from polyrefuse.folder import iter_lines, read_errata
from polyrefuse.progress import count_bytes
from polyrefuse.prompts import Prompt


def export_sample(folder: Path) -> int:
    """Copy the packaged sample to `folder`; return the number of files. See `export_dataset`."""
    export_dataset(folder)
    return sum(1 for path in folder.rglob("*") if path.is_file())


def export_dataset(
    folder: Path,
    dataset: Path = SAMPLE_FOLDER,
    advance: Callable[[int], None] | None = None,
) -> CheckReport:
    """Copy the card, the rows and the errata of a dataset folder to `folder`, line by line.

    Args:
        folder: where to write; must be new or empty.
        dataset: the dataset folder to copy.
        advance: called with the bytes read since it was last called.

    Returns:
        What the check of the copied rows found.

    Raises:
        DatasetError: `dataset` cannot be read; `folder` is not empty, lies inside `dataset` or
            cannot be written. Nothing stays in `folder` then.
        AnswerIsNo: a violation is not listed in the errata. Nothing stays in `folder` then.
    """
    _require_apart(folder, dataset)
    with _write_errors_named(folder):
        if folder.exists() and not folder.is_dir():
            raise DatasetError(f"{folder}: is a file, not a folder.", "Name a new folder.")
        if folder.exists() and any(folder.iterdir()):
            raise DatasetError(f"{folder}: exists and is not empty.", "Name a new folder.")
        with whole_folder(folder.resolve()) as fresh:
            errata = read_errata(dataset)
            rows = count_bytes(iter_lines(dataset), advance)
            report = check_prompts(_copied(rows, fresh / "data"), errata)
            if not report.ok:
                raise AnswerIsNo(
                    f"{dataset}: violations not listed in errata.jsonl: {len(report.unlisted)}; "
                    f"the first: {report.unlisted[0]}.",
                    "Nothing was exported.",
                )
            for name in ("errata.jsonl", "README.md"):
                if (dataset / name).is_file():
                    shutil.copyfile(dataset / name, fresh / name)
    return report


def _copied(rows: Iterator[tuple[Prompt, bytes]], data: Path) -> Iterator[Prompt]:
    """Write each line to the file of its language and split under `data` as it passes."""
    place: tuple[str, str] | None = None
    with ExitStack() as opened:
        file: BinaryIO
        for row, line in rows:
            if (row.language, row.split) != place:  # rows come file by file
                opened.close()
                place = (row.language, row.split)
                path = data / row.language / f"{row.split}.jsonl"
                path.parent.mkdir(parents=True, exist_ok=True)
                file = opened.enter_context(path.open("wb"))
            file.write(line + b"\n")
            yield row


def _require_apart(folder: Path, dataset: Path) -> None:
    """Raise `DatasetError` where the copy would lie in the folder that is copied."""
    if dataset.resolve() in (folder.resolve(), *folder.resolve().parents):
        raise DatasetError(
            f"{folder}: lies in the dataset folder {dataset} itself.", "Name a folder elsewhere."
        )


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
