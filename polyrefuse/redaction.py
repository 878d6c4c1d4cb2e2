"""Keep secrets out of what leaves the process: output, errors, tracebacks, logs, settings.

Secrets are known by value (tokens and keys of the environment, and what `remember` was told) and by
shape: ``hf_...``, ``sk-...``, ``Bearer ...``, the user part of a URL, keys in its query. Knows
nothing of where text comes from or goes. A secret of no known shape that nobody named is not found.
"""

import base64
import json
import os
import re
from typing import Any
from urllib.parse import quote

HIDDEN = "[token]"

TOKEN_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
"""Always hidden, whatever they hold."""
SECRET_VARIABLE = re.compile(r"(?:^|_)(?:TOKEN|(?:API_?)?KEY|SECRET|PASSWORD|PASSWD)$")
"""Names of environment variables whose values are hidden where they are long."""
LONG = 12
"""Shorter values may be words (``EMPTY``, ``none``), which are left alone."""

TOKEN_SHAPES = (
    re.compile(r"\b(?:hf|api_org)_[A-Za-z0-9]{4,}"),
    re.compile(r"\bsk-[A-Za-z0-9_-]{12,}"),
    re.compile(r"\bgh[oprsu]_[A-Za-z0-9]{16,}|\bgithub_pat_\w{16,}"),
    re.compile(r"(?i)(?<=\bbearer )[^\s'\",;]+"),
    re.compile(r"(?i)(?<=\bbasic )[A-Za-z0-9+/=_-]{8,}"),
    re.compile(r"(:/{1,2})[^/\s@'\"<>]+(?=@)"),  # one slash: what a path makes of a URL
    re.compile(
        r"(?i)(?<=[?&])((?:api[_-]?key|access[_-]?token|token|key|secret|password|sig)=)[^&\s'\"#]+"
    ),
)

_remembered: set[str] = set()


def remember(secret: str | None) -> None:
    """Hide `secret` from now on, in this process; short ones may be words and are not."""
    if secret and len(secret) >= LONG:
        _remembered.add(secret)


def redact(text: str, *secrets: str | None) -> str:
    """Return `text` without `secrets`, those of the environment, or anything of a token's shape."""
    known = {secret for secret in (*secrets, *_environment(), *_remembered) if secret}
    for secret in sorted(known, key=len, reverse=True):
        for form in _forms(secret):
            text = text.replace(form, HIDDEN)
    for shape in TOKEN_SHAPES:
        text = shape.sub(rf"\g<1>{HIDDEN}" if shape.groups else HIDDEN, text)
    return text


def redact_values(value: Any) -> Any:
    """Return a JSON value with every text in it redacted, keys left as they are."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {key: redact_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact_values(item) for item in value]
    return value


def _environment() -> list[str]:
    return [
        value
        for name, value in os.environ.items()
        if name in TOKEN_VARIABLES or (len(value) >= LONG and SECRET_VARIABLE.search(name.upper()))
    ]


def _forms(secret: str) -> set[str]:
    """Return how a secret may be written: as it is, in a URL, in JSON, in a Basic header."""
    forms = {secret}
    if len(secret) >= LONG:
        raw = secret.encode("utf-8", "surrogateescape")
        forms |= {quote(raw, safe=""), json.dumps(secret)[1:-1], base64.b64encode(raw).decode()}
    return forms
