"""Small file systems of their own, mounted for one test: to be filled, or made read-only."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """Mount a tmpfs of `size` bytes on `folder` until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    made = _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    if os.getuid() or made.returncode:
        pytest.skip(f"NO SMALL DISK WAS MADE: it takes root and tmpfs ({made.stderr.strip()})")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    """Change the options of a mounted disk: its size, ``ro``, ``rw``."""
    made = _mount("-o", f"remount,{options}", str(folder))
    assert made.returncode == 0, made.stderr


def _mount(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)


def size_of(folder: Path) -> int:
    """Return the bytes that a folder takes on a tmpfs: whole pages."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return sum(-(-path.stat().st_size // 4096) * 4096 for path in files)
