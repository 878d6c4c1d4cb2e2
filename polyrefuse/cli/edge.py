"""The edge of the process: what is printed holds no secret and no command for the terminal.

Commands make hostile text visible where they print it; this is the last look, at everything:
tables, usage errors, library warnings and tracebacks alike. Of the escape sequences, only colours
and those that redraw a progress bar pass, and only where the stream is a terminal.
"""

import io
import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TextIO

from polyrefuse.redaction import redact

DRAWING = re.compile(r"\x1b\[(?:[0-9;]*m|2K|[0-9]*A|\?25[hl])|\r")
"""What rich writes: colours, erase this line, lines up, hide and show the cursor."""
_HOSTILE = "\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_CONTROL = re.compile(f"[{_HOSTILE}]")
_CONTROL_BUT_DRAWING = re.compile(rf"(?P<keep>{DRAWING.pattern})|[{_HOSTILE}]")
SHOWN = "\ufffd"


def harmless(text: str, *, drawing: bool = False) -> str:
    """Return `text` with control characters, direction overrides and lone surrogates made visible.

    Args:
        text: anything; line breaks and tabs stay.
        drawing: let colours and the redrawing of progress bars pass.
    """
    if not drawing:
        return _CONTROL.sub(SHOWN, text.replace("\r\n", "\n"))
    return _CONTROL_BUT_DRAWING.sub(lambda found: found["keep"] or SHOWN, text)


class SafeStream:
    """A text stream that redacts what is written to it, and makes control characters visible."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write `text`, redacted and harmless; return its length as given."""
        drawing = bool(self._stream.isatty() or os.environ.get("FORCE_COLOR"))
        self._stream.write(harmless(redact(text), drawing=drawing))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write each of `lines`."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def safe_output() -> Iterator[None]:
    """Let nothing reach standard output or standard error but through a `SafeStream`."""
    _open_missing_streams()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(_safe, before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        sys.excepthook = say_traceback  # at the end, and for good: typer puts its own there


def _open_missing_streams() -> None:
    """Discard what is written to a stream that was closed, as of a job without a terminal.

    Left closed, its descriptor would go to the next file that is opened, and be written to.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:  # the lowest that is free is opened: this one
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            discarded = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(discarded, "w" if descriptor else "r", encoding="utf-8"))


def _safe(stream: Any) -> Any:
    if isinstance(stream, SafeStream):
        return stream
    if isinstance(stream, io.TextIOWrapper):  # one that is not UTF-8 lacks some of what is said
        stream.reconfigure(errors="backslashreplace")
    return SafeStream(stream)


def say_traceback(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print a traceback to standard error, redacted and harmless: a `sys.excepthook`."""
    _safe(sys.stderr).write("".join(traceback.format_exception(kind, error, trace)))
