"""The file of a run's log: lines are appended whole, and nothing about it ever stops a run.

``log.jsonl``, and ``log.N.jsonl`` of process N where several share a run: on a network file system
lines that two machines append to one file may be lost in each other. A disk that is full loses
lines, which is counted and said in the next line that fits. Nothing reads a log to decide anything.
"""

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from polyrefuse.observing.record import LogRecord, parse_line

LOG = "log.jsonl"


def log_file(folder: Path, process: int = 0) -> Path:
    """Return the log of one process of a run."""
    return folder / (f"log.{process}.jsonl" if process else LOG)


def now() -> str:
    """Return the time as a log has it: UTC, in milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class RunLog:
    """Appends to one file; `lost` counts the lines that could not be written."""

    def __init__(self, path: Path, process: int = 0) -> None:
        self.path = path
        self.process = process
        self.lost = 0
        self._torn = True  # the last line of whoever wrote before may be

    def write(self, *records: LogRecord) -> None:
        """Append lines in one write; never raises `OSError`."""
        lines = [replace(record, process=self.process).to_line() for record in records]
        if self.lost:
            lines.insert(0, self._loss().to_line())
        data = b"".join(lines)
        try:
            whole = self._append(data)
        except OSError:
            whole = False
        if whole:
            self.lost = 0
        else:
            self.lost += len(records)

    def _append(self, data: bytes) -> bool:
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            if self._torn and not _ends_with_newline(descriptor):
                data = b"\n" + data
            written = os.write(descriptor, data)
        finally:
            os.close(descriptor)
        self._torn = written < len(data)
        return not self._torn

    def _loss(self) -> LogRecord:
        message = f"{self.lost} lines of this log could not be written"
        return LogRecord(time=now(), event="warning", process=self.process, message=message)


def _ends_with_newline(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size == 0 or os.pread(descriptor, 1, size - 1) == b"\n"


def read_log(path: Path) -> list[LogRecord]:
    """Return the records of a log, in the order they were written; what is torn is left out.

    Raises:
        OSError: it is there and cannot be read.
    """
    if not path.is_file():
        return []
    found = map(parse_line, path.read_bytes().split(b"\n"))
    return [record for record in found if record is not None]
