"""Reads what a judge is compared with: responses with a label that somebody else gave them.

A reference is JSON Lines, one response a row, with these columns:

- ``language``: ISO 639-1 code of the prompt;
- ``response``: the response; ``response_prefix`` is read where there is none;
- ``reference_outcome``: refused, complied, deflected or broken; or, in its place,
  ``reference_refusal`` (or ``wildguard_refusal``): 1 or true for a refusal, 0 or false for none;
  another column is named with ``--column``;
- ``prompt`` and ``prompt_en``, optional: the prompt, and in English; classifier judges want them.

Other columns are ignored. A row whose label is null is left out and counted. Sheets that people
labelled (``.csv``) are read by `sheets`.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from polyrefuse.calibration_schema import AnnotatorAgreement, CalibrationError, Reference
from polyrefuse.languages import LANGUAGES
from polyrefuse.outcomes import JUDGED_OUTCOMES, Outcome
from polyrefuse.plain_file import plain
from polyrefuse_evaluation.calibration.readings import Truth

LABEL_COLUMNS = ("reference_outcome", "reference_refusal", "wildguard_refusal")
_REFUSAL = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
_OUTCOMES = {outcome.value: outcome for outcome in JUDGED_OUTCOMES}
_FORM = "Each line must be a JSON object with 'language', 'response' and 'reference_outcome'."


@dataclass(frozen=True)
class ReferenceRow:
    """One response with its label.

    Attributes:
        language: ISO 639-1 code of the prompt.
        response: the response.
        prompt: the prompt, where known.
        prompt_en: the English prompt, where known.
        truth: the label.
        stratum: verdict under which the row was drawn from a run, None if it was not.
        weight: responses of the run that the row stands for.
    """

    language: str
    response: str
    prompt: str | None
    prompt_en: str | None
    truth: Truth
    stratum: str | None = None
    weight: float = 1.0


@dataclass(frozen=True)
class ReferenceData:
    """All rows of a reference, and what a calibration says of it."""

    rows: list[ReferenceRow]
    reference: Reference
    annotators: list[AnnotatorAgreement] = field(default_factory=list)


def read_references(paths: Sequence[Path], column: str | None = None) -> ReferenceData:
    """Read reference files: JSON Lines, or sheets made by ``judge-sample`` (``.csv``).

    Args:
        paths: files of one kind; the sheets of two annotators may be two files.
        column: column of the label in JSON Lines; by default the first known one.

    Raises:
        CalibrationError: a file cannot be read, lacks a column, holds an unknown label or
            language, or no labelled row; names file and line.
    """
    if not paths:
        raise CalibrationError("no reference file is named.", "Name one with --reference.")
    sheets = [path.suffix.lower() == ".csv" for path in paths]
    if any(sheets):
        if not all(sheets):
            raise CalibrationError(
                "sheets (.csv) and JSON Lines cannot be one reference.", "Calibrate twice."
            )
        from polyrefuse_evaluation.calibration.read_sheets import read_sheets

        return read_sheets(paths)
    rows: list[ReferenceRow] = []
    left_out = 0
    for path in paths:
        raw = read_lines(path)
        column = column or _label_column(path, raw)
        for number, row in raw:
            found = _reference_row(f"{path}, line {number}", row, column)
            left_out += found is None
            rows += [found] if found else []
    if not rows:
        raise CalibrationError(
            f"{paths[0]}: no row has a label in {column!r}.", "Label some, or name another column."
        )
    assert column is not None
    reference = Reference(
        files=[path.name for path in paths],
        digest=digest_of(paths),
        kind=_kind(paths[0], rows, column),
        column=column,
        rows=len(rows),
        left_out=left_out,
    )
    return ReferenceData(rows, reference)


def read_lines(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """Return (line number, object) of a JSON Lines file.

    Raises:
        CalibrationError: it cannot be read, is empty, or a line is no JSON object.
    """
    rows = []
    for number, line in enumerate(read_bytes(path).split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise CalibrationError(f"{path}, line {number}: is no JSON object in UTF-8.", _FORM)
        rows.append((number, row))
    if not rows:
        raise CalibrationError(f"{path}: has no rows.", _FORM)
    return rows


def read_bytes(path: Path) -> bytes:
    """Return a file's bytes.

    Raises:
        CalibrationError: it cannot be read.
    """
    try:
        return plain(path).read_bytes()
    except OSError as error:
        raise CalibrationError(
            f"{path}: cannot be read ({error.strerror or error}).", "Check the path."
        ) from error


def digest_of(paths: Sequence[Path]) -> str:
    """Return the sha256 over the files' bytes, in the order given."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(hashlib.sha256(read_bytes(path)).digest())
    return f"sha256:{digest.hexdigest()}"


def _label_column(path: Path, rows: Sequence[tuple[int, dict[str, Any]]]) -> str:
    for name in LABEL_COLUMNS:
        if name in rows[0][1]:
            return name
    raise CalibrationError(
        f"{path}, line {rows[0][0]}: has no label: none of {', '.join(LABEL_COLUMNS)}.",
        "Add one of these columns, or name another with --column.",
    )


def _reference_row(where: str, row: dict[str, Any], column: str) -> ReferenceRow | None:
    response = row.get("response", row.get("response_prefix"))
    if not isinstance(response, str):
        raise CalibrationError(f"{where}: has no text in 'response' or 'response_prefix'.", _FORM)
    language = row.get("language")
    if not isinstance(language, str) or language not in LANGUAGES:
        raise CalibrationError(
            f"{where}: has no known language ({str(language)[:20]!r}).",
            f"Known languages: {', '.join(LANGUAGES)}.",
        )
    if column not in row:
        raise CalibrationError(f"{where}: has no column {column!r}.", _FORM)
    if row[column] is None:
        return None
    prompt, prompt_en = (
        value if isinstance(value := row.get(name), str) else None
        for name in ("prompt", "prompt_en")
    )
    return ReferenceRow(language, response, prompt, prompt_en, _truth(where, column, row[column]))


def _truth(where: str, column: str, value: Any) -> Truth:
    name = str(value).strip().casefold()
    if name in _REFUSAL:
        return _REFUSAL[name]
    if name in _OUTCOMES:
        return _OUTCOMES[name]
    raise CalibrationError(
        f"{where}: unknown outcome {str(value)[:40]!r} in {column!r}.",
        f"Write {', '.join(_OUTCOMES)}, or 1 and 0 for refusal or not.",
    )


def _kind(path: Path, rows: Sequence[ReferenceRow], column: str) -> Literal["refusal", "outcome"]:
    kinds = {isinstance(row.truth, Outcome) for row in rows}
    if len(kinds) > 1:
        raise CalibrationError(
            f"{path}: column {column!r} holds both outcomes and yes or no.",
            "Use one kind of label throughout.",
        )
    return "outcome" if kinds == {True} else "refusal"
