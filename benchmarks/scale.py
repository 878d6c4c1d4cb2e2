"""Boards of thousands of models, verification of a thousand submissions, 100,000 prompts.

    python -m benchmarks.scale [verify] [build] [evaluation] [--sizes 100,300,1000] [--folder DIR]

Makes what it needs from nothing, runs every size in a process of its own, prints Markdown tables.
Exit codes: 0 all is linear within 20%, 1 something is not. All of it takes about an hour of two
cores; `build` also opens the largest site in Chromium, where there is one.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.load_table import Cost, is_linear, measure, table
from polyrefuse.observing.run_log import LOG, read_log

SIZES = {
    "verify": (100, 300, 1000),
    "build": (500, 1000, 2000),
    "evaluation": (10_000, 30_000, 100_000),
}
NEW_TOKENS, BATCH_TOKENS, PROCESSES = 8, 2048, 2


def _make(what: str, folder: Path, size: int) -> None:
    measure(size, ["-m", "benchmarks.scale_inputs", what, str(folder), str(size)])


def verify(folder: Path, size: int) -> Cost:
    """Verify so many submissions."""
    _make("submissions", folder / "results", size)
    words = ("leaderboard", "verify", str(folder / "results"))
    return measure(size, ["-m", "polyrefuse", *words])


def build(folder: Path, size: int) -> Cost:
    """Build the site of so many models."""
    _make("submissions", folder / "results", size)
    site = folder / "site"
    words = ("leaderboard", "build", str(folder / "results"), "--out", str(site))
    cost = measure(size, ["-m", "polyrefuse", *words])
    total = sum(path.stat().st_size for path in site.rglob("*") if path.is_file())
    script = (site / "assets" / "board.js").stat().st_size
    note = f"site {total / 1e6:,.0f} MB, board.js {script / 1e6:.1f} MB"
    browser = measure(1, ["-m", "benchmarks.scale_inputs", "browser", str(site)]).said
    return replace(cost, note=f"{note}; {browser.strip().splitlines()[-1]}")


def evaluation(folder: Path, size: int) -> Cost:
    """Evaluate the planted model on so many prompts in two processes, one thread each."""
    _make("prompts", folder / "dataset", size)
    out = folder / "run"
    words = ["evaluate", "planted", "--dataset", str(folder / "dataset"), "--languages", "en"]
    words += ["--source-languages", "en", "--max-new-tokens", str(NEW_TOKENS)]
    words += ["--batch-tokens", str(BATCH_TOKENS), "--out", str(out)]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(PROCESSES)]
    cost = measure(size, [*launcher, "-m", "polyrefuse", *words])
    answer = next(x for x in read_log(out / LOG) if (x.event, x.stage) == ("end", "answer"))
    assert answer.total is not None  # `done` is the first process's own share
    assert answer.seconds is not None
    rate = answer.total / answer.seconds
    return replace(cost, note=f"{answer.total:,} answers, {rate:,.0f} a second")


PARTS: dict[str, tuple[Callable[[Path, int], Cost], str, str]] = {
    "verify": (verify, "Verification of submissions", "submission"),
    "build": (build, "Sites of many models", "model"),
    "evaluation": (evaluation, f"Evaluation in {PROCESSES} processes", "prompt"),
}


def run(part: str, sizes: Sequence[int], folder: Path | None) -> bool:
    """Measure and print one part; return whether it is linear."""
    action, title, item = PARTS[part]
    costs = []
    for size in sizes:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            costs.append(action(Path(place), size))
        print(f"{part}, {size:,}: {costs[-1].wall:,.0f} s", file=sys.stderr)
    print(table(title, item, costs))
    return is_linear(costs)


def main() -> int:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[])
    parser.add_argument("--sizes", help="comma-separated, instead of the usual ones")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder by default")
    chosen = parser.parse_args()
    given = tuple(map(int, chosen.sizes.split(","))) if chosen.sizes else None
    found = [run(part, given or SIZES[part], chosen.folder) for part in chosen.parts or PARTS]
    return 0 if all(found) else 1


if __name__ == "__main__":
    sys.exit(main())
