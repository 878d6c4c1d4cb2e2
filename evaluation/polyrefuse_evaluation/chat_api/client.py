"""Asks an OpenAI-compatible chat endpoint: retries, waiting when told to, plain reasons on failure.

Knows HTTP and nothing of what is asked. The key comes from the environment, goes into one header,
and is in no message, reply or record; bodies of error replies are never shown, since servers echo.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Event
from typing import Any

import httpx2
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_after_attempt,
    stop_any,
    stop_when_event_set,
    wait_random_exponential,
)

from polyrefuse.errors import PolyRefuseError
from polyrefuse_evaluation.chat_api.filters import (
    ERROR,
    blamed_parameter,
    error_code,
    filter_error,
)
from polyrefuse_evaluation.chat_api.keys import read_key
from polyrefuse_evaluation.chat_api.replies import (
    FAILED,
    NO_CHOICES,
    REJECTED,
    CutError,
    Reply,
    read_body,
    read_reply,
)
from polyrefuse_evaluation.chat_api.transport import AgainError, post, require_url
from polyrefuse_evaluation.chat_api.waiting import Pause, asked_wait

DEFAULT_URL = "https://api.openai.com/v1"
TRY_AGAIN = frozenset({408, 409, 425, 429})
NO_MONEY = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
Parameters = Mapping[str, Any]


@dataclass
class ChatClient:
    """A client of one model behind one base URL; may be used from several threads.

    Attributes:
        model: as the server names it.
        url: base URL, e.g. ``http://127.0.0.1:8000/v1``.
        forms: parameters of a request, most exact first. Servers refuse what they do not know with
            status 400 or 422; then the next is tried that lacks what the error blames, and what is
            taken once is kept.
        key_variables: environment variables of the key; the first that is set is used.
        key_required: whether one must be set.
        url_option: option that names the URL, for messages.
        timeout: limit on one request from its first byte to the reply's last, in seconds.
        attempts: most requests for one question.
        longest_wait: most seconds between two of them, whatever the server asks for.
        connections: most requests at once.
        insist: whether a reply without an answer (an error under status 200, no choices) is
            asked for again.
    """

    model: str
    url: str = DEFAULT_URL
    forms: Sequence[Parameters] = ({},)
    key_variables: Sequence[str] = ("OPENAI_API_KEY",)
    key_required: bool = False
    url_option: str = "--base-url"
    timeout: float = 60.0
    attempts: int = 6
    longest_wait: float = 120.0
    connections: int = 8
    insist: bool = False
    form: Parameters | None = None
    _answered: bool = field(default=False, init=False)
    _stopped: Event = field(default_factory=Event, init=False, repr=False)
    _pause: Pause = field(init=False, repr=False)
    _http: httpx2.Client = field(init=False, repr=False)

    def __post_init__(self) -> None:
        require_url(self.url, self.url_option)
        self._key = read_key(self.key_variables, required=self.key_required)
        self._pause = Pause(self._stopped)
        self._http = httpx2.Client(
            timeout=self.timeout,
            headers={"Authorization": f"Bearer {self._key.value}"} if self._key else {},
            limits=httpx2.Limits(max_connections=self.connections),
        )

    def ask(self, messages: Sequence[Mapping[str, str]], *, tag: str = "") -> Reply:
        """Ask one question.

        Args:
            messages: the conversation.
            tag: names this question among all that are ever asked; with it, a request that is sent
                again because no reply came carries the same ``Idempotency-Key``.

        Raises:
            PolyRefuseError: the key is rejected, the account has no money left, or nothing at this
                URL has ever answered.
        """
        forms = list(self.forms) if self.form is None else [self.form]
        reply = Reply(problem=REJECTED)
        while forms:
            form = forms.pop(0)
            body = {"model": self.model, "messages": [dict(m) for m in messages], **form}
            reply = self._ask_patiently(body, form, tag)
            if reply.problem != REJECTED:
                if not reply.failed and reply.filtered != ERROR:
                    self.form = form
                break
            forms = [other for other in forms if not _repeats(reply.parameter, form, other)]
        return reply

    def stop(self, stopped: bool = True) -> None:
        """End all waiting between attempts, or allow it again."""
        if stopped:
            self._stopped.set()
        else:
            self._stopped.clear()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def _ask_patiently(self, body: dict[str, Any], form: Parameters, tag: str) -> Reply:
        retrying = Retrying(
            stop=stop_any(stop_after_attempt(self.attempts), stop_when_event_set(self._stopped)),
            wait=self._wait,
            sleep=sleep_using_event(self._stopped),
            retry=retry_if_exception_type(AgainError),
            reraise=True,
        )
        errors = 0
        try:
            for attempt in retrying:
                with attempt:
                    try:
                        reply = self._ask_once(body, form, _idempotency(tag, body, errors))
                    except AgainError as error:
                        errors += error.answered
                        raise
                    number = attempt.retry_state.attempt_number
                    return replace(reply, requests=number)
        except AgainError as error:
            if error.reason == "connection" and not self._answered:
                raise PolyRefuseError(
                    f"{self.url}: no connection after {self.attempts} attempts.",
                    f"Check the address ({self.url_option}) and that the server runs.",
                ) from error
            return Reply(problem=f"{FAILED}{error.reason}", requests=self.attempts)
        raise AssertionError("tenacity ends by returning or raising")

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.wait if isinstance(error, AgainError) else None
        if asked is None:
            asked = wait_random_exponential(multiplier=0.5, max=30)(state)
        return min(asked, self.longest_wait)

    def _ask_once(self, body: dict[str, Any], form: Parameters, headers: dict[str, str]) -> Reply:
        if not self._pause.wait():
            raise AgainError("stopped", answered=False)
        answer, content = post(self._http, self.url, body, headers, self.timeout)
        try:
            found = read_body(answer.headers.get("content-type", ""), content)
        except (ValueError, RecursionError) as error:
            found = content.decode("utf-8", "replace")
            if answer.status_code == 200:  # cut or mangled on its way
                reason = "cut" if isinstance(error, CutError) else "invalid_json"
                raise AgainError(reason, answered=False) from None
        if isinstance(found, list) and len(found) == 1:  # Gemini wraps its errors
            found = found[0]
        if answer.status_code != 200:
            return self._read_error(answer, found, form)
        if isinstance(found, dict) and found.get("error"):
            if filter_error(found):
                return Reply(filtered=ERROR)
            if self.insist:
                raise AgainError("error_reply")
        reply = read_reply(found)
        empty = reply.problem == NO_CHOICES and not reply.filtered
        if self.insist and (empty or reply.finish == "error"):
            raise AgainError(NO_CHOICES if empty else "error_reply")
        self._answered = True
        return replace(reply, text=self._key.hide_in(reply.text)) if self._key else reply

    def _read_error(self, answer: httpx2.Response, found: Any, form: Parameters) -> Reply:
        status, code = answer.status_code, error_code(found)
        if status == 402 or code in NO_MONEY:
            raise PolyRefuseError(
                f"{self.url}: answers {status}: the account has no credit left.",
                "Add credit, then run the same command again: it resumes.",
            )
        if status != 401 and filter_error(found):
            return Reply(filtered=ERROR)
        if status in TRY_AGAIN or status >= 500:
            wait = asked_wait(answer.headers)
            if status == 429 and wait:
                self._pause.begin(min(wait, self.longest_wait))
            raise AgainError(f"http_{status}", wait)
        if status in (400, 422):
            return Reply(problem=REJECTED, code=code, parameter=blamed_parameter(found, dict(form)))
        if self._answered and status != 401:
            return Reply(problem=f"{FAILED}http_{status}", code=code)
        remedies = {
            401: f"Set {self.key_variables[0]} to a valid key.",
            403: "Check that this key may use this model.",
            404: f"Check the model's name and the base URL ({self.url_option} ends in /v1, as a "
            "rule).",
        }
        raise PolyRefuseError(
            f"{self.url}: answers {status} to requests for model {self.model!r}.",
            remedies.get(status, f"Check the base URL ({self.url_option})."),
        )


def _repeats(parameter: str | None, form: Parameters, other: Parameters) -> bool:
    """Say whether `other` sends again what the server blamed in `form`."""
    return parameter is not None and parameter in other and other[parameter] == form.get(parameter)


def _idempotency(tag: str, body: dict[str, Any], errors: int) -> dict[str, str]:
    """Return the header that lets a server know a request it has already taken.

    An error that was answered begins a new request: servers may replay an old answer.
    """
    if not tag:
        return {}
    parts: Iterable[Any] = (tag, body, errors)
    digest = hashlib.sha256(json.dumps(list(parts)).encode("ascii")).hexdigest()
    return {"Idempotency-Key": digest[:32]}
