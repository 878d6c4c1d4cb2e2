"""What commands share: naming a missing extra, quiet libraries, text safe for a terminal."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from polyrefuse.errors import MissingExtraError


@contextmanager
def needs_extra(name: str) -> Iterator[None]:
    """Name the extra that a command needs, where its packages are not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("polyrefuse"):
            raise  # a module of our own: a broken installation, not a missing extra
        raise MissingExtraError(
            f"this command needs the package {error.name!r}, which is not installed.",
            f"Run: pip install 'polyrefuse[{name}]'",
        ) from error


def quiet_libraries() -> None:
    """Keep other libraries' bars and advice off the screen; set before they are imported."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from transformers.utils import logging

    logging.disable_progress_bar()


def unexpected(error: Exception) -> str:
    """Return one line on an error that nobody foresaw: what it is, and how to see more of it."""
    from polyrefuse.observing import last_log
    from polyrefuse.observing.record import error_place, safe_line

    said = one_line(str(error).strip().partition("\n")[0])
    place = error_place(error)
    problem = f"{type(error).__name__}{': ' if said else ''}{said}{f' ({place})' if place else ''}"
    log = last_log()
    where = f" The log is {one_line(str(log))}." if log is not None and log.is_file() else ""
    return (
        f"unexpected error, a bug: {safe_line(problem)}. Run the command again with --debug for "
        f"the traceback, and report it.{where}"
    )


def one_line(text: str) -> str:
    """Return `text` on one line, control characters made visible."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in text)
