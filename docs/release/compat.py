"""Install the wheel on the oldest and on the newest dependencies its ranges admit, and test it.

``make compat``: two fresh environments under ``.compat/``. Oldest: every direct dependency at its
lower bound, whatever those need at its newest. Newest: the newest releases that the ranges, the
other packages and this machine's own pip settings admit. The tests run in a copy of the repository
without the packages' code, so what they import is the installed wheel. The planted model is trained
with the lock's versions and only loaded here. The result of each kind is
kept in ``.compat/<kind>/result.json``; docs/compatibility.md is written from both
(`compat_page.py`).
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.version import Version
from rich.console import Console

from docs.release.build import build, tracked_files
from docs.release.compat_page import render_page
from docs.release.contents import PACKAGES
from docs.release.requirements import (
    ROOT,
    lower_bound,
    read_pyproject,
    runtime_requirements,
)
from polyrefuse_evaluation.planted import planted_pair

KINDS = ("oldest", "newest")
WHERE = ROOT / ".compat"
PAGE = ROOT / "docs" / "compatibility.md"
TOOLS = ("pytest>=8.4", "pytest-timeout>=2.4", "hypothesis>=6.140")
TESTS = (
    "tests/compat",
    "tests/polyrefuse",
    "tests/builders/test_build.py",
    "tests/builders/test_card.py",
    "tests/evaluation/test_models.py",
    "tests/evaluation/test_ablation.py",
    "tests/evaluation/test_ablation_proof.py",
    "tests/evaluation/test_row_ablation.py",
    "tests/evaluation/test_residual_stream.py",
    "tests/evaluation/test_selection.py",
    "tests/evaluation/test_generation.py",
    "tests/evaluation/judges/test_keyword_judge.py",
    "tests/evaluation/leaderboard/test_submission.py",
    "tests/evaluation/leaderboard/test_verify.py",
    "tests/evaluation/report/test_html.py",
    "tests/evaluation/report/test_figures.py",
)
# Timed on the lock's packages by `make test`; here other work may share the machine.
LEFT_OUT = (
    "test_help_takes_less_than_half_a_second",
    # What doctor says of a checkout, of the lock's packages, and where no cache is named.
    "test_without_torch_with_no_place_for_a_cache_and_without_chromium",
    "test_where_nothing_is_broken_it_exits_0",
    "test_without_any_extra_it_still_runs_and_exits_0",
    "test_programs_of_tests_are_looked_for_in_a_checkout_only",
)
VERSIONS = """
import json, sys
from importlib.metadata import version
print(json.dumps({name: version(name) for name in sys.argv[1:]}))
"""


def oldest_pins(requirements: Mapping[str, Requirement]) -> list[str]:
    """Return a pin at the lower bound of every direct dependency.

    Raises:
        ValueError: a dependency states no lower bound.
    """
    bounds = {name: lower_bound(requirement) for name, requirement in requirements.items()}
    if without := [name for name, bound in bounds.items() if bound is None]:
        raise ValueError(f"no lower bound for {', '.join(without)}")
    return [f"{name}=={bound}" for name, bound in bounds.items()]


def wrong_versions(
    kind: str, requirements: Mapping[str, Requirement], versions: Mapping[str, str]
) -> list[str]:
    """Return one line for each direct dependency that is not the version its kind must have."""
    wrong = []
    for name, requirement in requirements.items():
        found = Version(Version(versions[name]).public)
        if kind == "oldest" and found != lower_bound(requirement):
            wrong.append(f"{name} {found} is not its lower bound, {lower_bound(requirement)}")
        if not requirement.specifier.contains(found):
            wrong.append(f"{name} {found} is outside '{requirement}'")
    return wrong


def install(
    kind: str, wheel: Path, folder: Path, requirements: Mapping[str, Requirement], *, keep: bool
) -> Path:
    """Make a fresh environment with the wheel, all extras and the test tools; return its Python.

    With `keep`, an environment that is there is used again, and the wheel in it replaced.

    Raises:
        subprocess.CalledProcessError: pip finds no solution; it says why on standard error.
    """
    python = folder / "env" / "bin" / "python"
    if not keep or not python.exists():
        shutil.rmtree(folder / "env", ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder / "env")], check=True)
    pins = folder / "pins.txt"
    lines = oldest_pins(requirements) if kind == "oldest" else []
    pins.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    # Isolated: a build's leftovers in the checkout must not look like an installation.
    pip = [str(python), "-I", "-m", "pip", "install", "-qq"]
    subprocess.run([*pip, "--upgrade", "pip>=25.1"], check=True)
    subprocess.run([*pip, "--constraint", str(pins), f"{wheel}[all]", *TOOLS], check=True)
    subprocess.run([*pip, "--no-deps", "--force-reinstall", str(wheel)], check=True)
    subprocess.run([str(python), "-I", "-m", "pip", "check"], check=True, stdout=subprocess.DEVNULL)
    return python


def copy_without_packages(folder: Path) -> None:
    """Copy the repository without the code of its packages: an import finds the installed wheel."""
    shutil.rmtree(folder, ignore_errors=True)
    code = tuple(f"{package}/" for package in PACKAGES.values())
    for name in tracked_files(ROOT):
        if not (name.startswith(code) and name.endswith(".py")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


def run_tests(kind: str, python: Path, folder: Path, tests: Sequence[str]) -> dict[str, Any]:
    """Run tests against an installation; return the counts, and why some were skipped."""
    copy_without_packages(folder / "tree")
    shared, link = ROOT.parent / "shared", folder / "shared"
    if shared.is_dir() and not link.exists():  # what some tests read beside a checkout
        link.symlink_to(shared.resolve())
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {
        "OMP_NUM_THREADS": "1",
        "POLYREFUSE_CACHE": str(WHERE / "cache"),
        "POLYREFUSE_COMPAT": kind,
        "POLYREFUSE_COMPAT_MODEL": str(planted_pair("single").folder / "tuned"),
    }
    deselect = ["-k", " and ".join(f"not {name}" for name in LEFT_OUT)]
    report = folder / "junit.xml"
    command = [
        str(python),
        "-P",
        "-m",
        "pytest",
        "-q",
        "-o",
        "pythonpath=.",
        "-p",
        "no:cacheprovider",
    ]
    command += ["--timeout", "1800", f"--junitxml={report}", *deselect, *tests]
    report.unlink(missing_ok=True)
    done = subprocess.run(command, cwd=folder / "tree", env=environment, check=False)
    if not report.exists():
        return {
            "exit_code": done.returncode,
            "passed": 0,
            "failed": ["no test started"],
            "skipped": [],
        }
    return {"exit_code": done.returncode, **count_tests(report.read_text(encoding="utf-8"))}


def count_tests(junit: str) -> dict[str, Any]:
    """Return what a JUnit report says: passed, failed, skipped (with reasons)."""
    cases = list(ET.fromstring(junit).iter("testcase"))  # noqa: S314 - pytest's own
    failed = [case.get("name") for case in cases if {"failure", "error"} & {c.tag for c in case}]
    skipped = [child.get("message") for case in cases for child in case if child.tag == "skipped"]
    passed = len(cases) - len(failed) - len(skipped)
    reasons = {str(reason).replace(f"{ROOT}/", "") for reason in skipped}
    return {"passed": passed, "failed": failed, "skipped": sorted(reasons)}


def try_kind(
    kind: str, requirements: Mapping[str, Requirement], *, keep: bool = False
) -> dict[str, Any]:
    """Build, install and test one kind; write and return its result."""
    folder, start = WHERE / kind, time.monotonic()
    shutil.rmtree(folder / "dist", ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").unlink(missing_ok=True)
    wheel, _ = build(ROOT, folder / "dist")
    python = install(kind, wheel, folder, requirements, keep=keep)
    command = [str(python), "-I", "-c", VERSIONS, *requirements]
    versions = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "kept": keep,
        "versions": versions,
        "wrong": wrong_versions(kind, requirements, versions),
        **run_tests(kind, python, folder, TESTS),
        "minutes": round((time.monotonic() - start) / 60, 1),
    }
    (folder / "result.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
    return result


def main() -> int:
    """Try one kind or both; write the page from the results of both; exit 1 if one failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", choices=KINDS, help="leave the other kind's result as it is")
    parser.add_argument("--keep", action="store_true", help="use the environments that are there")
    parser.add_argument("--page", action="store_true", help="only write the page again")
    options = parser.parse_args()
    kinds = [] if options.page else [options.only] if options.only else list(KINDS)
    console, requirements = Console(highlight=False), runtime_requirements(read_pyproject())
    for kind in kinds:
        result = try_kind(kind, requirements, keep=options.keep)
        console.print(f"{kind}: {result['passed']} passed, {len(result['failed'])} failed")
    paths = {kind: WHERE / kind / "result.json" for kind in KINDS}
    if missing := [kind for kind, path in paths.items() if not path.is_file()]:
        console.print(f"no result yet: {', '.join(missing)}; {PAGE.name} is left as it is")
        return 1
    results = {k: json.loads(path.read_text(encoding="utf-8")) for k, path in paths.items()}
    PAGE.write_text(render_page(requirements, results), encoding="utf-8")
    return int(any(r["exit_code"] or r["wrong"] for r in results.values()))


if __name__ == "__main__":
    sys.exit(main())
