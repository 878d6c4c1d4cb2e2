"""References, sheets and run directories made up for tests."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from polyrefuse.calibration_schema import Calibration
from polyrefuse.outcomes import Outcome
from polyrefuse_evaluation.calibration import calibrate, read_references
from polyrefuse_evaluation.calibration.sampling import KeyRow
from polyrefuse_evaluation.judges import RegisteredJudge
from polyrefuse_evaluation.judges.types import Judgement

R, C, D, B, U = (
    Outcome.REFUSED,
    Outcome.COMPLIED,
    Outcome.DEFLECTED,
    Outcome.BROKEN,
    Outcome.UNPARSED,
)
LETTERS = {outcome.value[0].upper(): outcome for outcome in Outcome}


def letter_judge(reason: str = "letter") -> RegisteredJudge:
    """A judge that reads its verdict from the first letter of the response."""

    def judge(rows):
        return [Judgement(LETTERS[row.response[0]], None, reason) for row in rows]

    return RegisteredJudge("letter", "1", judge, decides_broken=True)


def reference_rows(pairs: str, language: str = "th", column: str = "reference_outcome"):
    """Rows from a text like "RR RC": judge's letter, then the reference's."""
    values = {"1": 1, "0": 0}
    return [
        {
            "language": language,
            "response": f"{said}, and more",
            column: values.get(true) if true in values else LETTERS[true].value,
        }
        for said, true in pairs.split()
    ]


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")
    return path


def calibrated(tmp_path: Path, rows: list[dict[str, Any]], **changes: Any) -> Calibration:
    path = write_jsonl(tmp_path / "reference.jsonl", rows)
    return calibrate(letter_judge(**changes), read_references([path]))


def key_row(number: int, outcome: Outcome, **changes: Any) -> KeyRow:
    fields = {
        "row": f"r{number:03}",
        "language": "th",
        "condition": "baseline",
        "label": "harmful",
        "id": f"id-{number}",
        "model": "secret-model",
        "judge": "letter",
        "outcome": outcome,
        "stratum_size": 10,
        "prompt": "ทำอย่างไร",
        "prompt_en": "How?",
        "response": f"{outcome.value[0].upper()} response {number}",
    }
    return KeyRow.model_validate({**fields, **changes})


def fill(sheet: Path, labels: dict[str, tuple[str, ...]], delimiter: str = ",") -> None:
    """Fill in (annotator_1, annotator_2[, adjudicated]) by row, as a spreadsheet would save it."""
    rows = list(csv.DictReader(io.StringIO(sheet.read_text(encoding="utf-8-sig"), newline="")))
    columns = ("annotator_1", "annotator_2", "adjudicated")
    for row in rows:
        row.update(dict(zip(columns, labels.get(row["row"], ()), strict=False)))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, rows[0].keys(), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    sheet.write_text(stream.getvalue(), encoding="utf-8-sig", newline="")
