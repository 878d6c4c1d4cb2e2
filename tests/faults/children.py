"""Commands as child processes of a fork server: started, killed, waited for."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATHS = [str(ROOT), str(ROOT / "builders"), str(ROOT / "evaluation")]
PATIENCE = 240.0
"""Seconds after which a child that does not end is killed, and the test fails."""


@dataclass
class Ended:
    """How a command ended; a negative `code` is the signal that ended it."""

    code: int
    stdout: str
    stderr: str
    seconds: float
    processor: float

    @property
    def complaint(self) -> list[str]:
        """The lines of stderr without those that announce a stage."""
        lines = self.stderr.strip().splitlines()
        return [line for line in lines if not line.endswith(" ...")]


@dataclass
class Child:
    """A command that runs."""

    children: "Children"
    pid: int
    side: Path
    began: float

    def kill(self, number: int) -> None:
        os.kill(self.pid, number)  # not waited for yet, so the pid is still its own

    def wait(self, patience: float = PATIENCE) -> Ended:
        guard = threading.Timer(patience, self.kill, [signal.SIGKILL])
        guard.start()
        answer = self.children.ask({"do": "wait", "pid": self.pid})
        guard.cancel()
        seconds = time.monotonic() - self.began
        assert seconds < patience, "the command hung"
        out, err = (
            (self.side / name).read_text("utf-8", "replace") for name in ("stdout", "stderr")
        )
        return Ended(answer["code"], out, err, seconds, answer["processor"])


@dataclass
class Children:
    """The fork server; `environment` is that of all children."""

    environment: dict[str, str] = field(default_factory=dict)

    def __enter__(self) -> "Children":
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        paths = {"PYTHONPATH": os.pathsep.join(PATHS)}
        self.server = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.fork_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, **threads, **paths, "HF_HUB_OFFLINE": "1", **self.environment},
        )
        assert self.server.stdout is not None
        assert "ready" in json.loads(self.server.stdout.readline())
        return self

    def __exit__(self, *_: Any) -> None:
        assert self.server.stdin is not None
        self.server.stdin.close()
        self.server.kill()
        self.server.wait()

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(json.dumps(request) + "\n")
        self.server.stdin.flush()
        return json.loads(self.server.stdout.readline())

    def warm(self, arguments: list[str], folder: Path) -> None:
        """Let the server run a command itself once."""
        self.ask({"do": "warm", "arguments": arguments, "folder": str(folder)})

    def start(
        self, arguments: list[str], folder: Path, side: Path | None = None, **fault: Any
    ) -> Child:
        """Start a command in `folder`; streams and unit log go beside it, into ``NAME.side``."""
        side = side or folder.with_name(f"{folder.name}.side")
        for path in (folder, side, side / "tmp"):
            path.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        answer = self.ask(
            {
                "do": "start",
                "arguments": arguments,
                "folder": str(folder),
                "stdout": str(side / "stdout"),
                "stderr": str(side / "stderr"),
                "units": str(side / "units"),
                "environment": {"TMPDIR": str(side / "tmp")},
                "fault": fault,
            }
        )
        return Child(self, answer["pid"], side, began)

    def run(self, arguments: list[str], folder: Path, **fault: Any) -> Ended:
        """Run a command to its end."""
        return self.start(arguments, folder, **fault).wait()


def units(folder: Path) -> int:
    """Return how many units of work were begun in `folder` so far."""
    log = folder.with_name(f"{folder.name}.side") / "units"
    return len(log.read_text().splitlines()) if log.is_file() else 0
