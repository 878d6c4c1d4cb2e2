"""Download one file: with retries, whole or not at all. Knows nothing of sources or digests."""

import time
from collections.abc import Callable
from pathlib import Path

import httpx2
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_exponential_jitter

from polyrefuse.atomic import whole_file
from polyrefuse.errors import DatasetError
from polyrefuse_builders.translation.http_status import parse_retry_after

ATTEMPTS = 5
TIMEOUT_SECONDS = 60.0
LONGEST_WAIT_SECONDS = 120.0
MOST_BYTES = 2 * 1024**3
"""Most bytes of a file, unpacked; the largest source has a few MB."""
CHUNK = 65_536

_backoff = wait_exponential_jitter(initial=1, max=30)


class _TryAgainError(Exception):
    """An answer or a failure after which asking again may help."""

    def __init__(self, reason: str, wait_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.wait_seconds = wait_seconds


def download(url: str, target: Path, *, sleep: Callable[[float], None] = time.sleep) -> None:
    """Fetch `url` into the file `target`; follows redirects.

    Answers 408, 425, 429 and 5xx, timeouts and broken connections are tried again, `ATTEMPTS` times
    in all, after the wait that a Retry-After header asks for or an exponential one.

    Raises:
        DatasetError: it could not be had, or not be written; nothing is left at `target`.
    """
    retrying = Retrying(
        stop=stop_after_attempt(ATTEMPTS),
        retry=retry_if_exception_type(_TryAgainError),
        wait=_wait,
        sleep=sleep,
        reraise=True,
    )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(target) as part:
            retrying(_fetch, url, part)
    except _TryAgainError as error:
        raise DatasetError(
            f"{url}: could not be downloaded in {ATTEMPTS} attempts ({error}).",
            "Check the network, or serve the file from a mirror folder (--mirror).",
        ) from error
    except OSError as error:
        raise DatasetError(
            f"{target}: cannot be written ({error.strerror or error}).", "Free some space."
        ) from error


def _fetch(url: str, part: Path) -> None:
    try:
        with (
            httpx2.stream("GET", url, follow_redirects=True, timeout=TIMEOUT_SECONDS) as answer,
            part.open("wb") as stream,
        ):
            _require_success(url, answer)
            left = MOST_BYTES
            for chunk in answer.iter_bytes(CHUNK):
                left -= len(chunk)
                if left < 0:
                    raise DatasetError(
                        f"{url}: is more than {MOST_BYTES} bytes once unpacked.",
                        "No source is: check the address in the manifest.",
                    )
                stream.write(chunk)
    except (httpx2.UnsupportedProtocol, httpx2.InvalidURL) as error:
        raise DatasetError(f"{url}: is no address to download from ({error}).") from error
    except httpx2.HTTPError as error:
        raise _TryAgainError(str(error) or type(error).__name__) from error


def _require_success(url: str, answer: httpx2.Response) -> None:
    status = answer.status_code
    if 200 <= status < 300:
        return
    if status in (408, 425, 429) or status >= 500:
        raise _TryAgainError(f"HTTP {status}", parse_retry_after(answer.headers.get("Retry-After")))
    raise DatasetError(
        f"{url}: cannot be downloaded (HTTP {status}).",
        "Check address and revision in the manifest, or serve the file from a mirror (--mirror).",
    )


def _wait(state: RetryCallState) -> float:
    failure = state.outcome.exception() if state.outcome else None
    if isinstance(failure, _TryAgainError) and failure.wait_seconds is not None:
        return min(failure.wait_seconds, LONGEST_WAIT_SECONDS)
    return _backoff(state)
