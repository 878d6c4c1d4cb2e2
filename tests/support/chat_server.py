"""A loopback stand-in for an OpenAI-compatible endpoint, which can be told to fail or to stream."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Answer:
    """What the server sends: a status, a body, headers, after a delay, cut or whole."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    promised: int = 0  # bytes announced beyond those sent
    pieces: Sequence[bytes] = ()  # sent after the body, one by one
    piece_delay: float = 0.0
    stays_open: float = 0.0  # seconds for which the connection stays open after the last byte


def completion(content: Any, finish: str = "stop", **message: Any) -> Answer:
    choice = {"message": {"content": content, **message}, "finish_reason": finish}
    return Answer(body=json.dumps({"choices": [choice]}).encode())


def stream(*chunks: Any, done: bool = True, **changes: Any) -> Answer:
    """Each chunk is an event: a text is a delta of the content, anything else is sent as it is."""
    events = [
        {"choices": [{"delta": {"content": chunk}}]} if isinstance(chunk, str) else chunk
        for chunk in chunks
    ]
    pieces = [f"data: {json.dumps(event)}\n\n".encode() for event in events]
    pieces += [b"data: [DONE]\n\n"] if done else []
    headers = {"Content-Type": "text/event-stream"}
    return Answer(pieces=pieces, headers=headers, **changes)


@dataclass
class ChatServer:
    """Its address, what it was asked, and what it answers: a function of the request."""

    answer: Callable[[dict[str, Any]], Answer]
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    most_at_once: int = 0
    first: list[Answer] = field(default_factory=list)  # sent before `answer` is asked
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, request: dict[str, Any], headers: dict[str, str]) -> Answer:
        with self._lock:
            self.requests.append(request)
            self.headers.append(headers)
            self.times.append(time.monotonic())
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
            planned = self.first.pop(0) if self.first else None
        return planned or self.answer(request)

    def done(self) -> None:
        with self._lock:
            self._now -= 1


@contextmanager
def chat_server(answer: Callable[[dict[str, Any]], Answer]) -> Iterator[ChatServer]:
    state = ChatServer(answer)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            request["path"] = self.path
            answer = state.take(request, dict(self.headers))
            time.sleep(answer.delay)
            state.done()  # before it is sent: the client's next request may come at once
            with suppress(OSError):  # the client gave up
                self._send(answer)

        def _send(self, answer: Answer) -> None:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if not answer.pieces:
                self.send_header("Content-Length", str(len(answer.body) + answer.promised))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(answer.body)
            for piece in answer.pieces:
                self.wfile.write(piece)
                time.sleep(answer.piece_delay)
            time.sleep(answer.stays_open)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
