"""What must be in a wheel and in an sdist, and what must not: every fault, one line each.

The wheel holds the files that git tracks in the three packages, and nothing else but its metadata;
the sdist holds all files that git tracks. Both rules are exact, so a template that package-data
forgets is a fault, and so is a file nobody asked for. Knows names, not contents.
"""

import argparse
import sys
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from rich.console import Console

from docs.release.build import tracked_files
from docs.release.requirements import ROOT

PACKAGES = {
    "polyrefuse": "polyrefuse",
    "polyrefuse_builders": "builders/polyrefuse_builders",
    "polyrefuse_evaluation": "evaluation/polyrefuse_evaluation",
}
METADATA = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "top_level.txt", "licenses/LICENSE"}
# Folders and endings that are never part of an installation, even if somebody commits them.
NEVER_FOLDERS = {
    "tests",
    "benchmarks",
    "docs",
    "runs",
    "__pycache__",
    ".pytest_cache",
    ".hypothesis",
}
NEVER_ENDINGS = {".pyc", ".pyo", ".so", ".safetensors", ".pkl", ".log", ".orig", ".tmp"}
GENERATED = ("PKG-INFO", "setup.cfg", "polyrefuse.egg-info/")


def names_in(path: Path) -> list[str]:
    """Return the names of the files in a wheel or an sdist."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            return [name for name in archive.namelist() if not name.endswith("/")]
    with tarfile.open(path) as archive:
        return [member.name for member in archive if member.isfile()]


def expected_in_wheel(tracked: Iterable[str]) -> set[str]:
    """Return what the packages in a wheel must hold, given the files that git tracks."""
    return {
        f"{package}/{name.removeprefix(folder + '/')}"
        for name in tracked
        for package, folder in PACKAGES.items()
        if name.startswith(folder + "/")
    }


def wheel_faults(names: Iterable[str], tracked: Iterable[str]) -> list[str]:
    """Return what is wrong with the names in a wheel: nothing, if the list is empty."""
    names = set(names)
    metadata = {name for name in names if name.split("/")[0].endswith(".dist-info")}
    inner = {name.partition("/")[2] for name in metadata}
    code, expected = names - metadata, expected_in_wheel(tracked)
    faults = [f"missing from the wheel: {name}" for name in sorted(expected - code)]
    faults += [f"not part of a package: {name}" for name in sorted(code - expected)]
    faults += [f"never in a wheel: {name}" for name in sorted(code) if is_never_shipped(name)]
    faults += [f"missing from the metadata: {name}" for name in sorted(METADATA - inner)]
    return faults


def is_never_shipped(name: str) -> bool:
    """Whether a path is a cache, a test or another thing that no installation holds."""
    path = PurePosixPath(name)
    return bool(NEVER_FOLDERS & set(path.parts)) or path.suffix in NEVER_ENDINGS


def sdist_faults(names: Iterable[str], tracked: Iterable[str]) -> list[str]:
    """Return what is wrong with the names in an sdist: nothing, if the list is empty."""
    inner = {name.partition("/")[2] for name in names}
    own = {name for name in inner if not name.startswith(GENERATED)}
    expected = set(tracked)
    faults = [f"missing from the sdist: {name}" for name in sorted(expected - own)]
    faults += [f"not a tracked file: {name}" for name in sorted(own - expected)]
    if "PKG-INFO" not in inner:
        faults.append("missing from the sdist: PKG-INFO")
    return faults


def faults_of(path: Path, root: Path = ROOT) -> list[str]:
    """Return what is wrong with a wheel or an sdist of the repository at `root`."""
    tracked = [name for name in tracked_files(root) if not (root / name).is_symlink()]
    check = wheel_faults if path.suffix == ".whl" else sdist_faults
    return check(names_in(path), tracked)


def main() -> int:
    """Check files; print the faults; exit 1 if there are any."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("files", type=Path, nargs="+")
    console, faults = Console(highlight=False), 0
    for path in parser.parse_args().files:
        found = faults_of(path)
        faults += len(found)
        for fault in found:
            console.print(f"{path.name}: {fault}", markup=False)
        console.print(f"{path.name}: {len(names_in(path))} files, {len(found)} faults")
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
