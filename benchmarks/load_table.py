"""How cost grows with size: one child process a size, its CPU seconds and memory, and a verdict.

The cost of an item is what a larger size took more than a smaller one, over what it had more: what
every process needs anyway (imports, a model) is not counted. Linear within 20% means that an item
of the last step costs at most 1.2 times one of the first. CPU seconds, since other work on the
machine makes clocks useless. Knows nothing of what is measured.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOLERANCE = 1.2
MIB = 2**20


@dataclass(frozen=True)
class Cost:
    """What one size took.

    Attributes:
        items: how many there were.
        cpu: seconds of all processes together.
        wall: seconds.
        peak: bytes of the largest process.
        note: what else is to be shown.
        said: what it printed.
    """

    items: int
    cpu: float
    wall: float
    peak: int
    note: str = ""
    said: str = ""


def measure(items: int, arguments: Sequence[str]) -> Cost:
    """Run ``python ARGUMENTS`` from the repository and return what it took.

    A small process stands between: the memory of whoever starts a process counts as its peak.

    Raises:
        SystemExit: it failed; says what it said.
    """
    folders = (ROOT, ROOT / "builders", ROOT / "evaluation")
    path = os.pathsep.join(map(str, folders))
    threads = dict.fromkeys(("OMP_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
    done = subprocess.run(
        [sys.executable, str(Path(__file__)), *arguments],
        cwd=ROOT,
        env={**os.environ, **threads, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        check=True,
    )
    found = json.loads(done.stdout)
    if found.pop("status"):
        raise SystemExit(f"{' '.join(arguments)}:\n{found['said'][-3000:]}")
    return Cost(items, **found)


def main() -> None:
    """Run ``python ARGUMENTS`` and print as JSON what it took and said."""
    started = time.monotonic()
    child = subprocess.Popen(
        [sys.executable, *sys.argv[1:]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert child.stdout is not None
    said = child.stdout.read().decode(errors="replace")
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    found = {
        "status": child.returncode,
        "cpu": usage.ru_utime + usage.ru_stime,
        "wall": time.monotonic() - started,
        "peak": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        "said": said,
    }
    print(json.dumps(found))


def steps(costs: Sequence[Cost]) -> list[tuple[float, float]]:
    """Return, from each size to the next, (CPU seconds, bytes of the largest process) an item."""
    return [
        ((b.cpu - a.cpu) / (b.items - a.items), (b.peak - a.peak) / (b.items - a.items))
        for a, b in pairwise(costs)
    ]


def is_linear(costs: Sequence[Cost]) -> bool:
    """Whether an item of the last step costs at most 1.2 times one of the first; see above."""
    found = [cpu for cpu, _ in steps(costs)]
    return len(found) < 2 or found[-1] <= TOLERANCE * found[0]


def table(title: str, item: str, costs: Sequence[Cost]) -> str:
    """Return the costs as a Markdown table under a heading."""
    lines = [
        f"### {title}",
        "",
        f"| {item}s | CPU seconds | ms a {item} | peak, MiB | kB a {item} | |",
        "|---|---|---|---|---|---|",
    ]
    for cost, (cpu, size) in zip(costs, [(None, None), *steps(costs)], strict=True):
        more = ("", "") if cpu is None else (f"{1000 * cpu:,.1f}", f"{size / 1000:,.1f}")
        lines.append(
            f"| {cost.items:,} | {cost.cpu:,.1f} | {more[0]} | {cost.peak / MIB:,.0f} | {more[1]} "
            f"| {cost.note} |"
        )
    verdict = "linear within 20%" if is_linear(costs) else "**NOT linear within 20%**"
    return "\n".join([*lines, "", f"CPU seconds: {verdict}.", ""])


if __name__ == "__main__":
    main()
