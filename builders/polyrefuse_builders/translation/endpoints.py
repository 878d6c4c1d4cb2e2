"""Addresses and keys of web services: addresses without secrets, keys from the environment only."""

import os
from urllib.parse import urlsplit

from polyrefuse.redaction import remember
from polyrefuse_builders.translation.engine import EngineError


def checked_url(url: str, engine: str, key_env: str) -> str:
    """Return `url` if it is an http address that holds no secret.

    Raises:
        EngineError: it is none, or holds a password, a key or a query; does not repeat it.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise EngineError(
            f"engine {engine!r}: the url is no http or https address.",
            "Give one such as http://127.0.0.1:5000.",
        )
    if parts.username or parts.password or parts.query:
        raise EngineError(
            f"engine {engine!r}: the url holds a password, key or query.",
            f"Put the key into the environment variable {key_env}.",
        )
    return url.rstrip("/")


def read_key(name: str, engine: str, *, required: bool) -> str | None:
    """Return the key in the environment variable `name`, or None where there is none.

    Raises:
        EngineError: a required key is missing, or it cannot be sent; does not repeat it.
    """
    key = os.environ.get(name, "").strip() if name else ""
    if not key and required:
        raise EngineError(
            f"engine {engine!r} needs a key, and the environment has no {name}.",
            f"Set {name}, or choose another engine.",
        )
    if not (key.isascii() and key.isprintable()):
        raise EngineError(
            f"engine {engine!r}: the key in {name} has characters that no key has.",
            "Copy it again.",
        )
    remember(key)  # wherever text leaves the process
    return key or None
