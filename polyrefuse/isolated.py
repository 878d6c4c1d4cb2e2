"""Run a decoder in a child process, because bytes made to do harm may crash it or fill the memory.

Readers in C++ abort on what they did not expect, and no exception tells. In a child with limits
that is a fault of the file: the caller gets an error, and the run goes on. One child serves many
calls, one after the other; a call while it is busy starts another. Decoders are named, their
arguments and results are bytes: nothing is unpickled. Knows no format.
"""

import atexit
import importlib
import json
import os
import resource
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import IO

Decoder = Callable[[bytes], Iterator[bytes]]

MEMORY = 4 * 1024**3
"""Bytes of address space that a child may take, itself included."""
SECONDS = 600
"""Processor seconds for one call."""
LONGEST_MESSAGE = 2000

_REQUEST = struct.Struct(">QQ")
_ANSWER = struct.Struct(">cQ")
_PIECE, _END, _ERROR = b"p", b".", b"e"
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from polyrefuse.isolated import serve; serve(int(sys.argv[2]), int(sys.argv[3]))"
)


class DecodingError(ValueError):
    """The decoder refused the bytes; its own words."""


class CrashedError(ValueError):
    """The decoder's process ended in the middle: a crash, or a limit."""


def isolated(decoder: str, argument: bytes) -> Iterator[bytes]:
    """Yield what a decoder yields for `argument`, run in a child.

    Args:
        decoder: ``module:function``, which takes bytes and yields bytes.
        argument: given to it.

    Raises:
        DecodingError: it raised an exception; one line.
        CrashedError: its process ended.
        OSError: no child can be started.
    """
    child = _take()
    sound = False
    try:
        child.ask(decoder, argument)
        while True:
            kind, data = child.answer()
            if kind == _PIECE:
                yield data
                continue
            sound = True
            if kind == _ERROR:
                raise DecodingError(data.decode("utf-8", "replace"))
            return
    finally:
        if sound:
            _idle.append(child)
        else:
            child.kill()


class _Child:
    """A process that decodes, as its parent sees it."""

    def __init__(self) -> None:
        words = [json.dumps(sys.path), str(MEMORY), str(SECONDS)]
        self._process = subprocess.Popen(  # noqa: S603 - this very program
            # -P: no module is taken from a folder only because the command runs there.
            [sys.executable, "-P", "-c", _START, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._owner = os.getpid()

    @property
    def usable(self) -> bool:
        """Whether it runs, and is ours: a fork of its parent must not talk to it."""
        return self._owner == os.getpid() and self._process.poll() is None

    def ask(self, decoder: str, argument: bytes) -> None:
        assert self._process.stdin is not None
        name = decoder.encode()
        try:
            self._process.stdin.write(_REQUEST.pack(len(name), len(argument)) + name + argument)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._crashed() from None

    def answer(self) -> tuple[bytes, bytes]:
        kind, length = _ANSWER.unpack(self._read(_ANSWER.size))
        return kind, self._read(length)

    def _read(self, length: int) -> bytes:
        assert self._process.stdout is not None
        data = self._process.stdout.read(length)
        if len(data) < length:
            raise self._crashed()
        return data

    def _crashed(self) -> CrashedError:
        code = self._process.wait()
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return CrashedError(f"the process that read it was ended {how}")

    def kill(self) -> None:
        if self._owner == os.getpid():
            self._process.kill()
            self.close()

    def close(self) -> None:
        """Wait for its end, which comes with that of its input."""
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                if stream is not None:
                    stream.close()
        self._process.wait()


_idle: list[_Child] = []


def _take() -> _Child:
    while _idle:
        child = _idle.pop()
        if child.usable:
            return child
    return _Child()


@atexit.register
def _close_all() -> None:
    while _idle:
        child = _idle.pop()
        if child.usable:
            child.close()


def serve(memory: int, seconds: int) -> None:
    """Decode what is asked for on standard input until it ends; the child's whole life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends our input
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    for limit, value in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CORE, 0)):
        with suppress(ValueError, OSError):  # a stricter one stands
            resource.setrlimit(limit, (value, value))
    while header := requests.read(_REQUEST.size):
        name, argument = map(requests.read, _REQUEST.unpack(header))
        _limit_seconds(seconds)
        try:
            for piece in _find(name.decode())(argument):
                _send(answers, _PIECE, piece)
        except BrokenPipeError:
            return  # the parent has gone
        except Exception as error:
            _send(answers, _ERROR, describe(error).encode("utf-8", "replace"))
        else:
            _send(answers, _END, b"")


def describe(error: Exception) -> str:
    """Return the first line of an error's message, or its type."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return line[:LONGEST_MESSAGE]


def _limit_seconds(seconds: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    with suppress(ValueError, OSError):
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        soft = int(used.ru_utime + used.ru_stime) + seconds
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def _find(name: str) -> Decoder:
    module, _, function = name.partition(":")
    found: Decoder = getattr(importlib.import_module(module), function)
    return found


def _send(answers: IO[bytes], kind: bytes, data: bytes) -> None:
    answers.write(_ANSWER.pack(kind, len(data)) + data)
    answers.flush()
