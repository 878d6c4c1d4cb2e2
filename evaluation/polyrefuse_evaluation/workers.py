"""Processes that share one evaluation: who does what, and who waits for whom.

Started by ``accelerate launch`` or ``torchrun``, which set RANK, WORLD_SIZE and the rest. Process 0
leads: it owns the run directory and writes the result. Messages go over gloo, on the CPU, whatever
device the models are on. Knows nothing of models or prompts.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from polyrefuse.errors import PolyRefuseError, RunDirectoryError
from polyrefuse.observing import observed
from polyrefuse_evaluation.run_directory import SETTINGS, RunDirectory, open_run_directory

T = TypeVar("T")

MEETING = timedelta(minutes=10)
"""How long processes wait for each other to start."""

PATIENCE = timedelta(days=7)
"""How long one waits for others at work; when one dies, the launcher stops all, long before."""


class OtherProcessError(PolyRefuseError):
    """Another process of the same evaluation gave up; its own message says why."""


@dataclass(frozen=True)
class Workers:
    """This process among those that share the evaluation.

    Attributes:
        rank: number of this process, in [0, world).
        world: number of processes.
        group: the process group over which they talk; None alone.
    """

    rank: int = 0
    world: int = 1
    group: dist.ProcessGroup | None = None

    @property
    def leads(self) -> bool:
        """Whether this process owns the run directory and writes the result."""
        return self.rank == 0

    def share(self, items: Sequence[T]) -> list[T]:
        """Return this process's part: every world-th item."""
        return list(items[self.rank :: self.world])

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.world > 1:
            dist.barrier(self.group)

    def on_lead(self, action: Callable[[], T]) -> T:
        """Do something in process 0 only, and return its value in every process.

        Raises:
            OtherProcessError: in the other processes, where process 0 raised an error.
        """
        if self.world == 1:
            return action()
        said: list[Any] = [None, None]
        if self.leads:
            try:
                said[1] = action()
            except BaseException as error:
                said[0] = getattr(error, "exit_code", 1)
                dist.broadcast_object_list(said, src=0, group=self.group)
                raise
        dist.broadcast_object_list(said, src=0, group=self.group)
        if said[0] is not None:
            raise OtherProcessError(f"process {self.rank} stops: see the message of process 0.")
        value: T = said[1]
        return value

    def gather(self, items: Sequence[T]) -> list[T]:
        """Return the items of all processes, in the order that `share` took them apart.

        Args:
            items: one value for each item that `share` gave to this process.
        """
        if self.world == 1:
            return list(items)
        parts: list[Any] = [None] * self.world
        dist.all_gather_object(parts, list(items), group=self.group)
        longest = max(map(len, parts))
        return [part[at] for at in range(longest) for part in parts if at < len(part)]

    def device(self) -> str | None:
        """Return the device of this process, or None to leave the choice to `load_model`."""
        if self.world == 1 or not torch.cuda.is_available():
            return None
        return f"cuda:{int(os.environ.get('LOCAL_RANK', self.rank)) % torch.cuda.device_count()}"


@contextmanager
def join_workers() -> Iterator[Workers]:
    """Join the processes that a launcher started; alone without one.

    Raises:
        PolyRefuseError: the launcher's settings cannot be used.
    """
    size = os.environ.get("WORLD_SIZE", "1")
    try:
        world = int(size)
    except ValueError as error:
        raise PolyRefuseError(
            f"WORLD_SIZE is {size!r}, which is no number of processes.",
            "Unset it, or let 'accelerate launch' set it.",
        ) from error
    if world == 1:
        yield Workers()
        return
    try:
        dist.init_process_group("gloo", timeout=MEETING)
        group = dist.new_group(backend="gloo", timeout=PATIENCE)
    except (RuntimeError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise PolyRefuseError(
            f"WORLD_SIZE is {world}, but the processes cannot be joined: {reason}.",
            "Start with 'accelerate launch --num_processes N -m polyrefuse evaluate ...'.",
        ) from error
    try:
        yield Workers(dist.get_rank(), world, group)
    finally:
        dist.destroy_process_group()


@contextmanager
def open_shared_run(
    path: Path, settings: dict[str, Any], workers: Workers, stages: Sequence[str] = ()
) -> Iterator[RunDirectory]:
    """Open a run directory in process 0, and let the others write beside it, each its own log.

    Raises:
        RunDirectoryError: see `open_run_directory`; or another process does not see the directory.
    """
    with ExitStack() as stack:
        run = workers.on_lead(
            lambda: stack.enter_context(open_run_directory(path, settings, stages))
        )
        _require_same(path, workers, workers.on_lead(lambda: settings), settings)
        if not (path / SETTINGS).is_file():
            raise RunDirectoryError(
                f"{path}: process {workers.rank} does not see what process 0 wrote there.",
                "Choose a folder with --out that all machines share.",
            )
        if not workers.leads:
            stack.enter_context(observed(path, stages, process=workers.rank))
        yield run.join(workers.rank)
        workers.wait()  # the lock is held until the last process is done


def _require_same(path: Path, workers: Workers, first: dict[str, Any], own: dict[str, Any]) -> None:
    """Each process read model and prompts for itself: they must have read the same."""
    for key in sorted({*first, *own}):
        if first.get(key) != own.get(key):
            raise RunDirectoryError(
                f"{path}: process {workers.rank} has another {key} than process 0 "
                f"({own.get(key)!r} and {first.get(key)!r}).",
                "Model and prompts must be the same on all machines, and stay as they are.",
            )
