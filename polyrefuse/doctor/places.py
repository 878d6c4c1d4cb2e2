"""Can the folders that PolyRefuse writes to be written to, and is there room on disk and in memory?

Leaves nothing behind: a folder that is not there is not made.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from polyrefuse.doctor.finding import Finding

LITTLE_DISK = 2**30
LITTLE_MEMORY = 2**30
"""Bytes below which room is short: the planted models take about so much memory."""


def cache_folders(environment: Mapping[str, str]) -> dict[str, tuple[Path | None, str]]:
    """Return, by use, each cache folder and the variable that moves it elsewhere.

    A folder is None where the package that knows its place is not installed.
    """
    home = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    hugging_face = Path(environment.get("HF_HOME") or home / "huggingface").expanduser()
    hub = environment.get("HF_HUB_CACHE") or hugging_face / "hub"
    datasets = environment.get("HF_DATASETS_CACHE") or hugging_face / "datasets"
    return {
        "planted models": (_planted_cache(environment), "POLYREFUSE_CACHE"),
        "models and datasets of the Hub": (Path(hub).expanduser(), "HF_HOME"),
        "prepared datasets": (Path(datasets).expanduser(), "HF_DATASETS_CACHE"),
        "temporary files": (Path(tempfile.gettempdir()), "TMPDIR"),
    }


def _planted_cache(environment: Mapping[str, str]) -> Path | None:
    chosen = environment.get("POLYREFUSE_CACHE")
    if chosen:
        return Path(chosen)
    try:
        import platformdirs
    except Exception:  # missing, or broken: the packages' own finding says so
        return None
    return Path(platformdirs.user_cache_dir("polyrefuse"))


def examine_caches(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Yield a finding for each cache folder."""
    for use, (folder, variable) in cache_folders(environment).items():
        name = f"folder for {use}"
        if folder is None:
            yield Finding(name, "warning", "platformdirs cannot be imported, so it is not known")
            continue
        fault = unwritable(folder)
        if fault is not None:
            yield Finding(
                name,
                "problem",
                f"{folder}: cannot be written to ({fault})",
                f"Make it writable, or set {variable} to a folder that is.",
            )
            continue
        free = free_bytes(folder)
        room = "" if free is None else f", {free / 2**30:.1f} GiB free"
        if free is not None and free < LITTLE_DISK:
            yield Finding(
                name, "warning", f"{folder}: writable{room}", f"Free some space, or set {variable}."
            )
        else:
            yield Finding(name, "ok", f"{folder}: writable{room}")


def unwritable(folder: Path) -> str | None:
    """Return why no file can be made in a folder (or, if it is not there, the folder itself)."""
    here = _existing(folder)
    try:
        with tempfile.TemporaryFile(dir=here):
            return None
    except OSError as error:
        where = "" if here == folder else f"{here}: "
        return f"{where}{error.strerror or error}"


def free_bytes(folder: Path) -> int | None:
    """Return how much room there is where a folder is, or would be."""
    try:
        return shutil.disk_usage(_existing(folder)).free
    except OSError:
        return None


def _existing(folder: Path) -> Path:
    here = folder.absolute()
    while not here.exists() and here != here.parent:
        here = here.parent
    return here


def examine_memory() -> Iterator[Finding]:
    """Say how much memory there is."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return
    free = _available()
    if free is not None and free < LITTLE_MEMORY:
        detail = f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB available"
        yield Finding("memory", "warning", detail, "Close other programs, or lower --batch-tokens.")
        return
    room = "" if free is None else f"{free / 2**30:.1f} GiB available of "
    yield Finding("memory", "ok", f"{room}{total / 2**30:.1f} GiB, {os.cpu_count()} cores")


def _available() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        return next(int(x.split()[1]) * 1024 for x in lines if x.startswith("MemAvailable"))
    except (OSError, ValueError, StopIteration):
        return None
