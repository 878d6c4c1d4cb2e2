"""One text, as many requests as it takes: pace, time limit, backoff.

The waits are tenacity's (exponential, with jitter); a Retry-After of the service comes first and
holds for all requests. Knows nothing of rows or of the cache.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_random_exponential

from polyrefuse.errors import PolyRefuseError
from polyrefuse_builders.translation.answers import check_answer
from polyrefuse_builders.translation.engine import (
    Engine,
    FailureKind,
    RejectedText,
    ServiceStopped,
    TransientFailure,
    TranslationFailure,
    own_fault,
)
from polyrefuse_builders.translation.rate import Clock, Pace, SystemClock


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient to be with one text; times in seconds.

    Attributes:
        attempts: most requests for one text.
        first_wait: bound of the first random wait; doubles with each attempt.
        longest_wait: bound that the doubling stops at.
        longest_retry_after: a service that asks for more ends the run instead.
        give_up_after: this many texts in a row that exhaust their attempts end the run.
    """

    attempts: int = 5
    first_wait: float = 1.0
    longest_wait: float = 60.0
    longest_retry_after: float = 300.0
    give_up_after: int = 25


class Requester:
    """Asks one engine, politely."""

    def __init__(
        self,
        engine: Engine,
        policy: RetryPolicy | None = None,
        clock: Clock | None = None,
        timeout: float | None = None,
    ) -> None:
        self._engine = engine
        self._policy = policy or RetryPolicy()
        self._clock = clock or SystemClock()
        self._timeout = timeout or engine.timeout_seconds
        self._pace = Pace(engine.requests_per_second, self._clock)
        self._backoff = wait_random_exponential(
            multiplier=self._policy.first_wait, max=self._policy.longest_wait
        )

    async def translate(
        self, text: str, source: str, target: str, on_request: Callable[[], None]
    ) -> str:
        """Return the checked translation of `text`; calls `on_request` before every request.

        Raises:
            TransientFailure: the last one, when all attempts are used up.
            RejectedText: the engine gives no translation of this text.
            ServiceStopped: the engine takes no more texts.
            PolyRefuseError: the engine cannot work at all.
        """
        retrying = AsyncRetrying(
            stop=stop_after_attempt(self._policy.attempts),
            wait=self._wait,
            retry=retry_if_exception_type(TransientFailure),
            sleep=self._clock.sleep,
            reraise=True,
        )
        answer: object = await retrying(self._request, text, source, target, on_request)
        return check_answer(text, answer, target)

    def _wait(self, state: RetryCallState) -> float:
        backoff = self._backoff(state)
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, TransientFailure) else None
        if asked is None:
            return backoff
        return asked + min(backoff, self._policy.first_wait)  # jitter: not all at once

    async def _request(
        self, text: str, source: str, target: str, on_request: Callable[[], None]
    ) -> object:
        await self._pace.turn()
        on_request()
        try:
            async with asyncio.timeout(self._timeout):
                return await self._engine.translate(text, source, target)
        except TimeoutError:
            raise TransientFailure(
                FailureKind.TIMEOUT, f"no answer within {self._timeout:g} s"
            ) from None
        except TransientFailure as failure:
            self._heed(failure.retry_after)
            raise
        except (TranslationFailure, PolyRefuseError):
            raise
        except Exception as error:
            if fault := own_fault(error, self._engine.name):
                raise fault from None
            name = type(error).__name__  # its message may hold anything, keys included
            raise RejectedText(FailureKind.ENGINE_ERROR, f"the engine failed with {name}") from None

    def _heed(self, retry_after: float | None) -> None:
        if retry_after is None:
            return
        if retry_after > self._policy.longest_retry_after:
            raise ServiceStopped(
                f"the service asks to wait {retry_after:.0f} s (Retry-After); run again then"
            )
        self._pace.pause(retry_after)
