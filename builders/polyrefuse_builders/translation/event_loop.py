"""Run a coroutine to its end, or say in one line why no event loop can be made.

asyncio leaves a traceback on stderr when the handles of a new loop cannot be opened, and warns of
the coroutine that was never awaited; so they are tried first.
"""

import asyncio
import selectors
import socket
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from polyrefuse.errors import PolyRefuseError

T = TypeVar("T")


def run_to_end(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Return what the coroutine of ``make()`` returns, run in a loop of its own.

    Raises:
        PolyRefuseError: the process has no file handles left for a loop.
    """
    try:
        left, right = socket.socketpair()
        with left, right, selectors.DefaultSelector():
            pass
    except OSError as error:
        raise PolyRefuseError(
            f"Requests to a service could not be begun: {error.strerror}.",
            "Allow the process more open files (ulimit -n).",
        ) from error
    return asyncio.run(make())
