"""Observe a run: its log, and what ``polyrefuse status`` reads from it."""

from polyrefuse.observing.run_log import LOG, log_file, read_log
from polyrefuse.observing.stages import (
    Part,
    advance,
    count_to,
    expect,
    last_log,
    observed,
    stage,
    warn,
)

__all__ = [
    "LOG",
    "Part",
    "advance",
    "count_to",
    "expect",
    "last_log",
    "log_file",
    "observed",
    "read_log",
    "stage",
    "warn",
]
