"""Tells what a provider's content filter did from what a model or a broken server did.

Providers report a filter in many ways; those below were seen in their documents and in public
reports. What is returned is always one of this file's own words, never a server's.
"""

import re
from typing import Any

FINISH = "finish_reason"
REFUSAL_FIELD = "refusal_field"
FEEDBACK = "prompt_feedback"
ERROR = "error"

_FINISHES = ("contentfilter", "safety", "sensitive", "prohibitedcontent", "blocklist", "refusal")
_CODES = frozenset(
    {
        "contentfilter",  # Azure, in error.code
        "responsibleaipolicyviolation",  # Azure, in error.innererror.code
        "contentpolicyviolation",
        "moderationblocked",
        "datainspectionfailed",  # DashScope
    }
)
_MESSAGES = re.compile(
    r"content management policy"  # Azure
    r"|content exists risk"  # DeepSeek, under the code invalid_request_error
    r"|violates usage guidelines"  # xAI, with status 403
    r"|data_?inspection_?failed"
    r"|requires moderation .{0,40}flagged",  # OpenRouter, with status 403
    re.IGNORECASE | re.DOTALL,
)
_INVALID_PROMPT = re.compile(r"safety|usage polic|flagged", re.IGNORECASE)
"""OpenAI's ``invalid_prompt`` is a filter with these words, a malformed request without them."""


def filtered_finish(finish: Any) -> bool:
    """Say whether a finish reason is a filter's: ``content_filter``, ``SAFETY`` ..."""
    return isinstance(finish, str) and _plain(finish).startswith(_FINISHES)


def prompt_feedback(body: dict[str, Any]) -> bool:
    """Say whether a body without choices says that the prompt was blocked (Gemini's way)."""
    feedback = body.get("promptFeedback") or body.get("prompt_feedback")
    if not isinstance(feedback, dict):
        return False
    return bool(feedback.get("blockReason") or feedback.get("block_reason"))


def filter_error(body: Any) -> bool:
    """Say whether the body of an error is a filter's."""
    error = body.get("error", body) if isinstance(body, dict) else body
    codes, message = _codes(body), _message(body)
    if any(code in _CODES for code in codes) or _MESSAGES.search(message):
        return True
    if "invalidprompt" in codes and _INVALID_PROMPT.search(message):
        return True
    metadata = error.get("metadata") if isinstance(error, dict) else None
    return isinstance(metadata, dict) and "flagged_input" in metadata  # OpenRouter


def error_code(body: Any) -> str:
    """Return the code of an error where it looks like one (``context_length_exceeded``), or ""."""
    error = body.get("error") if isinstance(body, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    # Lower-case words joined by underscores: no key and no prompt has this shape.
    fits = isinstance(code, str) and re.fullmatch(r"[a-z]+(_[a-z]+){1,5}", code) and len(code) < 50
    return str(code) if fits else ""


def blamed_parameter(body: Any, sent: dict[str, Any]) -> str | None:
    """Return which of the parameters `sent` an error is about, where it says so."""
    error = body.get("error", body) if isinstance(body, dict) else None
    named = error.get("param") if isinstance(error, dict) else None
    if isinstance(named, str) and named in sent:
        return named
    message = _message(body)
    places = {
        name: found.start()
        for name in sent
        if (found := re.search(rf"(?<!\w){re.escape(name)}(?!\w)", message))
    }
    return min(places, key=lambda name: places[name]) if places else None


def _codes(body: Any) -> list[str]:
    """Return every code and type in an error's body, in plain letters."""
    found = []
    for part in _parts(body):
        found += [_plain(part[key]) for key in ("code", "type") if isinstance(part.get(key), str)]
    return found


def _message(body: Any) -> str:
    texts = [body] if isinstance(body, str) else []
    for part in _parts(body):
        texts += [part[key] for key in ("message", "error") if isinstance(part.get(key), str)]
    return "\n".join(texts)[:4_000]


def _parts(body: Any) -> list[dict[str, Any]]:
    """Return the body, its error, and the error within that, as far as they are objects."""
    parts = [body] if isinstance(body, dict) else []
    for key in ("error", "innererror", "inner_error"):
        inner = parts[-1].get(key) if parts else None
        if isinstance(inner, dict):
            parts.append(inner)
    return parts


def _plain(text: str) -> str:
    return re.sub(r"[^a-z]", "", text.lower())
