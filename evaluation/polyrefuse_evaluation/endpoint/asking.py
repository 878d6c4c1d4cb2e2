"""Puts prompts to an endpoint, some at a time, and keeps each answer as it comes.

The first prompts go alone: a wrong key, address or model stops the run at once, and the parameters
that the server takes are settled before many requests are under way.
"""

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Any

from polyrefuse.errors import AnswerIsNo, PolyRefuseError
from polyrefuse_evaluation.chat_api import REJECTED, ChatClient, Reply
from polyrefuse_evaluation.endpoint.store import Answered, AnswerStore

REJECTIONS = 3
"""So many prompts rejected in every form, before any was taken, are no matter of the prompts."""
PILOTS = 4
"""Most prompts that go alone; a filter may stop some of them."""
LEAST_FAILURES_IN_A_ROW = 16
AHEAD = 8
"""Requests waiting for each one under way, so that slow judging does not hold up asking."""


@dataclass
class Asker:
    """Asks every open prompt of a store.

    Attributes:
        client: of the model.
        store: prompts and answers.
        concurrency: requests under way at once.
        run_name: names this run among all runs; makes idempotency keys.
        settled: called once with the parameters that the server took.
        advance: called for each prompt that is done.
    """

    client: ChatClient
    store: AnswerStore
    concurrency: int
    run_name: str
    settled: Callable[[Any], None]
    advance: Callable[[int], None]
    _in_a_row: int = field(default=0, init=False)
    _pilots: int = field(default=0, init=False)
    _told: bool = field(default=False, init=False)
    _lock: Lock = field(default_factory=Lock, init=False, repr=False)
    _ended: Event = field(default_factory=Event, init=False, repr=False)

    def ask_all(self) -> None:
        """Ask until every prompt is answered or recorded as failed.

        Raises:
            PolyRefuseError: the server rejects key, model or every form of request.
            AnswerIsNo: too many prompts in a row failed; the rest was not asked.
            RunDirectoryError: answers cannot be written.
        """
        self.client.stop(False)
        self._ended.clear()
        todo = self._pilot_first(self.store.open)
        while todo and self.client.form is None and self._pilots < PILOTS:
            self._pilots += 1
            self._finish([self._ask(todo.pop(0))])
        pool = ThreadPoolExecutor(self.concurrency, thread_name_prefix="ask")
        try:
            self._ask_side_by_side(pool, todo)
        finally:
            self._end()
            pool.shutdown(wait=True, cancel_futures=True)

    def _ask_side_by_side(self, pool: ThreadPoolExecutor, todo: list[int]) -> None:
        # Texts that are not kept wait for their verdicts in memory: no more than are under way.
        window = self.concurrency * (AHEAD if self.store.keep_texts else 1)
        waiting: set[Future[Answered | None]] = set()
        remaining = iter(todo)
        while True:
            for batch in remaining:
                waiting.add(pool.submit(self._ask, batch))
                if len(waiting) >= window:
                    break
            if not waiting:
                return
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            self._finish([future.result() for future in done])

    def _finish(self, answers: list[Answered | None]) -> None:
        found = [answer for answer in answers if answer is not None]
        if self.client.form is not None and not self._told:
            self._told = True
            self.settled(self.client.form)
        if found:
            self.store.judge(found)
        self.advance(len(answers))

    def _end(self) -> None:
        self._ended.set()
        self.client.stop()

    def _ask(self, batch: int) -> Answered | None:
        """Ask one prompt, unless all has ended; what goes wrong here ends all at once."""
        if self._ended.is_set():
            return None
        try:
            return self._ask_and_keep(batch)
        except BaseException:
            self._end()  # or this thread would pay for the next prompt until the pool is told
            raise

    def _ask_and_keep(self, batch: int) -> Answered | None:
        prompt = self.store.prompts[batch]
        name = (self.run_name, prompt.language, prompt.id)
        tag = hashlib.sha256(json.dumps(name).encode("ascii")).hexdigest()
        reply = self.client.ask([{"role": "user", "content": prompt.prompt}], tag=tag)
        if not reply.failed:
            with self._lock:
                self._in_a_row = 0
            return self.store.add(batch, reply)
        reason = self.store.fail(batch, reply)
        self._count_failure(reply, reason)
        return None

    def _count_failure(self, reply: Reply, reason: str) -> None:
        with self._lock:
            self._in_a_row += 1
            failures = self._in_a_row
        if self.client.form is None and reply.problem == REJECTED and failures >= REJECTIONS:
            raise PolyRefuseError(
                f"{self.client.url}: rejects requests for model {self.client.model!r} in every "
                f"form ({reason}).",
                "Check that it is a chat model, and lower --max-new-tokens if it allows fewer.",
            )
        if failures >= max(LEAST_FAILURES_IN_A_ROW, 4 * self.concurrency):
            raise AnswerIsNo(
                f"{self.client.url}: {failures} requests in a row failed (the last: {reason}); "
                "the rest was not asked.",
                "Run the same command again once the server is well: it resumes.",
            )

    def _pilot_first(self, batches: list[int]) -> list[int]:
        """Put a harmless prompt first: a filter's answer does not settle parameters."""
        label = {batch: self.store.prompts[batch].label for batch in batches}
        first = next((batch for batch in batches if label[batch] == "harmless"), None)
        return batches if first is None else [first, *(b for b in batches if b != first)]
