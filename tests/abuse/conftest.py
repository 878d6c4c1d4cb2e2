"""What the abuse suite shares: the command line in this process, a small dataset and model."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from polyrefuse.cli import main
from tests.abuse.terminal import assert_harmless
from tests.support.inputs import copy_english_and_thai, copy_planted_model

ROOT = Path(__file__).parents[2]


@dataclass
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The only line on standard error."""
        (line,) = self.err.strip("\n").split("\n")
        assert line.startswith("polyrefuse: "), line
        return line


@pytest.fixture
def run(monkeypatch, capsys) -> Callable[..., Done]:
    """Return a function that runs `polyrefuse` here, and checks what every command owes."""

    def command(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["polyrefuse", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        shown = capsys.readouterr()
        done = Done(code, shown.out, shown.err)
        assert_harmless(done.out + done.err)
        assert "Traceback" not in done.err
        return done

    return command


@pytest.fixture
def refused(run) -> Callable[..., str]:
    """Return a function that runs a command which must end with code 2; returns its line."""

    def command(*arguments: object) -> str:
        done = run(*arguments)
        assert done.code == 2, done.out + done.err
        return done.line

    return command


@pytest.fixture
def dataset(tmp_path) -> Path:
    """A dataset folder that can be spoilt: English and Thai of the sample."""
    return copy_english_and_thai(tmp_path / "dataset")


@pytest.fixture
def model(tmp_path) -> Path:
    """A model folder that can be spoilt: the planted model, as a checkpoint."""
    return copy_planted_model(tmp_path / "model")


def change_json(path: Path, **changes: object) -> None:
    """Set fields of a JSON file."""
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content | changes), encoding="utf-8")


@pytest.fixture
def process() -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Return a function that runs `polyrefuse` in a process of its own."""

    def command(*arguments: object, **options) -> subprocess.CompletedProcess[bytes]:
        environment = os.environ | {"HF_HUB_OFFLINE": "1", "COLUMNS": "80"} | options.pop("env", {})
        return subprocess.run(
            [sys.executable, "-m", "polyrefuse", *arguments],
            env=environment,
            capture_output=True,
            check=False,
            timeout=120,
            **options,
        )

    return command
