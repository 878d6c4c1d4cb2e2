"""The log of a run: one JSON line a stage, with its seconds and the memory it reached.

Appended to ``log.jsonl``; a resumed run adds lines. Nothing reads it back to decide anything.
"""

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict

from polyrefuse_evaluation.run_directory import RunDirectory

LOG = "log.jsonl"


class LogRecord(BaseModel):
    """One stage of a run.

    Attributes:
        at: when it ended, UTC.
        stage: what was done.
        seconds: wall time.
        memory_mib: most memory that the process has had in use so far, in MiB.
        processes: processes that shared it.
        items: what there was to do: answers, source languages.
        error: why it ended early, as the name of the error; None where it did not.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: datetime
    stage: str
    seconds: float
    memory_mib: float
    processes: int
    items: int | None = None
    error: str | None = None


@contextmanager
def logged(
    run: RunDirectory, stage: str, *, processes: int = 1, items: int | None = None
) -> Iterator[None]:
    """Log a stage as it ends; only process 0 writes."""
    started, error = time.monotonic(), None
    try:
        yield
    except BaseException as stopped:
        error = type(stopped).__name__
        raise
    finally:
        record = LogRecord(
            at=datetime.now(UTC),
            stage=stage,
            seconds=round(time.monotonic() - started, 3),
            memory_mib=_peak_memory(),
            processes=processes,
            items=items,
            error=error,
        )
        if run.worker == 0:
            run.append(LOG, [record])


def _peak_memory() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)
