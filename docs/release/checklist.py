"""The release checklist, executed: every step with its check, in one table, exit code 0 or 1.

``python -m docs.release.checklist --dry-run`` checks what can be checked at any time;
``--skip tests`` (dry run only) leaves a step out, and the table says so. Without ``--dry-run`` the
same steps run, none can be skipped, and at the end the commands are printed that a person must run.
Nothing is ever uploaded, tagged or pushed from here. docs/releasing.md says what it does not know.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from docs.release.requirements import ROOT
from docs.release.steps import STEPS, Context, StepError, read_version

COLOURS = {"pass": "green", "fail": "red", "skipped": "yellow"}


@dataclass(frozen=True)
class Line:
    """How one step ended: its name, pass, fail or skipped, and what was seen."""

    step: str
    status: str
    seen: str


def run_step(name: str, check: Callable[[Context], str], context: Context) -> Line:
    """Run one step; a fault is its result, whatever kind of fault it is."""
    try:
        return Line(name, "pass", check(context))
    except StepError as error:
        return Line(name, "fail", str(error))
    except Exception as error:
        return Line(name, "fail", f"{type(error).__name__}: {error}")


def run_checklist(root: Path, skip: Iterable[str] = ()) -> list[Line]:
    """Run every step on the repository at `root`; return how each ended.

    Raises:
        ValueError: a step to skip does not exist.
    """
    skip = set(skip)
    if unknown := skip - STEPS.keys():
        raise ValueError(f"no such step: {', '.join(sorted(unknown))}; steps: {', '.join(STEPS)}")
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        context = Context(root, Path(folder))
        for name, check in STEPS.items():
            skipped = Line(name, "skipped", "left out with --skip")
            lines.append(skipped if name in skip else run_step(name, check, context))
    return lines


def as_table(lines: Iterable[Line]) -> Table:
    """Return the steps as a table."""
    table = Table("step", "", "what was seen")
    for line in lines:
        table.add_row(line.step, Text(line.status, style=COLOURS[line.status]), Text(line.seen))
    return table


def commands(version: str) -> str:
    """Return what a person runs to release, once every step has passed."""
    return "\n".join(
        (
            "Every step passed. A release is made by a person, with these commands:",
            f"  git tag --sign v{version} --message 'PolyRefuse {version}'",
            "  make build sbom",
            "  sha256sum dist/*",
            "  twine upload dist/*.whl dist/*.tar.gz",
            f"  git push origin v{version}",
        )
    )


def main() -> int:
    """Run the checklist; exit 1 if a step failed, 2 where it was asked for in the wrong way."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--dry-run", action="store_true", help="only check; steps may be skipped")
    parser.add_argument("--skip", default="", help="steps to leave out, comma-separated")
    options = parser.parse_args()
    skip = [name for name in options.skip.split(",") if name]
    if skip and not options.dry_run:
        parser.error("--skip needs --dry-run: a release skips nothing")
    if unknown := set(skip) - STEPS.keys():
        parser.error(f"no such step: {', '.join(sorted(unknown))}; steps: {', '.join(STEPS)}")
    lines = run_checklist(ROOT, skip)
    console = Console(highlight=False)
    console.print(as_table(lines))
    failed = [line.step for line in lines if line.status == "fail"]
    skipped = [line.step for line in lines if line.status == "skipped"]
    if failed:
        console.print(f"Not ready: {', '.join(failed)} failed.")
    elif skipped:
        console.print(f"What was checked passed; not checked: {', '.join(skipped)}.")
    elif options.dry_run:
        console.print("Every step passed. This was a dry run.")
    else:
        console.print(commands(read_version(ROOT)), markup=False)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
