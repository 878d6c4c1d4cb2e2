"""The client asks again when that may help, adapts once, waits when told, and hides its key."""

import errno
import json
import logging
import os
import socket
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from polyrefuse.errors import PolyRefuseError
from polyrefuse_evaluation.chat_api import ChatClient, read_key
from polyrefuse_evaluation.chat_api.waiting import asked_wait
from tests.support.chat_server import Answer, ChatServer, completion, stream

KEY = "sk-very-secret-0123456789"
Make = Callable[..., ChatClient]
Messages = list[dict[str, str]]


def error(status: int, **fields: Any) -> Answer:
    return Answer(status=status, body=json.dumps({"error": fields}).encode())


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (Answer(status=429), "failed:http_429"),
        (Answer(status=500), "failed:http_500"),
        (Answer(delay=0.4), "failed:timeout"),
        (Answer(body=b'{"choices": [{"mess'), "failed:invalid_json"),
        (Answer(body=b'{"choices": []', promised=9), "failed:transport"),
        (Answer(body=b'{"choices": []}'), "failed:no_choices"),
        (error(200, message="upstream"), "failed:error_reply"),
        (completion("", finish="error"), "failed:error_reply"),
        (stream("Half", done=False), "failed:cut"),
        (stream("Half", {"error": {"message": "upstream"}}), "failed:error_reply"),
    ],
)
def test_what_passes_is_asked_again_and_what_stays_is_a_reason(
    server: ChatServer, make: Make, hello: Messages, bad: Answer, reason: str
) -> None:
    patience = 0.15 if bad.delay else 20.0
    server.first = [bad, bad]
    reply = make(timeout=patience).ask(hello)
    assert (reply.text, reply.problem, reply.requests) == ("Hello.", "", 3)

    server.answer = lambda _: bad
    reply = make(timeout=patience).ask(hello)
    assert reply.failed
    assert reply.problem == reason


def test_a_server_that_sends_forever_is_left(
    server: ChatServer, make: Make, hello: Messages
) -> None:
    server.answer = lambda _: stream(*["a"] * 200, piece_delay=0.03)
    began = time.monotonic()
    assert make(timeout=0.2, attempts=1).ask(hello).problem == "failed:timeout"
    assert time.monotonic() - began < 2


def test_a_stream_that_stays_open_after_its_end_is_not_waited_for(
    server: ChatServer, make: Make, hello: Messages
) -> None:
    server.answer = lambda _: stream("Hello.", stays_open=3.0)
    began = time.monotonic()
    assert make(forms=[{"stream": True}]).ask(hello).text == "Hello."
    assert time.monotonic() - began < 2


def test_all_requests_wait_when_one_is_told_to(
    server: ChatServer, make: Make, hello: Messages
) -> None:
    server.first = [Answer(status=429, headers={"Retry-After": "0.4"})]
    client = make(longest_wait=5.0)
    client.ask(hello)
    server.first = [Answer(status=429, headers={"Retry-After": "0.4"})]
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(client.ask, hello)
        time.sleep(0.15)
        began = time.monotonic()
        pool.submit(client.ask, hello).result()
        first.result()
    assert time.monotonic() - began >= 0.2


def test_a_wait_may_be_asked_for_in_milliseconds() -> None:
    assert asked_wait({"retry-after-ms": "250", "retry-after": "1"}) == 0.25
    assert asked_wait({"retry-after-ms": "soon", "retry-after": "1"}) == 1.0
    assert asked_wait({}) is None


def test_stopping_ends_a_pause_without_another_request(
    server: ChatServer, make: Make, hello: Messages
) -> None:
    server.answer = lambda _: Answer(status=429, headers={"Retry-After": "30"})
    client = make(longest_wait=60.0)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(client.ask, hello)
        time.sleep(0.2)
        client.stop()
        assert asked.result(timeout=5).failed
    assert len(server.requests) == 1


FORMS = [
    {"temperature": 0, "max_tokens": 9, "seed": 0},
    {"temperature": 0, "max_tokens": 9},
    {"temperature": 0, "max_completion_tokens": 9, "seed": 0},
    {"temperature": 0, "max_completion_tokens": 9},
    {"max_completion_tokens": 9},
]


@pytest.mark.parametrize(
    ("named", "requests"), [(True, 3), (False, 5)], ids=["blamed by name", "not named"]
)
def test_parameters_are_adapted_once_and_kept(
    server: ChatServer, make: Make, hello: Messages, named: bool, requests: int
) -> None:
    def picky(request: dict[str, Any]) -> Answer:
        for name in ("max_tokens", "temperature"):
            if name in request:
                return error(400, message="no", param=name if named else None)
        return completion("Hello.")

    server.answer = picky
    client = make(forms=FORMS)
    assert client.ask(hello).text == "Hello."
    assert len(server.requests) == requests
    assert client.form == {"max_completion_tokens": 9}
    client.ask(hello)
    assert len(server.requests) == requests + 1


def test_what_no_form_mends_is_rejected_with_its_code(
    server: ChatServer, make: Make, hello: Messages
) -> None:
    server.answer = lambda _: error(400, code="context_length_exceeded")
    reply = make(forms=FORMS).ask(hello)
    assert (reply.problem, reply.code) == ("rejected", "context_length_exceeded")
    assert len(server.requests) == len(FORMS)


@pytest.mark.parametrize("status", [400, 403, 422, 451, 500])
def test_a_filter_s_error_is_no_failure_and_settles_no_form(
    server: ChatServer, make: Make, hello: Messages, status: int
) -> None:
    server.answer = lambda _: error(status, code="content_filter")
    client = make(forms=FORMS)
    reply = client.ask(hello)
    assert (reply.filtered, reply.failed, client.form) == ("error", False, None)
    assert len(server.requests) == 1


def test_errors_wrapped_in_a_list_are_read(server: ChatServer, make: Make, hello: Messages) -> None:
    body = json.dumps([{"error": {"code": "content_filter"}}]).encode()
    server.answer = lambda _: Answer(status=400, body=body)
    assert make().ask(hello).filtered == "error"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(status=401, body=KEY.encode()), "401.*OPENAI_API_KEY"),
        (Answer(status=403), "403.*this key"),
        (Answer(status=404), "404.*--base-url"),
        (Answer(status=301, headers={"Location": "http://127.0.0.1:9/"}), "301"),
        (Answer(status=402), "no credit"),
        (error(429, code="insufficient_quota", message=KEY), "no credit"),
    ],
)
def test_what_no_waiting_mends_stops_at_once(
    server: ChatServer, make: Make, hello: Messages, answer: Answer, words: str
) -> None:
    server.answer = lambda _: answer
    with pytest.raises(PolyRefuseError, match=words) as caught:
        make().ask(hello)
    assert len(server.requests) == 1
    assert KEY not in str(caught.value)


def test_a_request_sent_again_carries_its_mark_until_it_was_answered(
    server: ChatServer, make: Make, hello: Messages
) -> None:
    server.first = [Answer(delay=0.4), Answer(status=500)]
    make(timeout=0.15, attempts=4).ask(hello, tag="a")
    make().ask(hello, tag="a")
    make().ask(hello, tag="b")
    make().ask(hello)
    marks = [headers.get("Idempotency-Key") for headers in server.headers]
    assert marks[0] == marks[1] == marks[3]  # no reply came; a new process, the same question
    assert marks[2] != marks[1]  # an error was the answer
    assert marks[4] not in marks[:4]
    assert marks[5] is None


@pytest.mark.parametrize("value", ["sk-secret\nInjected: yes", "sk-sécret-0123", "sk secret 0123"])
def test_what_cannot_be_a_key_is_named_by_its_variable_only(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", value)
    with pytest.raises(PolyRefuseError, match="OPENAI_API_KEY") as caught:
        ChatClient("tiny")
    assert "cret" not in str(caught.value)


def test_a_key_that_was_named_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PolyRefuseError, match="MY_KEY is not set"):
        read_key(["MY_KEY"], required=True)
    assert read_key(["MY_KEY"]) is None
    monkeypatch.setenv("MY_KEY", f" {KEY}\n")
    key = read_key(["MY_KEY"])
    assert key is not None
    assert key.value == KEY
    assert KEY not in repr(key)


def test_the_key_is_in_the_header_and_nowhere_else(
    server: ChatServer,
    make: Make,
    hello: Messages,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    server.answer = lambda _: completion(f"You sent {KEY}.", reasoning=KEY)
    client = make()
    reply = client.ask(hello, tag="a")
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert reply.text == "You sent [key]."
    assert KEY not in repr((client, reply)) + caplog.text + json.dumps(server.requests)
    assert "httpcore" in caplog.text or "HTTP Request" in caplog.text  # it would have shown


def test_a_placeholder_is_no_secret_to_take_out_of_answers(
    server: ChatServer, make: Make, hello: Messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "EMPTY")
    server.answer = lambda _: completion("The glass is EMPTY.")
    assert make().ask(hello).text == "The glass is EMPTY."


@pytest.mark.parametrize("url", ["ftp://h/v1", "localhost:8000", "http://", "http://[::1/v1", ""])
def test_a_bad_url_is_named(url: str) -> None:
    with pytest.raises(PolyRefuseError, match="no http"):
        ChatClient("tiny", url)


@pytest.mark.parametrize("url", ["https://me:secret@h/v1", "https://h/v1?key=secret"])
def test_a_url_with_a_secret_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(PolyRefuseError, match="environment") as caught:
        ChatClient("tiny", url)
    assert "secret" not in str(caught.value)


def test_the_key_does_not_follow_a_redirect(
    server: ChatServer, make: Make, hello: Messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.first = [Answer(status=307, headers={"Location": f"{server.url}/elsewhere"})]
    with pytest.raises(PolyRefuseError, match="307"):
        make().ask(hello)
    assert len(server.requests) == 1


def test_a_prompt_with_half_a_letter_is_sent(server: ChatServer, make: Make) -> None:
    assert make().ask([{"role": "user", "content": "a\ud83d"}]).text == "Hello."
    assert server.requests[0]["messages"][0]["content"] == "a\ud83d"


def test_errors_of_the_http_library_are_not_shown(
    make: Make, hello: Messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --debug a traceback shows every chained error, and some of theirs show headers."""

    def leak(*_: Any, **__: Any) -> Any:
        raise httpx2.LocalProtocolError(f"Illegal header value b'Bearer {KEY}'")

    client = make()
    monkeypatch.setattr(client._http, "stream", leak)
    reply = client.ask(hello)
    assert reply.problem == "failed:transport"
    monkeypatch.setattr(client._http, "stream", _refuse_connection)
    with pytest.raises(PolyRefuseError, match="no connection") as caught:
        client.ask(hello)
    shown = "".join(traceback.format_exception(caught.value))
    assert KEY not in shown


def _refuse_connection(*_: Any, **__: Any) -> Any:
    raise httpx2.ConnectError(f"refused, headers Bearer {KEY}")


def test_without_file_handles_the_run_ends_and_no_answer_is_recorded(make, hello, monkeypatch):
    def connect(*_):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    client = make()
    with monkeypatch.context() as patched:
        patched.setattr(socket.socket, "connect", connect)
        with pytest.raises(PolyRefuseError, match=r"Too many open files.*resumes"):
            client.ask(hello)
        patched.setattr("polyrefuse_evaluation.chat_api.transport.machine_fault", lambda _: None)
        client._answered = True
        assert client.ask(hello).problem == "failed:connection"  # the mutation
    assert client.ask(hello).text == "Hello."
