"""Read the released PolyRefuse files: find them, check every row, recover the English.

The release keeps English in three ways, and this module is the only one that knows them:

- test files carry it in ``instruction``, the translation in ``instruction_translated``;
- train and val files carry only the translation, in ``instruction``; row n translates row n of the
  English file in ``splits/``;
- there is an English file (``_en.json``) for test alone.

Positions count from 0, as in ``harmful_test#17``. Files that are not ``.json`` are left alone.
Knows nothing of our ids, categories or errata.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from polyrefuse.errors import DatasetError
from polyrefuse.languages import LANGUAGES
from polyrefuse.outside_json import parse_json, rows_problem
from polyrefuse.plain_file import plain
from polyrefuse.prompts import Label, Split

TRANSLATIONS, SPLITS_FOLDER = "PolyRefuse", "splits"
DOWNLOAD = "Download the release again (github.com/mainlp/Multilingual-Refusal)."

_TRANSLATED = re.compile(r"(harmful|harmless)_(train|val|test)_translated_(.+)\.json")
_OUR_SPLIT: dict[str, Split] = {"train": "train", "val": "validation", "test": "test"}


class Part(NamedTuple):
    """One label and split of the release, under upstream's names."""

    label: Label
    upstream_split: str

    @property
    def split(self) -> Split:
        """Our name of the split."""
        return _OUR_SPLIT[self.upstream_split]

    def __str__(self) -> str:
        return f"{self.label}_{self.upstream_split}"


PARTS = tuple(
    Part(label, split) for label in ("harmful", "harmless") for split in ("train", "val", "test")
)


class Row(NamedTuple):
    """One row: the prompt, its English where the row itself carries it, upstream's category."""

    text: str
    english: str | None
    category: str | None


@dataclass(frozen=True, slots=True)
class TranslatedFile:
    """One file of the folder ``PolyRefuse/``; `name` is its path below the release."""

    part: Part
    language: str
    name: str
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class Release:
    """The whole release.

    Attributes:
        english: the English rows of each part, by position.
        splits: the texts of ``splits/`` of each part. The same, except where the test files
            translate another sample than the one in ``splits/``.
        files: the translations, by language; English files are in `english`.
        languages: all languages found, English included, sorted.
    """

    english: dict[Part, list[Row]]
    splits: dict[Part, list[str]]
    files: dict[tuple[Part, str], TranslatedFile]
    languages: list[str]


def read_release(folder: Path) -> Release:
    """Read and check the release in `folder`.

    Raises:
        DatasetError: a folder, file or row cannot be used; names file, row and remedy.
    """
    for name in (TRANSLATIONS, SPLITS_FOLDER):
        if not (folder / name).is_dir():
            raise DatasetError(
                f"{folder}: has no folder {name}/, so it is not the released PolyRefuse data.",
                f"Name the folder that holds {TRANSLATIONS}/ and {SPLITS_FOLDER}/.",
            )
    splits = {part: _read_rows(_splits_file(folder, part), "instruction") for part in PARTS}
    files = _read_translations(folder)
    english: dict[Part, list[Row]] = {}
    for part in PARTS:
        own = [file for (key, _), file in files.items() if key == part and file.rows[0].english]
        own.sort(key=lambda file: file.language != "en")
        english[part] = _recover_english(part, own, splits[part])
    for file in files.values():
        _require_same_english(folder, file, english[file.part])
    return Release(
        english,
        {part: [row.text for row in rows] for part, rows in splits.items()},
        {key: file for key, file in files.items() if file.language != "en"},
        sorted({"en"} | {file.language for file in files.values()}),
    )


def _recover_english(part: Part, own: Sequence[TranslatedFile], splits: list[Row]) -> list[Row]:
    """Return the English of `part`: what its test files carry, else ``splits/`` by position."""
    if part.upstream_split != "test" or not own:
        return splits
    return [Row(row.english or row.text, None, row.category) for row in own[0].rows]


def _require_same_english(folder: Path, file: TranslatedFile, english: Sequence[Row]) -> None:
    path = folder / file.name
    if len(file.rows) != len(english):
        raise DatasetError(
            f"{path}: has {len(file.rows)} rows, its English has {len(english)}; "
            "row n translates row n, so their lengths must be equal.",
            DOWNLOAD,
        )
    for position, (row, original) in enumerate(zip(file.rows, english, strict=True)):
        if row.english is not None and row.english != original.text:
            raise DatasetError(
                f"{path}, row {position} (from 0): its English is not that of the other "
                f"{file.part} files.",
                DOWNLOAD,
            )


def _splits_file(folder: Path, part: Part) -> Path:
    """Return the English file of `part`, the sample that was translated if there are several."""
    pattern = re.compile(rf"{part}(_\d+_sampled)?\.json")
    found = [path for path in (folder / SPLITS_FOLDER).iterdir() if pattern.fullmatch(path.name)]
    sampled = sorted(path for path in found if path.stem != str(part)) or found
    if not sampled:
        raise DatasetError(
            f"{folder / SPLITS_FOLDER}: has no {part}.json, the English prompts of that split.",
            DOWNLOAD,
        )
    if len(sampled) > 1:
        names = ", ".join(path.name for path in sampled)
        raise DatasetError(
            f"{folder / SPLITS_FOLDER}: {names} could each be the English of {part}.",
            "Keep the one that was translated.",
        )
    return sampled[0]


def _read_translations(folder: Path) -> dict[tuple[Part, str], TranslatedFile]:
    files: dict[tuple[Part, str], TranslatedFile] = {}
    for path in sorted((folder / TRANSLATIONS).glob("*.json")):
        match = _TRANSLATED.fullmatch(path.name)
        if match is None:
            raise DatasetError(
                f"{path}: the name is not <label>_<split>_translated_<language>.json.",
                "Rename the file, or move it out of the folder.",
            )
        part = next(part for part in PARTS if str(part) == f"{match[1]}_{match[2]}")
        language = match[3]
        if language not in LANGUAGES:
            raise DatasetError(
                f"{path}: {language!r} is no known language (known: {', '.join(LANGUAGES)}).",
                "Rename the file, or add the language to polyrefuse/languages.py.",
            )
        bilingual = part.upstream_split == "test" and language != "en"
        rows = _read_rows(path, "instruction_translated" if bilingual else "instruction")
        if language == "en":
            rows = [Row(row.text, row.text, row.category) for row in rows]
        name = f"{TRANSLATIONS}/{path.name}"
        files[part, language] = TranslatedFile(part, language, name, rows)
    if not files:
        raise DatasetError(f"{folder / TRANSLATIONS}: holds no .json file.", DOWNLOAD)
    return files


def _read_rows(path: Path, text_field: str) -> list[Row]:
    """Read a JSON list of rows whose prompt stands in `text_field`."""
    try:
        rows = parse_json(plain(path).read_bytes().decode("utf-8"))
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}).", DOWNLOAD) from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: byte {error.start + 1} is not UTF-8.", DOWNLOAD) from error
    except ValueError as error:
        raise DatasetError(f"{path}{rows_problem(error)}.", DOWNLOAD) from error
    if not isinstance(rows, list) or not rows:
        raise DatasetError(f"{path}: is not a JSON list of rows.", DOWNLOAD)
    return [_read_row(row, text_field, f"{path}, row {n} (from 0)") for n, row in enumerate(rows)]


def _read_row(row: Any, text_field: str, where: str) -> Row:
    if not isinstance(row, dict):
        raise DatasetError(f"{where}: is not an object with an {text_field!r}.", DOWNLOAD)
    bilingual = "instruction_translated" in row or text_field == "instruction_translated"
    text = _text(row, "instruction_translated" if bilingual else text_field, where)
    category = row.get("category")
    if category is not None and not isinstance(category, str):
        raise DatasetError(f"{where}: 'category' is neither text nor null.", DOWNLOAD)
    return Row(text, _text(row, "instruction", where) if bilingual else None, category)


def _text(row: dict[str, Any], field: str, where: str) -> str:
    text = row.get(field)
    if not isinstance(text, str) or not text.strip():
        raise DatasetError(f"{where}: has no text in {field!r}.", f"Fill it in. {DOWNLOAD}")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise DatasetError(
            f"{where}: {field!r} holds half of a surrogate pair, which is no character.", DOWNLOAD
        )
    return text
