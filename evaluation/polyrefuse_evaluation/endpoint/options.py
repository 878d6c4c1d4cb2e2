"""Choices of an endpoint's evaluation, the client they make, and the parameters of its requests."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from polyrefuse.errors import PolyRefuseError
from polyrefuse.reproducibility import require_seed
from polyrefuse_evaluation.chat_api import ChatClient
from polyrefuse_evaluation.chat_api.client import DEFAULT_URL

PREFIX = "openai:"
KEY_VARIABLE = "OPENAI_API_KEY"


@dataclass(frozen=True)
class EndpointOptions:
    """Choices of an evaluation; the first six decide the figures and are in ``settings.json``.

    Attributes:
        languages: languages to evaluate; all that the dataset has by default.
        judges: names of the judges; the first decides, the others are second opinions.
        max_new_tokens: limit on an answer, in tokens, reasoning included.
        limit: most test prompts of each label and language.
        seed: of the bootstrap, and sent with each request where the server takes one.
        store_completions: False keeps labels and hashes only.
        api_key_env: environment variable of the key; OPENAI_API_KEY, where set, by default.
        concurrency: requests under way at once.
        timeout: limit on one request, in seconds.
        attempts: most requests for one prompt.
        longest_wait: most seconds between two of them, whatever the server asks for.
        stream: ask for a stream: for servers and proxies that close quiet connections.
        price_in: price of a million tokens of input.
        price_out: price of a million tokens of output.
        max_cost: do not start if the estimate is above this; needs both prices.
    """

    languages: str | None = None
    judges: tuple[str, ...] = ("keyword",)
    max_new_tokens: int = 512
    limit: int | None = None
    seed: int = 0
    store_completions: bool = True
    api_key_env: str | None = None
    concurrency: int = 8
    timeout: float = 120.0
    attempts: int = 8
    longest_wait: float = 120.0
    stream: bool = False
    price_in: float | None = None
    price_out: float | None = None
    max_cost: float | None = None


def model_name(model: str) -> str:
    """Return what the server calls the model: ``openai:NAME`` without its prefix.

    Raises:
        PolyRefuseError: nothing follows the prefix.
    """
    name = model.removeprefix(PREFIX).strip()
    if not name:
        raise PolyRefuseError(f"{model!r} names no model.", "Example: openai:gpt-5-mini.")
    return name


def require_sane(options: EndpointOptions) -> None:
    """Check numbers.

    Raises:
        PolyRefuseError: one does not fit; names the option.
    """
    require_seed(options.seed)
    for name in ("max_new_tokens", "concurrency", "attempts"):
        if getattr(options, name) < 1:
            value = getattr(options, name)
            raise PolyRefuseError(f"{_flag(name)} is {value}.", "It must be at least 1.")
    if not (options.timeout > 0 and math.isfinite(options.timeout)):
        raise PolyRefuseError(f"--timeout is {options.timeout}.", "It must be positive.")
    for name in ("price_in", "price_out", "max_cost"):
        value = getattr(options, name)
        if value is not None and not (value >= 0 and math.isfinite(value)):
            raise PolyRefuseError(f"{_flag(name)} is {value}.", "It must not be negative.")
    if options.max_cost is not None and None in (options.price_in, options.price_out):
        raise PolyRefuseError(
            "--max-cost needs the prices.",
            "Give --price-in and --price-out, per million tokens.",
        )


def make_client(model: str, base_url: str | None, options: EndpointOptions) -> ChatClient:
    """Return a client; nothing is sent yet.

    Args:
        model: as the server names it.
        base_url: base URL; OpenAI's by default.
        options: choices.

    Raises:
        PolyRefuseError: the URL is none, or there is no key where one was named.
    """
    return ChatClient(
        model,
        base_url or DEFAULT_URL,
        request_forms(options),
        (options.api_key_env or KEY_VARIABLE,),
        # A local server needs no key; whoever names a variable means it.
        key_required=options.api_key_env is not None or base_url is None,
        timeout=options.timeout,
        attempts=options.attempts,
        longest_wait=options.longest_wait,
        connections=options.concurrency,
        insist=True,
    )


def request_forms(options: EndpointOptions) -> list[dict[str, Any]]:
    """Return the parameters of a request, most exact first.

    What servers refuse is left out or named as they want it, the least important first: usage of
    a stream, the stream, the seed, the name of the length limit, the temperature.
    """
    usage = {"stream": True, "stream_options": {"include_usage": True}}
    streams: list[dict[str, Any]] = [usage, {"stream": True}, {}] if options.stream else [{}]
    choices = product(
        ({"temperature": 0}, {}),
        ("max_tokens", "max_completion_tokens"),
        ({"seed": options.seed}, {}),
        streams,
    )
    return [
        {**temperature, limit: options.max_new_tokens, **seed, **stream}
        for temperature, limit, seed, stream in choices
    ]


def adaptations(first: Mapping[str, Any], taken: Mapping[str, Any]) -> list[str]:
    """Say how the parameters that a server took differ from those it was first asked with."""
    left_out = [name for name in first if name not in taken]
    if "max_tokens" in left_out and "max_completion_tokens" in taken:
        left_out.remove("max_tokens")
        return ["max_completion_tokens instead of max_tokens", *map(_left_out, left_out)]
    return [*map(_left_out, left_out)]


def _left_out(name: str) -> str:
    return f"{name} left out"


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
