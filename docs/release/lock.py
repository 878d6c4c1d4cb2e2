"""Rewrite constraints.txt from pyproject.toml: all that an environment for development gets.

``make lock`` keeps today's pins and adds or removes what pyproject.toml made necessary;
``make lock UPGRADE=1`` forgets the pins and takes the newest releases that the ranges admit, and
``UPGRADE=name,name`` does so for these names alone. pip resolves, as if nothing were installed,
and installs nothing. The lock is for Python 3.11 on Linux and names no package index.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from rich.console import Console

from docs.release.requirements import CUDA_ONLY, LOCK, ROOT, read_lock

PYTHON = "3.11"
# Held whatever is upgraded: the build of torch that every figure of this repository was made with.
HELD = {"torch": "2.13.0"}
HEADER = f"""\
# The lock for development: all that `pip install -e .[all] --group dev` brings on Python {PYTHON}
# and Linux, with the CPU build of torch. Written by `make lock` from pyproject.toml; not by hand.
"""


def kept_pins(text: str, upgrade: Collection[str]) -> list[str]:
    """Return the pins of a lock that stay: all but those of `upgrade` ("*": of every package)."""
    forget = {canonicalize_name(name) for name in upgrade}
    pins = {} if "*" in upgrade else read_lock(text)
    kept = {name: str(version) for name, version in pins.items() if name not in forget}
    return [f"{name}=={version}" for name, version in sorted({**kept, **HELD}.items())]


def resolve(root: Path, pins: Iterable[str], folder: Path) -> dict[str, Any]:
    """Return pip's report on what it would install into an empty environment.

    Raises:
        subprocess.CalledProcessError: pip finds no solution; it says why on standard error.
    """
    (folder / "pins.txt").write_text("\n".join(pins) + "\n", encoding="utf-8")
    command = [
        sys.executable, "-m", "pip", "install", "-qq", "--dry-run", "--ignore-installed",
        "--report", str(folder / "report.json"), "--constraint", str(folder / "pins.txt"),
        "--editable", ".[all]", "--group", "dev",
    ]  # fmt: skip
    subprocess.run(command, cwd=root, check=True)
    report: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return report


def render_lock(report: Mapping[str, Any]) -> str:
    """Return the text of the lock: one ``name==version`` a line, sorted, without local labels."""
    pins = {}
    for item in report["install"]:
        name = item["metadata"]["name"]
        if canonicalize_name(name).startswith(CUDA_ONLY) or "dir_info" in item["download_info"]:
            continue
        pins[canonicalize_name(name)] = f"{name}=={item['metadata']['version'].partition('+')[0]}"
    return HEADER + "\n".join(pins[name] for name in sorted(pins)) + "\n"


def main() -> int:
    """Rewrite the lock; exit 1 with a line where this Python is not the lock's."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--upgrade", default="", help="names, comma-separated; 1: everything")
    names = parser.parse_args().upgrade
    console = Console(stderr=True, highlight=False)
    if platform.python_version_tuple()[:2] != tuple(PYTHON.split(".")):
        console.print(f"the lock is for Python {PYTHON}; this is {platform.python_version()}")
        return 1
    upgrade = {"*"} if names == "1" else set(filter(None, names.split(",")))
    path = ROOT / LOCK
    before = path.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        report = resolve(ROOT, kept_pins(before, upgrade), Path(folder))
    path.write_text(render_lock(report), encoding="utf-8")
    old, new = set(read_lock(before).items()), set(read_lock(render_lock(report)).items())
    for sign, changed in (("-", old - new), ("+", new - old)):
        for name, version in sorted(changed):
            console.print(f"{sign} {name}=={version}")
    console.print(f"{LOCK}: {len(new)} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
