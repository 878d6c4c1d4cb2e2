"""How long a server asks to wait, and a pause that all requests keep together."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Event, Lock


def asked_wait(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a reply's headers ask to wait, or None."""
    try:
        return max(0.0, float(headers.get("retry-after-ms", "")) / 1000)  # OpenAI's and Azure's
    except ValueError:
        return retry_after(headers.get("retry-after"))


def retry_after(header: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for (a number or a date), or None."""
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            until = parsedate_to_datetime(header)
        except (ValueError, TypeError, OverflowError):
            return None
        until = until if until.tzinfo else until.replace(tzinfo=UTC)
        seconds = (until - datetime.now(UTC)).total_seconds()
    return max(0.0, seconds) if seconds == seconds else None  # a NaN is no number


class Pause:
    """One request was told to wait: so do the others, instead of being told one by one."""

    def __init__(self, stopped: Event) -> None:
        self._stopped, self._lock, self._until = stopped, Lock(), 0.0

    def begin(self, seconds: float) -> None:
        """Let no request begin for so long."""
        with self._lock:
            self._until = max(self._until, time.monotonic() + seconds)

    def wait(self) -> bool:
        """Wait until the pause is over; return False if everything was stopped meanwhile."""
        with self._lock:
            seconds = self._until - time.monotonic()
        return seconds <= 0 or not self._stopped.wait(seconds)
