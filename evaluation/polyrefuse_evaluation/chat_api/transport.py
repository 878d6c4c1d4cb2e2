"""Sends one request and takes all of its reply, within limits of time and size.

Knows no retries and no meaning of a reply. Errors of the HTTP library are not chained: some of
them show headers.
"""

import json
import time
from typing import Any
from urllib.parse import urlsplit

import httpx2

from polyrefuse.errors import PolyRefuseError
from polyrefuse.machine_faults import REMEDY, machine_fault

MOST_BYTES = 16 * 2**20


class AgainError(Exception):
    """A request that may succeed when asked again.

    Attributes:
        reason: short and machine-readable.
        wait: seconds that the server asks to wait.
        answered: whether the server took the request and said so.
    """

    def __init__(self, reason: str, wait: float | None = None, answered: bool = True) -> None:
        super().__init__(reason)
        self.reason, self.wait, self.answered = reason, wait, answered


def require_url(url: str, option: str) -> None:
    """Check a base URL.

    Raises:
        PolyRefuseError: it is no http(s) URL, or holds what may be a secret.
    """
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname)
        secret = bool(parts.username or parts.password or parts.query)
    except ValueError:
        fits = secret = False
    if secret:
        raise PolyRefuseError(  # without the URL
            f"the URL ({option}) holds a user name, password or query, which would be stored.",
            "Give the plain base URL, and the key in the environment.",
        )
    if not fits:
        raise PolyRefuseError(f"{url!r} is no http(s) URL.", "Example: http://HOST:8000/v1.")


def post(
    http: httpx2.Client, url: str, body: dict[str, Any], headers: dict[str, str], timeout: float
) -> tuple[httpx2.Response, bytes]:
    """Send `body` to the chat completions of a base URL; return status and headers, and content.

    Args:
        http: an open client.
        url: base URL.
        body: JSON value.
        headers: beyond those of the client.
        timeout: limit on the whole exchange, in seconds.

    Raises:
        AgainError: there is no whole reply.
        PolyRefuseError: this machine has no file handles, memory or disk left.
    """
    data = json.dumps(body).encode("ascii")  # escapes single surrogates, which UTF-8 lacks
    headers = {"Content-Type": "application/json", **headers}
    deadline, content = time.monotonic() + timeout, bytearray()
    target = f"{url.rstrip('/')}/chat/completions"
    try:
        with http.stream("POST", target, content=data, headers=headers) as answer:
            for chunk in answer.iter_bytes():
                content += chunk
                if body.get("stream") and content[-32:].rstrip().endswith(b"[DONE]"):
                    break  # some servers leave the connection open
                if time.monotonic() > deadline:
                    raise AgainError("timeout", answered=False)
                if len(content) > MOST_BYTES:
                    raise AgainError("too_long")
    except httpx2.TimeoutException:
        raise AgainError("timeout", answered=False) from None
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        if lacking := machine_fault(error):
            raise PolyRefuseError(f"{url}: {lacking}.", REMEDY) from None
        reason = "connection" if isinstance(error, httpx2.ConnectError) else "transport"
        raise AgainError(reason, answered=False) from None
    return answer, bytes(content)
