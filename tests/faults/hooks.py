"""What a child does to itself: counts its writes, dies at one of them, tears one, turns time back.

Lives in the tests only: the product knows none of it. An *event* is a step at which the disk is
about to change below the case's folder: a file opened for writing, a rename, a removal, a new
folder, an fsync.
"""

import atexit
import builtins
import io
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

EVENTS = {"os.rename": (0, 1), "os.remove": (0,), "os.mkdir": (0,), "os.rmdir": (0,)}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def install(fault: dict[str, Any], folder: Path, units: Path) -> None:
    """Arm `fault` for the command that follows.

    Args:
        fault: ``event`` and ``signal``: die at that event; ``torn``: let that event write half of
            its data first; ``clock``: seconds that each look at the clock goes back; ``plant``:
            name of a fault planted in the product, see `plants`.
        folder: events are counted below it.
        units: file that gets a line for each unit of paid work, and at the end one for the events.
    """
    Watch(fault, folder.resolve(), units).install()
    log_units(units)
    if fault.get("clock"):
        turn_clock_back(fault["clock"])
    if fault.get("plant"):
        from tests.faults import plants

        getattr(plants, fault["plant"])()


class Watch:
    """Counts events and ends the process at the one that was asked for."""

    def __init__(self, fault: dict[str, Any], folder: Path, units: Path) -> None:
        self.folder = f"{folder}{os.sep}"
        self.at = fault.get("event", 0)
        self.number = getattr(signal, fault.get("signal", "SIGKILL"))
        self.torn = bool(fault.get("torn"))
        self.units = units
        self.count = 0

    def install(self) -> None:
        sys.addaudithook(self.audit)
        atexit.register(lambda: self.units.with_name("events").write_text(str(self.count)))
        sync = os.fsync

        def fsync(descriptor: int) -> None:
            if str(Path(f"/proc/self/fd/{descriptor}").readlink()).startswith(self.folder):
                self.step()
            sync(descriptor)

        os.fsync = fsync
        if self.torn:
            self.tear_writes()

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            writes = flags & WRITING if isinstance(flags, int) else False
            if mode is not None:
                writes = any(letter in mode for letter in "wxa+")
            if writes and self.inside(path):
                self.step()
        elif event in EVENTS and any(self.inside(arguments[at]) for at in EVENTS[event]):
            self.step()

    def inside(self, path: Any) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        return os.path.abspath(os.fsdecode(path)).startswith(self.folder)  # noqa: PTH100

    def step(self) -> None:
        self.count += 1
        if self.count == self.at and not self.torn:
            self.die()

    def die(self) -> None:
        os.kill(os.getpid(), self.number)

    def tear_writes(self) -> None:
        """Wrap files opened for writing: from the event on, the first write is half a write."""
        watch, opened = self, io.open

        class Torn(io.FileIO):
            def write(self, data: Any) -> int:
                written = super().write(bytes(data)[: max(1, len(data) // 2)])
                if watch.count >= watch.at:
                    os.fsync(self.fileno())
                    watch.die()
                return written

        def tearing(file: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
            writes = any(letter in mode for letter in "wa") and watch.inside(file)
            if not writes or watch.count < watch.at:
                return opened(file, mode, *rest, **named)
            torn = Torn(file, mode.replace("b", "").replace("t", ""))
            return torn if "b" in mode else io.TextIOWrapper(torn, "utf-8", write_through=True)

        io.open = builtins.open = tearing


def log_units(path: Path) -> None:
    """Log every generated batch and every file of activations, before it is made."""
    from polyrefuse_evaluation import generation
    from polyrefuse_evaluation.geometry.store import ActivationStore

    def note(kind: str) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(descriptor, f"{kind}\n".encode())
        os.close(descriptor)

    made, write = generation.generate, ActivationStore.write

    def generate(*arguments: Any, **named: Any) -> Any:
        note("batch")
        return made(*arguments, **named)

    def store(self: ActivationStore, *arguments: Any, **named: Any) -> None:
        note("activations")
        write(self, *arguments, **named)

    replace_everywhere(made, generate)
    ActivationStore.write = store


def replace_everywhere(old: Callable[..., Any], new: Callable[..., Any]) -> None:
    """Replace a function in every module of the packages that imported it by name."""
    for name, module in list(sys.modules.items()):
        if name.startswith("polyrefuse"):
            for key, value in list(vars(module).items()):
                if value is old:
                    setattr(module, key, new)


def turn_clock_back(seconds: float) -> None:
    """Let each look at the wall clock show an earlier time than the last."""
    looks = [0]
    real = time.time

    def now() -> float:
        looks[0] += 1
        return real() - seconds * looks[0]

    class Backwards(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            looks[0] += 1
            return datetime.now(tz or UTC) - timedelta(seconds=seconds * looks[0])

    time.time = now
    replace_everywhere(datetime, Backwards)
