"""What a translation engine is, and the ways in which a translation can fail.

An engine turns one text into another language and declares what it can do; it knows nothing of
rows, caches or retries (runner.py, cache.py, retrying.py). Failures are data: each has a kind,
which is counted, and a reason, which is kept beside the row.
"""

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from typing import Protocol

from polyrefuse.errors import PolyRefuseError
from polyrefuse.languages import get_language
from polyrefuse.machine_faults import REMEDY, machine_fault


class FailureKind(StrEnum):
    """Why a text has no translation."""

    EMPTY = "empty"
    UNCHANGED = "unchanged"
    REFUSAL = "refusal"
    CHATTER = "chatter"
    TRUNCATED = "truncated"
    TOO_LONG = "too_long"
    NO_TEXT = "no_text"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    BAD_RESPONSE = "bad_response"
    REJECTED = "rejected"
    ENGINE_ERROR = "engine_error"
    VALIDATION = "validation"
    NOT_TRIED = "not_tried"


class TranslationFailure(Exception):  # noqa: N818 - a failure is data here
    """One request that gave no translation.

    Attributes:
        kind: what it is counted as.
        reason: one sentence; never holds a key or the body of an answer.
        answer: what the engine wrote, where it wrote something.
    """

    def __init__(self, kind: FailureKind, reason: str, answer: str | None = None) -> None:
        super().__init__(f"{kind}: {reason}")
        self.kind = kind
        self.reason = reason
        self.answer = answer


class RejectedText(TranslationFailure):
    """This text will not be translated by asking again: an empty or unchanged answer, a refusal."""


class TransientFailure(TranslationFailure):
    """Asking again may help; `retry_after` is the wait the service asked for, in seconds."""

    def __init__(self, kind: FailureKind, reason: str, retry_after: float | None = None) -> None:
        super().__init__(kind, reason)
        self.retry_after = retry_after


class ServiceStopped(TranslationFailure):
    """The service takes no more texts for now (quota used up): the rest of the run is not tried."""

    def __init__(self, reason: str) -> None:
        super().__init__(FailureKind.NOT_TRIED, reason)


class EngineError(PolyRefuseError):
    """An engine that does not exist, cannot be started, or refuses the key or the settings."""


def own_fault(error: Exception, engine: str) -> EngineError | None:
    """Return the error that ends a run, if this machine is at fault and not the text or service."""
    lacking = machine_fault(error)
    return EngineError(f"engine {engine!r}: {lacking}.", REMEDY) if lacking else None


class Engine(Protocol):
    """A translation engine, of any kind.

    Attributes:
        name: recorded as `translator` of every row.
        revision: what decides the output beside the text: service or model, version, settings.
        languages: ISO 639-1 code -> this engine's own code for it.
        pairs: (source, target) pairs it can do; None where every pair of `languages` works.
        max_characters: longest text it takes.
        requests_per_second: its limit on the rate; None where it has none.
        max_concurrency: most requests at a time.
        timeout_seconds: how long one request may take.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def revision(self) -> str: ...  # noqa: D102
    @property
    def languages(self) -> Mapping[str, str]: ...  # noqa: D102
    @property
    def pairs(self) -> Collection[tuple[str, str]] | None: ...  # noqa: D102
    @property
    def max_characters(self) -> int: ...  # noqa: D102
    @property
    def requests_per_second(self) -> float | None: ...  # noqa: D102
    @property
    def max_concurrency(self) -> int: ...  # noqa: D102
    @property
    def timeout_seconds(self) -> float: ...  # noqa: D102

    async def translate(self, text: str, source: str, target: str) -> str:
        """Return `text` in `target`; languages are ISO 639-1 codes.

        Raises:
            TransientFailure: asking again may help.
            RejectedText: asking again will not.
            ServiceStopped: no further text will be taken for now.
            EngineError: the engine cannot work at all with these settings.
        """
        ...

    async def close(self) -> None:
        """Release connections and processes; the engine may be used again afterwards."""
        ...


def require_languages(engine: Engine, source: str, targets: Iterable[str]) -> None:
    """Check that `engine` translates from `source` into each of `targets`.

    Raises:
        UnknownLanguageError: PolyRefuse has no such language.
        EngineError: the engine lacks one; names what it has.
    """
    for target in targets:
        for code in (source, target):
            get_language(code)
            if code not in engine.languages:
                known = ", ".join(sorted(engine.languages)) or "none"
                raise EngineError(
                    f"engine {engine.name!r} has no language {code!r}.",
                    f"Its languages: {known}. Choose another engine for {code!r}.",
                )
        if engine.pairs is not None and (source, target) not in engine.pairs:
            known = ", ".join(f"{a}-{b}" for a, b in sorted(engine.pairs)) or "none"
            raise EngineError(
                f"engine {engine.name!r} does not translate {source!r} to {target!r}.",
                f"Its pairs: {known}. Choose another engine for {target!r}.",
            )
