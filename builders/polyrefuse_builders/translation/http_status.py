"""What an HTTP answer means for a translation: retry, give this text up, or stop.

Shared by every engine that talks HTTP. Looks at status and headers only: bodies may hold keys.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from polyrefuse_builders.translation.engine import (
    EngineError,
    FailureKind,
    RejectedText,
    ServiceStopped,
    TransientFailure,
)

QUOTA_STATUS = (402, 456)
"""Payment required, and DeepL's own "quota exceeded"."""


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Return the wait in seconds that a Retry-After header asks for, or None.

    Args:
        value: the header: seconds, or an HTTP date (RFC 9110, section 10.2.3).
        now: the present, with time zone; the system's clock by default.
    """
    text = (value or "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())
    except (ValueError, OverflowError):  # a year of a thousand digits, an offset beyond a day
        return None


def require_success(status: int, headers: Mapping[str, str], engine: str, key_env: str) -> None:
    """Raise what an HTTP status other than 2xx means.

    Args:
        status: HTTP status.
        headers: of the answer; looked up as ``Retry-After``, so give a case-blind mapping.
        engine: name of the engine, for messages.
        key_env: environment variable of its key, for messages; may be empty.

    Raises:
        TransientFailure: 408, 425, 429 or 5xx.
        ServiceStopped: the quota is used up.
        EngineError: the key or the address is wrong (401, 403, 404): no text can succeed.
        RejectedText: any other status.
    """
    if 200 <= status < 300:
        return
    wait = parse_retry_after(headers.get("Retry-After"))
    if status == 429:
        raise TransientFailure(FailureKind.RATE_LIMITED, "too many requests (HTTP 429)", wait)
    if status in (408, 425) or status >= 500:
        raise TransientFailure(FailureKind.SERVER_ERROR, f"server error (HTTP {status})", wait)
    if status in QUOTA_STATUS:
        raise ServiceStopped(f"the quota of {engine} is used up (HTTP {status})")
    if status in (401, 403):
        remedy = f"Check the key in {key_env}." if key_env else "It may be blocking this address."
        raise EngineError(f"engine {engine!r}: the service refused access (HTTP {status}).", remedy)
    if status == 404:
        raise EngineError(
            f"engine {engine!r}: the service has no such address or model (HTTP 404).",
            "Check its address and model.",
        )
    if status == 413:
        raise RejectedText(FailureKind.TOO_LONG, "the service finds the text too long (HTTP 413)")
    raise RejectedText(FailureKind.REJECTED, f"the service rejected the request (HTTP {status})")
