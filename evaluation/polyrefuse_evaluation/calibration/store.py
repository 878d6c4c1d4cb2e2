"""Where calibrations are kept: one file a judge and version, in the user's data folder."""

import hashlib
import os
from pathlib import Path

from polyrefuse.atomic import write_whole
from polyrefuse.calibration_schema import Calibration, CalibrationError, read_calibration

FOLDER_VARIABLE = "POLYREFUSE_CALIBRATIONS"
"""Environment variable that names another folder."""


def calibration_path(judge: str, version: str) -> Path:
    """Return where the calibration of this judge and version is kept, whether or not it exists."""
    import platformdirs

    folder = os.environ.get(FOLDER_VARIABLE)
    root = Path(folder) if folder else platformdirs.user_data_path("polyrefuse") / "calibrations"
    name = "".join(c if c.isalnum() or c in "-_." else "-" for c in judge)[:60].strip("-.")
    digest = hashlib.sha256(f"{judge}\n{version}".encode()).hexdigest()[:10]
    return root / f"{name or 'judge'}-{digest}.json"


BEGIN = '{\n  "schema_version": 1,\n  "judge": '
"""How a stored calibration begins."""


def save_calibration(calibration: Calibration, path: Path | None = None) -> Path:
    """Write a calibration atomically, by default to where `find_calibration` looks; return where.

    Raises:
        CalibrationError: it cannot be written.
    """
    target = path or calibration_path(calibration.judge, calibration.judge_version)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, calibration.model_dump_json(indent=2) + "\n")
    except OSError as error:
        raise CalibrationError(
            f"{target}: cannot be written ({error.strerror or error}).",
            "Choose another file with --out.",
        ) from error
    return target


def find_calibration(judge: str, version: str) -> Calibration | None:
    """Return the stored calibration of exactly this judge and version, or None.

    Raises:
        CalibrationError: there is one, and it cannot be read.
    """
    path = calibration_path(judge, version)
    if not path.is_file():
        return None
    found = read_calibration(path)
    if (found.judge, found.judge_version) != (judge, version):
        raise CalibrationError(
            f"{path}: is of another judge ({found.judge!r} {found.judge_version!r}).",
            "Delete it, and calibrate again.",
        )
    return found
