"""Write a dataset folder all at once: whole and new, or untouched and old.

Everything is written to a sibling first and then renamed into place. A folder is replaced only if
all it holds is what this function writes, so a wrong path costs nobody their files.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from polyrefuse.atomic import settle_folder, whole_folder
from polyrefuse.errors import DatasetError
from polyrefuse.folder import write_jsonl, write_prompts
from polyrefuse.invariants import Erratum
from polyrefuse.languages import LANGUAGES
from polyrefuse.prompts import SPLITS, Prompt

EXTRA_FILES = (
    "quarantine.jsonl", "LICENSE", "CHANGELOG.md", "upstream.md", "datasheet.md",
    "croissant.json", "eval.yaml",
)  # fmt: skip
"""Files beside README.md, errata.jsonl and data/ that an earlier build may have left."""

LANGUAGE_PAGES = "languages"
"""Folder with one page a language, ``<code>.md``, that `build card` may have left."""


def write_dataset_folder(
    folder: Path,
    prompts: Sequence[Prompt],
    errata: Sequence[Erratum],
    card_text: str,
    extra_files: Mapping[str, str] | None = None,
) -> None:
    """Write ``README.md``, ``data/``, ``errata.jsonl`` and `extra_files` as the folder `folder`.

    Args:
        folder: where to write; missing parents are made, an older dataset folder is replaced.
        prompts: rows, written to ``data/<language>/<split>.jsonl`` in this order.
        errata: known faults; without any there is no ``errata.jsonl``.
        card_text: the README.
        extra_files: further files at the top, name to text.

    Raises:
        DatasetError: `folder` holds other things, or the disk is full or read-only. What was
            there before is then still there.
    """
    folder, extra_files = folder.expanduser().resolve(), extra_files or {}
    if not prompts:
        raise DatasetError(f"{folder}: there are no prompts to write.", "Check the source.")
    with _disk_errors(folder):
        settle_folder(folder)
        _require_replaceable(folder, {*extra_files, *EXTRA_FILES})
        with whole_folder(folder) as fresh:
            write_prompts(fresh, prompts)
            if errata:
                write_jsonl(fresh / "errata.jsonl", errata)
            for name, text in {**extra_files, "README.md": card_text}.items():
                (fresh / name).write_text(text, encoding="utf-8", newline="\n")


def _require_replaceable(folder: Path, extra_files: set[str]) -> None:
    """Raise unless `folder` is absent, empty, or holds nothing but a dataset folder's files."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise DatasetError(f"{folder}: is a file, not a folder.", "Name another folder.")
    foreign = next(_foreign(folder, extra_files), None)
    if foreign is None and any(folder.iterdir()) and not (folder / "README.md").is_file():
        foreign = folder / "data"
    if foreign is not None:
        raise DatasetError(
            f"{folder}: holds {foreign.relative_to(folder)}, so it is not a dataset folder "
            "that may be replaced.",
            "Name an empty or new folder, or clear this one yourself.",
        )


def _foreign(folder: Path, extra_files: set[str]) -> Iterator[Path]:
    """Yield what `folder` holds beside README.md, errata.jsonl, data/ and `extra_files`."""
    for path in sorted(folder.iterdir()):
        if path.is_symlink():
            yield path
        elif path.is_dir():
            if path.name == "data":
                yield from _foreign_data(path)
            elif path.name == LANGUAGE_PAGES:
                pages = {f"{code}.md" for code in LANGUAGES}
                yield from (page for page in sorted(path.iterdir()) if page.name not in pages)
            else:
                yield path
        elif path.name not in extra_files | {"README.md", "errata.jsonl"}:
            yield path


def _foreign_data(data: Path) -> Iterator[Path]:
    files = {f"{split}.jsonl" for split in SPLITS}
    for path in sorted(data.iterdir()):
        if path.is_symlink() or not path.is_dir() or path.name not in LANGUAGES:
            yield path
        else:
            yield from (file for file in sorted(path.iterdir()) if file.name not in files)


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        place = error.filename or folder
        raise DatasetError(
            f"{folder}: cannot be written ({error.strerror or error}: {place}).",
            "Free some space, or name a folder that you may write to with --out.",
        ) from error
