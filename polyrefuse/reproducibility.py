"""What of a result must be the same whenever it is made again: all of it, apart from times.

Which fields are times or name the machine is said here and nowhere else; and which seeds there are.
"""

import json
from typing import Any

from polyrefuse.errors import PolyRefuseError

TIMES = ("wall_seconds", "endpoint.first_answer", "endpoint.last_answer")
"""Fields of ``result.json`` that say when or how long."""

MACHINE = ("environment",)
"""Fields that name versions, device, threads and processes: the same on the same machine."""

MOST_SEED = 2**63 - 1


def require_seed(seed: int) -> None:
    """Raise `PolyRefuseError` for a seed that some generator does not take."""
    if not 0 <= seed <= MOST_SEED:
        raise PolyRefuseError(f"--seed is {seed}.", f"It must be from 0 to {MOST_SEED}.")


def without_times(text: str | bytes, *, machine: bool = False) -> bytes:
    """Return a ``result.json`` without its times: two runs that agree give the same bytes.

    Order of fields and every digit of every number stay as they are.

    Args:
        text: contents of the file.
        machine: leave out what names the machine, too: for runs on other machines, with another
            number of threads or processes.

    Raises:
        ValueError: it is no JSON object.
    """
    found: Any = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("a result is a JSON object")
    for name in (*TIMES, *(MACHINE if machine else ())):
        *outer, last = name.split(".")
        place = found
        for key in outer:
            place = place.get(key) or {}
        place.pop(last, None)
    return (json.dumps(found, indent=2, ensure_ascii=False) + "\n").encode("utf-8")
