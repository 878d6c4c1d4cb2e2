"""Reads what a chat endpoint sends: whole or streamed, and in whichever dialect.

Reasoning is kept apart from the answer; usage is what the server says it is, or nothing.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import httpx2

from polyrefuse_evaluation.chat_api.filters import (
    FEEDBACK,
    FINISH,
    REFUSAL_FIELD,
    filtered_finish,
    prompt_feedback,
)

FAILED = "failed:"
"""How the problem begins where nothing came back; asking again later may help."""
REJECTED = "rejected"
NO_CHOICES = "no_choices"
TRUNCATED = "truncated"

_REASONING = ("reasoning_content", "reasoning")
"""vLLM, SGLang and DeepSeek use the first, OpenRouter and newer vLLM the second."""


@dataclass(frozen=True)
class Usage:
    """Tokens of one request, as the server counts them; None where it does not."""

    prompt: int | None = None
    completion: int | None = None
    reasoning: int | None = None


@dataclass(frozen=True)
class Reply:
    """A reply, or why there is none.

    Attributes:
        text: the answer, without reasoning that the server keeps apart; may be empty.
        problem: empty; ``truncated`` or ``no_choices`` beside the text; or, where nothing came
            back, ``rejected`` (the server does not take this request) or a reason that begins with
            `FAILED`.
        filtered: how a content filter showed itself, one of the words in `filters`; empty if none.
        code: of an error, where it has the shape of one.
        parameter: which parameter a rejection is about, if it says so.
        reasoning: characters of reasoning that came apart from the text.
        finish: the finish reason.
        model: the model that answered, as the server names it.
        usage: tokens.
        requests: requests that this reply took.
    """

    text: str = ""
    problem: str = ""
    filtered: str = ""
    code: str = ""
    parameter: str | None = None
    reasoning: int = 0
    finish: str | None = None
    model: str | None = None
    usage: Usage = field(default_factory=Usage)
    requests: int = 1

    @property
    def failed(self) -> bool:
        """Whether nothing came back."""
        return self.problem == REJECTED or self.problem.startswith(FAILED)


class CutError(ValueError):
    """A stream that ended before the answer did."""


def is_stream(content_type: str, content: bytes) -> bool:
    """Say whether a body is a stream of events, whatever was asked for."""
    if "event-stream" in content_type.lower():
        return True
    return content.lstrip()[:5] in (b"data:", b"event")


def read_body(content_type: str, content: bytes) -> Any:
    """Return a body as one JSON value; a stream is put together into the reply that it makes up.

    Raises:
        ValueError: it is no JSON, or (`CutError`) a stream without its end.
        RecursionError: it is nested too deep.
    """
    if is_stream(content_type, content):
        return _put_together(content)
    return json.loads(content.decode("utf-8-sig", "replace"))


def read_reply(body: Any) -> Reply:
    """Read a chat completion; whatever does not look like one is a reply without choices."""
    body = body if isinstance(body, dict) else {}
    named = body.get("model")
    known = Reply(
        model=_repair(named) if isinstance(named, str) else None,
        usage=_read_usage(body.get("usage")),
    )
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        blocked = prompt_feedback(body) or (
            isinstance(choice, dict) and filtered_finish(choice.get("finish_reason"))
        )
        return replace(known, problem=NO_CHOICES, filtered=FEEDBACK if blocked else "")
    text, thoughts = _read_content(message.get("content"))
    thoughts += next((m for key in _REASONING if isinstance(m := message.get(key), str)), "")
    finish, refusal = choice.get("finish_reason"), message.get("refusal")
    filtered = FINISH if filtered_finish(finish) else ""
    if not text and isinstance(refusal, str) and refusal:
        text, filtered = refusal, filtered or REFUSAL_FIELD
    return replace(
        known,
        text=_repair(text),
        problem=TRUNCATED if finish == "length" else "",
        filtered=filtered,
        reasoning=len(thoughts),
        finish=finish if isinstance(finish, str) else None,
    )


def _read_content(content: Any) -> tuple[str, str]:
    """Return text and reasoning of a message's content: a text, or a list of parts."""
    if isinstance(content, str):
        return content, ""
    text, thoughts = "", ""
    for part in content if isinstance(content, list) else []:
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            text += part["text"]
        elif isinstance(part, dict) and part.get("type") == "thinking":
            thoughts += "".join(_read_content(part.get("thinking")))
    return text, thoughts


def _read_usage(usage: Any) -> Usage:
    if not isinstance(usage, dict):
        return Usage()
    details = usage.get("completion_tokens_details")
    thoughts = details.get("reasoning_tokens") if isinstance(details, dict) else None
    if thoughts is None:
        thoughts = usage.get("reasoning_tokens")
    return Usage(
        _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")), _count(thoughts)
    )


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _repair(text: str) -> str:
    """Join surrogates that a stream cut apart; replace single ones, which no file can hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _events(content: bytes) -> Iterator[str]:
    answer = httpx2.Response(
        200,
        headers={"content-type": "text/event-stream; charset=utf-8"},
        content=content + b"\n\n",
        request=httpx2.Request("POST", "http://stream"),
    )
    for event in httpx2.EventSource(answer):
        if event.data.strip():
            yield event.data


def _put_together(content: bytes) -> dict[str, Any]:
    """Return the chat completion that a stream's chunks make up, or the error it ended in."""
    whole: dict[str, Any] = {}
    message: dict[str, str] = {}
    finish, ended, begun = None, False, False
    for data in _events(content):
        if data.strip() == "[DONE]":
            ended = True
            break
        chunk = json.loads(data)
        if not isinstance(chunk, dict):
            continue
        if chunk.get("error"):
            return chunk
        kept = ("model", "usage", "promptFeedback", "prompt_feedback")
        whole |= {key: chunk[key] for key in kept if chunk.get(key)}
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else {}
        begun = begun or bool(choice)
        for key, value in _delta(choice).items():
            message[key] = message.get(key, "") + value
        finish = choice.get("finish_reason") or finish if isinstance(choice, dict) else finish
    if not ended and finish is None and not prompt_feedback(whole):
        raise CutError("the stream ended before the answer did")
    if begun:
        whole["choices"] = [{"message": message, "finish_reason": finish}]
    return whole


def _delta(choice: Any) -> dict[str, str]:
    """Return what a chunk adds to each text of the message."""
    delta = (choice.get("delta") or choice.get("message")) if isinstance(choice, dict) else None
    if not isinstance(delta, dict):
        return {}
    added = {
        key: delta[key]
        for key in ("content", "refusal", *_REASONING)
        if isinstance(delta.get(key), str)
    }
    if isinstance(delta.get("content"), list):
        added["content"], thoughts = _read_content(delta["content"])
        added["reasoning"] = added.get("reasoning", "") + thoughts
    return added
