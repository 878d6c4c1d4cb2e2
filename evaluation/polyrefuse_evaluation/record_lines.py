"""Append-only files of JSON lines: what is whole in them, and how to go on after a torn line.

An append is one write, flushed to disk. A kill, a full disk or a crash of the machine may leave its
end torn: a last line without its newline, or, where the disk kept some blocks of it and not others,
bytes that are no JSON. Such a line is none; what it held is done again. Knows nothing of schemas.
"""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_CHUNK = 65_536


def append_lines(path: Path, data: bytes) -> None:
    """Append whole lines in one write, flushed to disk; a torn last line is cut off before.

    Args:
        path: the file; made where it is missing.
        data: lines, each with its newline.

    Raises:
        OSError: they cannot be written; what was written of them is cut off again.
    """
    with path.open("ab", buffering=0) as stream:  # a buffer would be written again on closing
        end = stream.tell()
        start = whole_size(path) if end else 0
        if start < end:
            stream.truncate(start)
        left = memoryview(data)
        try:
            while left:
                left = left[stream.write(left) :]
            os.fsync(stream.fileno())
        except OSError:
            with suppress(OSError):  # the first error is the one to tell
                stream.truncate(start)
            raise


def whole_size(path: Path) -> int:
    """Return the number of bytes up to the end of the last whole line."""
    with path.open("rb") as stream:
        end = stream.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - _CHUNK)
            stream.seek(start)
            newline = stream.read(end - start).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            end = start
    return 0


def whole_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (line number, line without its newline) of every line that has its newline."""
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            if line.endswith(b"\n"):
                yield number, line[:-1]


def is_torn(line: bytes) -> bool:
    """Whether a line is no JSON at all, which no version ever wrote."""
    try:
        json.loads(line)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        return True
    return False
