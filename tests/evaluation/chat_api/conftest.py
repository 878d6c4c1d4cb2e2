"""A loopback endpoint, and clients of it that do not wait long."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from polyrefuse_evaluation.chat_api import ChatClient
from tests.support.chat_server import ChatServer, chat_server, completion

HELLO = [{"role": "user", "content": "Hello?"}]


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server(lambda _: completion("Hello.")) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture
def make(server: ChatServer) -> Callable[..., ChatClient]:
    def build(**changes: Any) -> ChatClient:
        usual = {"url": server.url, "attempts": 3, "longest_wait": 0.02, "insist": True}
        return ChatClient("tiny", **{**usual, **changes})

    return build


@pytest.fixture
def hello() -> list[dict[str, str]]:
    return HELLO
