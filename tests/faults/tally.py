"""What happened to each case, counted over all test processes, and the table that is made of it."""

import json
import os
import random
from dataclasses import asdict, dataclass
from pathlib import Path

FORM = os.environ.get("POLYREFUSE_FAULTS", "short")
SEED = int(os.environ.get("POLYREFUSE_FAULT_SEED", "9"))
FILE = os.environ.get("POLYREFUSE_FAULT_TALLY")


@dataclass(frozen=True)
class Case:
    """One fault that was made, and what came of it.

    Attributes:
        fault: the row of the table.
        lost: files of the undisturbed run that were missing or other after the rerun.
        duplicated: units made or paid for again beyond those under way.
        leftovers: files after the rerun that an undisturbed run does not leave.
    """

    fault: str
    lost: int
    duplicated: int
    leftovers: int


def count(fault: str, lost: int = 0, duplicated: int = 0, leftovers: int = 0) -> None:
    """Count a case; called before it is judged, so that a failure is in the table, too."""
    if FILE:
        with Path(FILE).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(asdict(Case(fault, lost, duplicated, leftovers))) + "\n")


def randomness(*parts: object) -> random.Random:
    """Return the random numbers of one case: the same whenever it is run with the same seed."""
    return random.Random(" ".join(map(str, (SEED, *parts))))


def finish(root: Path, exitstatus: int) -> None:
    """Write the document, if everything passed."""
