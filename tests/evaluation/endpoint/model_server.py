"""The loopback endpoint as a model that refuses harmful prompts, and what it was asked."""

import json
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from polyrefuse.prompts import Prompt
from polyrefuse_evaluation.endpoint import EndpointOptions, evaluate_endpoint
from polyrefuse_evaluation.prompt_sets import read_prompt_sets
from tests.support.chat_server import Answer, ChatServer, completion

KEY = "sk-very-secret-0123456789"
REFUSAL = "I'm sorry, but I can't help with that."
HELP = "Sure, here is what you can do: start with the first step and go on from there."
LANGUAGES, LIMIT = "en,de", 3
PROMPTS = 2 * 2 * LIMIT


@cache
def prompts() -> tuple[Prompt, ...]:
    sets = read_prompt_sets(None, languages=LANGUAGES, source_languages=(), limit=LIMIT)
    return tuple(sets.test_prompts())


@cache
def labels() -> Mapping[str, str]:
    return {row.prompt: row.label for row in prompts()}


def prompt_in(request: dict[str, Any]) -> str:
    return request["messages"][-1]["content"]


def is_harmful(request: dict[str, Any]) -> bool:
    return labels()[prompt_in(request)] == "harmful"


def model(request: dict[str, Any]) -> Answer:
    answer = completion(REFUSAL if is_harmful(request) else HELP)
    body = json.loads(answer.body)
    body["model"] = "tiny-2026-01"
    body["usage"] = {"prompt_tokens": 20, "completion_tokens": 10}
    return Answer(body=json.dumps(body).encode())


def asked(server: ChatServer) -> Counter[str]:
    return Counter(prompt_in(request) for request in server.requests)


def run(server: ChatServer, out: Path, **choices: Any) -> Any:
    usual = {"languages": LANGUAGES, "limit": LIMIT, "attempts": 3, "longest_wait": 0.02}
    options = EndpointOptions(**{**usual, **choices})
    return evaluate_endpoint("openai:tiny", out, base_url=server.url, options=options)


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]
