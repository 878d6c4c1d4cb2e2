"""A loopback model for every test that asks for one, and no key that the machine may have."""

from collections.abc import Iterator

import pytest

from tests.evaluation.endpoint.model_server import model
from tests.support.chat_server import ChatServer, chat_server


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server(model) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture(autouse=True)
def _no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures and page take longer than all else here; the command that runs apart makes them."""
    monkeypatch.setattr("polyrefuse_evaluation.endpoint.evaluate.finish", lambda _, result: result)
