"""No handles for an event loop: one error, nothing on stderr, and no coroutine begun."""

import subprocess
import sys

import pytest

STARVED = """
import asyncio, os, resource, sys
from polyrefuse.errors import PolyRefuseError
from polyrefuse_builders.translation.event_loop import run_to_end

async def work():
    return "done"

free = os.dup(0)
os.close(free)
resource.setrlimit(resource.RLIMIT_NOFILE, (free + int(sys.argv[2]), free + 64))
try:
    print({"product": run_to_end, "plain": lambda make: asyncio.run(make())}[sys.argv[1]](work))
except (PolyRefuseError, OSError) as error:
    print(error)
"""


def starve(way: str, handles: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", STARVED, way, str(handles)],
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.mark.parametrize("handles", [0, 1, 2])
def test_too_few_handles_for_a_loop_are_one_error_and_nothing_else(handles: int) -> None:
    ended = starve("product", handles)
    assert ended.stdout.startswith("Requests to a service could not be begun: Too many open files")
    assert ended.stderr == ""


def test_with_handles_enough_the_result_comes_back() -> None:
    assert starve("product", 3).stdout == "done\n"


def test_plain_asyncio_says_more_than_one_line() -> None:
    """What the module is for; when this fails it can go."""
    assert "Traceback" in starve("plain", 1).stderr
