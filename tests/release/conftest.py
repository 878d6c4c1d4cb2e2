"""The repository as a stranger has it: its tracked files, in a git repository of their own."""

import shutil
import subprocess
from pathlib import Path

import pytest

from docs.release.build import tracked_files

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout; only git knows which files are part of it."""
    if subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, check=False).returncode:
        pytest.skip("NO RELEASE WAS CHECKED: this is not a git checkout, or git is not installed")
    return ROOT


def git(folder: Path, *arguments: str) -> None:
    name = ("-c", "user.name=Tester", "-c", "user.email=tester@localhost")
    subprocess.run(["git", *name, *arguments], cwd=folder, check=True, capture_output=True)


def commit_all(folder: Path) -> None:
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--message", "All of it")


@pytest.fixture
def repository(root, tmp_path) -> Path:
    """A copy of the tracked files, committed, that can be spoilt."""
    copy = tmp_path / "repository"
    for name in tracked_files(root):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / name, copy / name)
    git(copy, "init", "--quiet")
    commit_all(copy)
    return copy
