"""deep-translator's web services: Google, DeepL, MyMemory, LibreTranslate.

Its calls block, know no time limit and raise errors without a common base class: each runs in a
thread (offload.py) with our transport (deep_transport.py), and what went wrong is read from the
HTTP status rather than from its exceptions, some of which hold the key.
"""

import html
import importlib
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from polyrefuse_builders.translation.deep_services import SERVICES, Service
from polyrefuse_builders.translation.deep_transport import Exchange, install, recording
from polyrefuse_builders.translation.endpoints import checked_url, read_key
from polyrefuse_builders.translation.engine import (
    EngineError,
    FailureKind,
    RejectedText,
    ServiceStopped,
    TransientFailure,
    TranslationFailure,
    own_fault,
)
from polyrefuse_builders.translation.http_status import require_success
from polyrefuse_builders.translation.offload import run_blocking

OWN_SERVER_RATE = 50.0
"""Requests per second to a server of one's own: it need not take all connections at once."""


class DeepTranslatorEngine:
    """One of deep-translator's services; see `Engine` for the attributes."""

    pairs = None

    def __init__(
        self,
        service: Service,
        *,
        url: str | None = None,
        languages: Mapping[str, str] | None = None,
        revision: str | None = None,
        requests_per_second: float | None = None,
        max_concurrency: int | None = None,
        timeout_seconds: float = 30.0,
    ) -> None:
        """Prepare a service; the key is read from its environment variable when it is needed.

        Args:
            service: which one.
            url: address of a LibreTranslate server.
            languages: codes to use instead of, or beside, those known.
            revision: what to record instead of deep-translator's version.
            requests_per_second: instead of the service's usual limit.
            max_concurrency: instead of the service's usual limit.
            timeout_seconds: how long one request may take.

        Raises:
            EngineError: the key is missing, or the address holds one.
        """
        self._service = service
        if url is not None and not service.takes_url:
            raise EngineError(f"engine {service.name!r} takes no url.", "Only libretranslate does.")
        self._url = None if url is None else checked_url(url, service.name, service.key_env) + "/"
        self.name = service.name
        self.revision = revision or f"deep-translator {version('deep-translator')}"
        self.languages = {**service.languages(), **(languages or {})}
        self.max_characters = service.max_characters
        usual_rate = OWN_SERVER_RATE if url else service.requests_per_second
        self.requests_per_second = requests_per_second or usual_rate
        self.max_concurrency = max_concurrency or service.max_concurrency
        self.timeout_seconds = timeout_seconds
        self._key()
        module = importlib.import_module(service.module)
        install(module)
        self._class = getattr(module, service.class_name)

    async def translate(self, text: str, source: str, target: str) -> str:
        """Return `text` in `target`; see `Engine.translate`."""
        codes = self.languages[source], self.languages[target]
        return await run_blocking(lambda: self._translate(text, *codes))

    async def close(self) -> None:
        """Nothing stays open between requests."""

    def _translate(self, text: str, source: str, target: str) -> str:
        exchange = Exchange(
            self.timeout_seconds,
            self._service.key_parameter,
            self._service.authorization,
            has_key=self._key() is not None,
        )
        answer, caught = None, None
        try:
            with recording(exchange):
                answer = self._client(source, target).translate(text)
        except Exception as error:
            caught = error
        if caught is not None:  # handled out here, so that the original is in no traceback
            raise self._failure(caught, exchange)
        return self._cleaned(text, answer)

    def _client(self, source: str, target: str) -> Any:
        settings: dict[str, Any] = {}
        if self._service.key_parameter is not None:
            settings["api_key"] = self._key() or "none"
        if self._url is not None:
            settings["custom_url"] = self._url
        if self._service.name == "deepl":
            settings["use_free_api"] = (self._key() or "").endswith(":fx")
        first, second = self._service.accepted_codes
        client = self._class(source=first, target=second, **settings)
        client.source, client.target = source, target  # its own tables are older than the services
        return client

    def _key(self) -> str | None:
        required = self._service.key_required(self._url)
        return read_key(self._service.key_env, self.name, required=required)

    def _failure(self, error: Exception, exchange: Exchange) -> Exception:
        """Return our failure for whatever deep-translator raised; its message is never used."""
        import requests

        if exchange.status is not None:
            try:
                require_success(exchange.status, exchange.headers, self.name, self._service.key_env)
            except (TranslationFailure, EngineError) as meant:
                return meant
        if fault := own_fault(error, self.name):
            return fault
        if isinstance(error, requests.Timeout):
            reason = f"no answer within {self.timeout_seconds:g} s"
            return TransientFailure(FailureKind.TIMEOUT, reason)
        if isinstance(error, requests.JSONDecodeError | KeyError | TypeError | AttributeError):
            return TransientFailure(FailureKind.BAD_RESPONSE, "the answer cannot be read")
        if isinstance(error, requests.RequestException | ConnectionError):
            return TransientFailure(FailureKind.CONNECTION, "the connection failed or broke off")
        name = type(error).__name__
        if name == "NotValidLength":
            return RejectedText(FailureKind.TOO_LONG, "the text is too long for the service")
        if name == "TranslationNotFound" or isinstance(error, StopIteration):
            return RejectedText(FailureKind.EMPTY, "the service found no translation")
        return RejectedText(FailureKind.ENGINE_ERROR, f"deep-translator failed with {name}")

    def _cleaned(self, text: str, answer: Any) -> str:
        """Undo what MyMemory does: warnings in place of translations, HTML entities."""
        if self._service.name != "mymemory" or not isinstance(answer, str):
            return answer  # type: ignore[no-any-return]  # the runner checks it
        if answer.startswith("MYMEMORY WARNING"):
            raise ServiceStopped("the free quota of mymemory is used up for today")
        if answer.startswith(("QUERY LENGTH LIMIT", "INVALID ", "PLEASE SELECT", "NO QUERY")):
            raise RejectedText(FailureKind.REJECTED, "mymemory rejected the request", answer)
        return answer if "&" in text else html.unescape(answer)


def make_google(**settings: Any) -> DeepTranslatorEngine:
    """Google Translate, the free page."""
    return DeepTranslatorEngine(SERVICES["google"], **settings)


def make_deepl(**settings: Any) -> DeepTranslatorEngine:
    """DeepL; key in DEEPL_API_KEY (one that ends in ``:fx`` goes to the free service)."""
    return DeepTranslatorEngine(SERVICES["deepl"], **settings)


def make_mymemory(**settings: Any) -> DeepTranslatorEngine:
    """MyMemory, free, at most 499 characters a text."""
    return DeepTranslatorEngine(SERVICES["mymemory"], **settings)


def make_libretranslate(**settings: Any) -> DeepTranslatorEngine:
    """LibreTranslate; `url` names a server of one's own; key, where needed, in LIBRE_API_KEY."""
    return DeepTranslatorEngine(SERVICES["libretranslate"], **settings)
