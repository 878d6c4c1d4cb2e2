"""What came of each case, counted over all test processes, and the document made of it.

``docs/reliability.md`` is written by nothing else. It holds the three newest runs of the full form,
so that three in a row with different seeds can be seen in it; what failed, was skipped, stopped or
left out is said there, too.
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


@dataclass(frozen=True)
class Session:
    """What of the suite ran, as pytest saw it.

    Attributes:
        only: what was chosen of the suite; empty where nothing was left out.
        ended: whether the session came to its end.
        passed: number of tests.
        skipped: number of tests.
        failed: names of the tests that failed.
    """

    only: str
    ended: bool
    passed: int
    skipped: int
    failed: list[str]

    @property
    def passes(self) -> bool:
        """Whether this counts as one pass of the whole suite."""
        return not (self.only or self.failed or self.skipped) and self.ended and self.passed > 0


def summary(
    cases: list[Case], session: Session, seconds: float, now: datetime, seed: int = SEED
) -> dict[str, Any]:
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
        "seed": seed,
        "session": asdict(session),
        "date": now.strftime("%Y-%m-%d %H:%M UTC"),
        "minutes": round(seconds / 60, 1),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} shared cores",
        "rows": {name: dict(found) for name, found in sorted(rows.items())},
    }


COLUMNS = ("times", "lost", "duplicated", "leftovers")


def render(runs: list[dict[str, Any]]) -> str:
    """Return the document of some runs, the newest last: a table each."""
    passes = {run["seed"] for run in runs if Session(**run["session"]).passes}
    lines = [
        f"**The whole suite passed with {len(passes)} of {RUNS} different seeds.**",
        *(line for run in runs for line in ("", *_section(run))),
    ]
    kept = f"{START}{json.dumps(runs)}{END}"
    return PREFACE.read_text("utf-8").replace("RUNS", "\n".join(lines)) + f"\n{kept}\n"


def _section(run: dict[str, Any]) -> list[str]:
    session = Session(**run["session"])
    what = f"only {session.only}; the rest did not run" if session.only else "the whole suite"
    counts = f"{session.passed} tests passed, {len(session.failed)} failed, "
    lines = [
        f"## Seed {run['seed']}",
        "",
        f"{run['date']}, {run['minutes']} minutes, {run['machine']}: {what}. {counts}"
        f"{session.skipped} were skipped.",
    ]
    if not session.ended:
        lines += ["", "The run was stopped before its end: tests not counted here did not run."]
    if session.failed:
        lines += ["", "Failed:", "", *(f"- `{name}`" for name in session.failed)]
    total: Counter[str] = Counter()
    lines += ["", f"| fault | {' | '.join(COLUMNS)} |", f"|---|{'---:|' * len(COLUMNS)}"]
    for name, found in run["rows"].items():
        total.update(found)
        lines.append(f"| {name} | {' | '.join(str(found[column]) for column in COLUMNS)} |")
    return [*lines, f"| **all** | {' | '.join(f'**{total[column]}**' for column in COLUMNS)} |"]


def kept_runs(document: Path) -> list[dict[str, Any]]:
    """Return the runs that a document holds."""
    if not document.is_file():
        return []
    _, _, rest = document.read_text("utf-8").partition(START)
    return json.loads(rest.partition(END)[0]) if rest else []


def finish(root: Path, session: Session, seconds: float) -> None:
    """Write what ran into the document, passed or failed; a newer run takes the place of an older.

    A run replaces that of the same seed and choice; the newest `RUNS` are kept.
    """
    if not FILE or not Path(FILE).is_file():
        return
    run = summary(read_cases(Path(FILE)), session, seconds, datetime.now(UTC))
    document = root / DOCUMENT
    same = (run["seed"], session.only)
    others = [x for x in kept_runs(document) if (x["seed"], x["session"]["only"]) != same]
    document.write_text(render([*others, run][-RUNS:]), encoding="utf-8")
