"""SIGTERM ends a command as Ctrl-C does: what is open is closed, one line, exit code 130.

Schedulers and containers stop jobs with SIGTERM. Processes that a launcher started (``WORLD_SIZE``)
keep the system's way and end at once: they may be waiting for each other outside Python, and the
run directory needs no goodbye.
"""

import os
import signal
import threading
from types import FrameType


def end_on_sigterm() -> None:
    """Treat SIGTERM as Ctrl-C from now on, unless the caller ignores or handles it."""
    alone = os.environ.get("WORLD_SIZE", "1") == "1"
    ours = threading.current_thread() is threading.main_thread()
    if alone and ours and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(_: int, frame: FrameType | None) -> None:
    handler = signal.getsignal(signal.SIGINT)  # asyncio sets its own while it runs
    if not callable(handler):  # ignored, as in jobs that a shell starts in the background
        raise KeyboardInterrupt
    handler(signal.SIGINT, frame)
