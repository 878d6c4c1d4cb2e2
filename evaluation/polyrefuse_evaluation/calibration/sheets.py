"""Writes sheets for people to label, with a key beside them.

``SHEET.csv`` shows language, English prompt, prompt and response, and has room for two annotators;
it does not show condition, verdict or model. Those are in ``SHEET.key.jsonl``, which annotators do
not get. Both hold completions, so only their owner can read them. Responses are hostile text: a
cell that a spreadsheet would run as a formula begins with an apostrophe, and characters that hide
something are made visible. The key keeps responses as they were.
"""

import csv
import io
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from polyrefuse.atomic import whole_file
from polyrefuse.calibration_schema import CalibrationError
from polyrefuse_evaluation.calibration.sampling import KeyRow

ANNOTATORS = ("annotator_1", "annotator_2")
ADJUDICATED = "adjudicated"
COLUMNS = ("row", "language", "prompt_en", "prompt", "response", *ANNOTATORS, ADJUDICATED, "notes")

LONGEST = 10_000
"""Characters of a response that are shown; a spreadsheet's cell holds 32,767."""
CUT = " [... cut here]"

_FORMULA_STARTS = tuple("=+-@\t\r\n|%＝＋－＠")
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def key_path(sheet: Path) -> Path:
    """Return where the key of a sheet is."""
    return sheet.with_name(f"{sheet.stem}.key.jsonl")


def write_sheet(rows: Sequence[KeyRow], sheet: Path) -> Path:
    """Write a sheet and its key; return the path of the key.

    Raises:
        CalibrationError: there is such a file already, or it cannot be written.
    """
    if sheet.suffix.lower() != ".csv":
        raise CalibrationError(f"{sheet}: is no sheet.", "Its name must end in .csv.")
    key = key_path(sheet)
    data = "".join(row.model_dump_json() + "\n" for row in rows).encode("utf-8")
    for path in (sheet, key):
        if path.exists() and (path == sheet or path.read_bytes() != data):  # killed in between
            raise CalibrationError(
                f"{path}: exists already, and may hold labels.", "Choose another --out."
            )
    _write(key, data)
    _write(sheet, sheet_text(rows).encode("utf-8-sig", errors="replace"))
    return key


def sheet_text(rows: Sequence[KeyRow]) -> str:
    """Return the sheet as CSV: every cell quoted, lines ended as spreadsheets expect."""
    stream = io.StringIO()
    writer = csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in rows:
        shown = [row.language, row.prompt_en, row.prompt, row.response]
        empty = [""] * (len(COLUMNS) - 1 - len(shown))
        writer.writerow([row.row, *map(safe_cell, shown), *empty])
    return stream.getvalue()


def safe_cell(text: str) -> str:
    """Return text that no spreadsheet runs, and that shows what it holds.

    A leading ``=``, ``+``, ``-``, ``@`` and their like, also after blanks, gets an apostrophe
    (OWASP, CSV injection).
    """
    text = text if len(text) <= LONGEST else text[:LONGEST] + CUT
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = "".join(char if _plain(char) else f"⟦U+{ord(char):04X}⟧" for char in text)
    start = text.lstrip(" \u00a0\u3000\ufeff'")
    return f"'{text}" if start.startswith(_FORMULA_STARTS) or text[:1] in _FORMULA_STARTS else text


def _plain(char: str) -> bool:
    if char in "\n\t":
        return True
    return unicodedata.category(char) not in ("Cc", "Cs") and char not in _BIDI_CONTROLS


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as partial:
            partial.touch(mode=0o600)
            partial.write_bytes(data)
    except OSError as error:
        raise CalibrationError(
            f"{path}: cannot be written ({error.strerror or error}).", "Choose another --out."
        ) from error
