"""Measure check, export and validation of large datasets: rows a second, peak memory, linearity.

    python benchmarks/dataset_load.py [--rows 10000,100000,1000000] [--validate 10000,28000,100000]
        [--folder DIR]

The dataset is made of the packaged sample: its prompts in 14 languages, parallel by id, each again
and again with another number at its end. Each command runs in a process of its own on one core;
seconds are processor seconds of that process and its children, since other work on the machine
changes the time on the clock, and memory is the most that one of its processes held. Prints a
Markdown table. Exit codes: 0 linear and bounded, 1 not: processor seconds a row of the two largest
sizes of a command differ by more than `LINEAR`, or a process holds more than `MOST_MIB`.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from polyrefuse.dataset import SAMPLE_FOLDER
from polyrefuse.folder import read_prompts, write_jsonl
from polyrefuse.languages import LANGUAGES
from polyrefuse.prompts import SPLITS, Prompt, make_prompt_id

ROOT = Path(__file__).resolve().parents[1]
LINEAR = 0.20
"""Fraction by which processor seconds a row may differ between the two largest sizes."""
TIMES, CHEAP = 5, 60.0
"""Most measurements of a command at a size, and seconds after which there is no further one."""
MOST_MIB = {"check": 128, "export": 128, "validate": 1024}
"""Most memory of a process, whatever the rows. A million rows held would be 2 GiB."""


@dataclass(frozen=True)
class Measured:
    """One run of one command: rows, seconds on the clock and of the processor, peak MiB."""

    command: str
    rows: int
    seconds: float
    busy: float
    peak_mib: float


def numbered(rows: Sequence[Prompt], ids: int) -> Iterator[Prompt]:
    """Yield `ids` prompts of one language and split: `rows` over and over, numbered from 1."""
    by_id = {row.id: row for row in rows}
    for index in range(ids):
        row, number = rows[index % len(rows)], index // len(rows) + 1
        yield row.model_copy(
            update={
                "id": _id(row, number),
                "prompt": f"{row.prompt} ({number})",
                "prompt_en": f"{row.prompt_en} ({number})",
                "source": "load",
                "source_id": f"{row.source_id}#{number}",
                "pair_id": _id(by_id[row.pair_id], number) if row.pair_id in by_id else None,
            }
        )


def _id(row: Prompt, number: int) -> str:
    return make_prompt_id(
        row.label, "load", f"{row.source_id}#{number}", f"{row.prompt_en} ({number})"
    )


def make_dataset(folder: Path, rows: int) -> int:
    """Write a dataset folder of about `rows` rows; return how many it has."""
    ids, written = rows // len(LANGUAGES), 0
    sample = read_prompts(SAMPLE_FOLDER)
    for language in LANGUAGES:
        own = [row for row in sample if row.language == language]
        for split in SPLITS:
            part = [row for row in own if row.split == split]
            share = ids * len(part) // len(own) // 2 * 2  # whole pairs
            path = folder / "data" / language / f"{split}.jsonl"
            write_jsonl(path, numbered(part, share))
            written += share
    (folder / "README.md").write_bytes((SAMPLE_FOLDER / "README.md").read_bytes())
    return written


def measure(command: str, rows: int, arguments: Sequence[str]) -> Measured:
    """Run ``polyrefuse`` with `arguments` in a process of its own; see `_child`."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, __file__, "--child", *arguments],
        stdout=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"},
        cwd=ROOT,
        check=True,
    )
    seconds = time.perf_counter() - start
    used = json.loads(done.stdout.splitlines()[-1])
    return Measured(command, rows, seconds, used["busy"], used["peak_mib"])


def least(command: str, rows: int, folder: Path, out: Path) -> Measured:
    """Measure up to `TIMES` times while that is cheap; return the least, since noise only adds."""
    found: list[Measured] = []
    while not found or (len(found) < TIMES and sum(one.seconds for one in found) < CHEAP):
        shutil.rmtree(out, ignore_errors=True)
        found.append(measure(command, rows, commands(folder, out)[command]))
    return min(found, key=lambda one: one.busy)


def child(arguments: Sequence[str]) -> None:
    """Run a command as a child of this small process, and print what the child used.

    Peak memory of children is that of the largest one, so each measured command has a parent of
    its own.
    """
    done = subprocess.run(
        [sys.executable, "-m", "polyrefuse", *arguments], stdout=subprocess.DEVNULL, check=False
    )
    if done.returncode not in (0, 1):
        sys.exit(done.returncode)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    figures = {"busy": used.ru_utime + used.ru_stime, "peak_mib": used.ru_maxrss / 1024}
    print(json.dumps(figures))


def commands(folder: Path, out: Path) -> dict[str, list[str]]:
    return {
        "check": ["data", "check", str(folder)],
        "export": ["data", "export", str(out), "--dataset", str(folder)],
        "validate": ["build", "validate", str(folder), "--report", str(out / "report.jsonl")],
    }


def run_all(sizes: dict[str, list[int]], place: Path) -> list[Measured]:
    """Measure every command at its sizes, smallest first; the folders are removed afterwards."""
    found = []
    for rows in sorted({size for own in sizes.values() for size in own}):
        with tempfile.TemporaryDirectory(dir=place) as name:
            folder = Path(name) / "dataset"
            there = make_dataset(folder, rows)
            for command, own in sizes.items():
                if rows in own:
                    out = Path(name) / command
                    found.append(least(command, there, folder, out))
                    print(f"{found[-1]}", file=sys.stderr)
    return sorted(found, key=lambda one: (list(sizes).index(one.command), one.rows))


def faults(found: Sequence[Measured]) -> list[str]:
    """Return what is not linear or not bounded."""
    said = [
        f"{one.command}, {one.rows:,} rows: {one.peak_mib:.0f} MiB, over {MOST_MIB[one.command]}"
        for one in found
        if one.peak_mib > MOST_MIB[one.command]
    ]
    for command in dict.fromkeys(one.command for one in found):
        own = [one for one in found if one.command == command]
        for before, after in pairwise(own[-2:]):
            ratio = (after.busy / after.rows) / (before.busy / before.rows)
            if abs(ratio - 1) > LINEAR:
                said.append(f"{command}, {after.rows:,} rows: {ratio:.2f} times as long a row")
    return said


def growth(found: Sequence[Measured]) -> str:
    """Say, for each command, how the two largest sizes compare."""
    lines = []
    for command in dict.fromkeys(one.command for one in found):
        own = [one for one in found if one.command == command]
        for before, after in pairwise(own[-2:]):
            ratio = (after.busy / after.rows) / (before.busy / before.rows)
            more = (after.peak_mib - before.peak_mib) * 2**20 / (after.rows - before.rows)
            lines.append(
                f"{command}, from {before.rows:,} to {after.rows:,} rows: {ratio:.3f} times the "
                f"seconds a row, {more:+.0f} bytes of peak memory a row."
            )
    return "\n".join(lines)


def table(found: Sequence[Measured]) -> str:
    lines = [
        "| command | rows | rows/s | processor seconds | µs a row | peak, MiB |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.command} | {one.rows:,} | {one.rows / one.busy:,.0f} | {one.busy:.1f} "
        f"| {1e6 * one.busy / one.rows:.1f} | {one.peak_mib:.0f} |"
        for one in found
    ]
    return "\n".join(lines)


def _sizes(text: str) -> list[int]:
    return [int(size) for size in text.split(",") if size]


def main() -> int:
    """Measure, print, and say whether it is linear and bounded."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=_sizes, default="10000,100000,1000000")
    parser.add_argument("--validate", type=_sizes, default="10000,28000,100000")
    parser.add_argument("--folder", type=Path, help="where the datasets are made")
    chosen = parser.parse_args()
    sizes = {"check": chosen.rows, "export": chosen.rows, "validate": chosen.validate}
    found = run_all(sizes, chosen.folder or Path(tempfile.gettempdir()))
    print(table(found))
    print(growth(found))
    said = faults(found)
    print("\n".join(said) or "Linear and bounded.")
    return 1 if said else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2:])
    else:
        sys.exit(main())
