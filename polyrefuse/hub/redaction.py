"""Keep tokens out of what the Hub client logs and warns of, while it works."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from polyrefuse.redaction import redact

LOGGERS = ("huggingface_hub", "httpx2", "httpcore2", "httpx", "httpcore")


class _Redacting(logging.Filter):
    """Rewrites every record: message, arguments and traceback."""

    def __init__(self, *secrets: str | None) -> None:
        super().__init__()
        self.secrets = secrets

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = redact(record.getMessage(), *self.secrets)
        record.args = ()
        record.exc_info = record.exc_text = None
        return True


@contextmanager
def redacted_logs(*secrets: str | None) -> Iterator[None]:
    """Redact what the Hub client logs or warns of while this is open."""
    redacting = _Redacting(*secrets)
    handlers = [handler for name in ("", *LOGGERS) for handler in logging.getLogger(name).handlers]
    targets: list[logging.Filterer] = [*map(logging.getLogger, LOGGERS), *handlers]
    for target in targets:
        target.addFilter(redacting)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_redacted(*secrets)
            yield
    finally:
        for target in targets:
            target.removeFilter(redacting)


def _show_redacted(*secrets: str | None) -> Callable[..., None]:
    """Return a `warnings.showwarning` that redacts, then shows as before."""
    show = warnings.showwarning

    def show_redacted(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        show(redact(str(message), *secrets), category, filename, lineno, file, line)

    return show_redacted
