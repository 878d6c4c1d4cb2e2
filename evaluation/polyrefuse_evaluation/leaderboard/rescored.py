"""The maintainers' record of submissions whose model was asked again; see `rescore`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from polyrefuse.outside_json import parse_json
from polyrefuse.plain_file import plain
from polyrefuse_evaluation.leaderboard.problems import SubmissionError
from polyrefuse_evaluation.leaderboard.rescore import Rescore
from polyrefuse_evaluation.leaderboard.schema import Manifest
from polyrefuse_evaluation.leaderboard.verify import Verdict
from polyrefuse_evaluation.record_lines import append_lines, whole_lines
from polyrefuse_evaluation.run_directory import io_errors


def record_rescore(path: Path, verdict: Verdict, found: Rescore) -> None:
    """Append what asking again showed to the maintainers' record, one JSON object a line.

    It is kept by the digests of the files: once they change, the record is of something else. Keep
    it outside the submissions' folders, where only maintainers write.
    """
    assert verdict.manifest is not None
    line = {"key": evidence_key(verdict.manifest), "model": verdict.model, **asdict(found)}
    with io_errors(path):
        append_lines(plain(path), json.dumps(line).encode() + b"\n")


def evidence_key(manifest: Manifest) -> str:
    """Return what a record of rescoring is kept by: it changes with any file of a submission."""
    return " ".join(manifest.files[name].sha256 for name in sorted(manifest.files))


def read_rescored(path: Path) -> dict[str, dict[str, Any]]:
    """Return the last record of each submission, by `evidence_key`, unless it says to reject.

    Raises:
        SubmissionError: the file cannot be read; names the line.
    """
    found: dict[str, dict[str, Any]] = {}
    try:
        lines = list(whole_lines(plain(path)))
    except OSError as error:
        raise SubmissionError(f"{path}: cannot be read ({error.strerror}).") from error
    for number, line in lines:
        try:
            item = parse_json(line)
            clean = not item["faults"] and not item["forged"] and item["n"] > 0
            found.pop(item["key"], None)
            if clean and len(item["differing"]) <= item["allowed"]:
                found[item["key"]] = item
        except (ValueError, KeyError, TypeError) as error:
            raise SubmissionError(
                f"{path}, line {number}: is no record of 'leaderboard verify --rescore'."
            ) from error
    return found
