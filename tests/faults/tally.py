"""What came of each case, counted over all test processes, and the document made of it.

``docs/reliability.md`` is written by nothing else. It holds the three newest full runs, so that
three in a row with different seeds can be seen in it.
"""

import json
import os
import platform
import random
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FORM = os.environ.get("POLYREFUSE_FAULTS", "short")
SEED = int(os.environ.get("POLYREFUSE_FAULT_SEED", "9"))
FILE = os.environ.get("POLYREFUSE_FAULT_TALLY")
RUNS = 3
DOCUMENT = Path("docs") / "reliability.md"
PREFACE = Path(__file__).parent / "preface.md"
START, END = "<!-- runs ", " -->"


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


def read_cases(path: Path) -> list[Case]:
    """Return what all processes counted."""
    return [Case(**json.loads(line)) for line in path.read_text("utf-8").splitlines()]


def summary(cases: list[Case], seconds: float, now: datetime) -> dict[str, Any]:
    """Return one run as it is kept in the document."""
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    for case in cases:
        rows[case.fault].update(
            times=1,
            lost=case.lost,
            duplicated=case.duplicated,
            leftovers=case.leftovers,
        )
    return {
        "seed": SEED,
        "date": now.date().isoformat(),
        "minutes": round(seconds / 60, 1),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} shared cores",
        "rows": {name: dict(found) for name, found in sorted(rows.items())},
    }


def render(runs: list[dict[str, Any]]) -> str:
    """Return the document of some runs, the newest last."""
    names = sorted({name for run in runs for name in run["rows"]})
    lines = [
        "| fault | times | lost | duplicated | leftovers |",
        "|---|---:|---:|---:|---:|",
    ]
    total: Counter[str] = Counter()
    columns = ("times", "lost", "duplicated", "leftovers")
    for name in names:
        found = Counter[str]()
        for run in runs:
            found.update(run["rows"].get(name, {}))
        total.update(found)
        lines.append(f"| {name} | {' | '.join(str(found[column]) for column in columns)} |")
    lines.append(f"| **all** | {' | '.join(f'**{total[column]}**' for column in columns)} |")
    about = [
        f"- seed {run['seed']}: {sum(row['times'] for row in run['rows'].values())} cases, all "
        f"passed, {run['date']}, {run['minutes']} minutes, {run['machine']}"
        for run in runs
    ]
    kept = f"{START}{json.dumps(runs)}{END}"
    text = PREFACE.read_text("utf-8").replace("RUNS", "\n".join(about))
    return text.replace("TABLE", "\n".join(lines)) + f"\n{kept}\n"


def kept_runs(document: Path) -> list[dict[str, Any]]:
    """Return the runs that a document holds."""
    if not document.is_file():
        return []
    _, _, rest = document.read_text("utf-8").partition(START)
    return json.loads(rest.partition(END)[0]) if rest else []


def finish(root: Path, exitstatus: int, seconds: float) -> None:
    """Write the document, if everything passed."""
    if exitstatus or not FILE or not Path(FILE).is_file():
        return
    run = summary(read_cases(Path(FILE)), seconds, datetime.now(UTC))
    document = root / DOCUMENT
    others = [other for other in kept_runs(document) if other["seed"] != run["seed"]]
    document.write_text(render([*others, run][-RUNS:]), encoding="utf-8")
