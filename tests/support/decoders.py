"""Decoders that do what hostile bytes make real ones do; run by name in a child process."""

import os
import resource
import signal
import sys
import time
from collections.abc import Iterator


def repeat(argument: bytes) -> Iterator[bytes]:
    """Yield the argument three times."""
    yield from [argument] * 3


def who(_: bytes) -> Iterator[bytes]:
    """Yield the process that decodes."""
    yield str(os.getpid()).encode()


def refuse(_: bytes) -> Iterator[bytes]:
    """Yield one piece, then raise."""
    yield b"one"
    raise KeyError("no such\nthing")


def abort(_: bytes) -> Iterator[bytes]:
    """Yield one piece, then crash as C++ does on an exception that nobody catches."""
    yield b"one"
    os.abort()


def leave(_: bytes) -> Iterator[bytes]:
    """End the process without a word."""
    yield b"one"
    os._exit(3)


def fill(argument: bytes) -> Iterator[bytes]:
    """Take as many bytes as the argument says."""
    yield str(len(bytearray(int(argument)))).encode()


def never_end(_: bytes) -> Iterator[bytes]:
    """Work for ever, once the limit on processor time is a second away."""
    used = time.process_time()
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(used) + 1, hard))
    while True:
        yield from ()


def chatter(argument: bytes) -> Iterator[bytes]:
    """Print to both streams, as libraries do, and yield the argument."""
    sys.stdout.write("chatter\n" * 1000)
    sys.stdout.flush()
    os.write(1, b"chatter\n")
    os.write(2, b"chatter\n")
    yield argument


def interrupt(argument: bytes) -> Iterator[bytes]:
    """Be sent Ctrl-C, and yield the argument."""
    os.kill(os.getpid(), signal.SIGINT)
    yield argument
