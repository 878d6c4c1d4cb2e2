"""One translation run: which texts it needs, what came of each, and how often it asked.

The same text for the same language is one job, however many rows hold it. Outcomes are kept in
the cache the moment they arrive.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from polyrefuse.prompts import Prompt
from polyrefuse_builders.translation.cache import CacheEntry, CacheKey, TranslationCache
from polyrefuse_builders.translation.engine import (
    Engine,
    EngineError,
    FailureKind,
    ServiceStopped,
    TransientFailure,
    TranslationFailure,
)
from polyrefuse_builders.translation.outcome import (
    Counts,
    FailedRow,
    TranslationOutcome,
    translated_row,
)
from polyrefuse_builders.translation.retrying import Requester

Job = tuple[str, str]
"""Target language and English text."""

Advance = Callable[[str, bool], None]
"""Called with the language of each text that is done, and whether it failed."""


class Run:
    """The state of one run; use `plan`, `work` and `outcome` in this order."""

    def __init__(
        self,
        engine: Engine,
        cache: TranslationCache,
        requester: Requester,
        *,
        source: str,
        give_up_after: int,
    ) -> None:
        self._engine = engine
        self._cache = cache
        self._requester = requester
        self._source = source
        self._give_up_after = give_up_after
        self._entries: dict[Job, CacheEntry] = {}
        self._jobs: list[Job] = []
        self._stopped: str | None = None
        self._exhausted_in_a_row = 0
        self._counts = Counts()

    def plan(self, texts: Iterable[str], targets: Iterable[str], *, retry_failed: bool) -> None:
        """Settle what needs no request; the rest become jobs."""
        distinct = list(dict.fromkeys(texts))
        for target in targets:
            known = self._cache.known(
                self._engine.name, self._engine.revision, self._source, target
            )
            for text in distinct:
                self._counts.texts += 1
                entry = self._untranslatable(text)
                if entry is None and (found := known.get(text)) is not None:
                    if found.status == "ok" or (found.status == "failed" and not retry_failed):
                        self._counts.from_cache += 1
                        entry = found
                    self._counts.repeated += found.status == "pending"
                if entry is None:
                    self._jobs.append((target, text))
                else:
                    self._entries[target, text] = entry

    def _untranslatable(self, text: str) -> CacheEntry | None:
        if not text.strip():
            return _unasked(FailureKind.NO_TEXT, "the English row has no text")
        if len(text) > self._engine.max_characters:
            limit = self._engine.max_characters
            reason = f"{len(text)} characters; {self._engine.name} takes {limit}"
            return _unasked(FailureKind.TOO_LONG, reason)
        return None

    def to_do(self) -> Counter[str]:
        """Return how many texts are to be asked for, by language."""
        return Counter(target for target, _ in self._jobs)

    def known(self) -> Counter[str]:
        """Return how many texts need no request, by language."""
        return Counter(target for target, _ in self._entries)

    async def work(self, workers: int, advance: Advance) -> None:
        """Ask for every job, `workers` at a time.

        Raises:
            EngineError: the engine cannot work at all.
            CacheError: the cache cannot be written.
        """
        jobs = iter(self._jobs)
        tasks = [asyncio.create_task(self._work_through(jobs, advance)) for _ in range(workers)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _work_through(self, jobs: Iterator[Job], advance: Advance) -> None:
        for job in jobs:
            if self._stopped is None:
                entry = await self._ask(job)
            else:
                entry = _unasked(FailureKind.NOT_TRIED, self._stopped)
            self._entries[job] = entry
            advance(job[0], entry.status != "ok")

    async def _ask(self, job: Job) -> CacheEntry:
        """Return what came of one job, kept in the cache unless the service takes no more texts."""
        target, text = job
        key = CacheKey(self._engine.name, self._engine.revision, self._source, target, text)
        first = True

        def on_request() -> None:
            nonlocal first
            self._cache.begin(key)
            self._counts.requests += 1
            self._counts.asked += first
            first = False

        try:
            answer = await self._requester.translate(text, self._source, target, on_request)
        except ServiceStopped as failure:
            self._cache.release(key)
            self._stopped = self._stopped or failure.reason
            return _unasked(FailureKind.NOT_TRIED, failure.reason)
        except EngineError:
            self._cache.release(key)
            raise
        except TranslationFailure as failure:
            self._note_exhausted(failure)
            return self._cache.fail(key, failure.kind, failure.reason, failure.answer)
        self._exhausted_in_a_row = 0
        return self._cache.store(key, answer)

    def _note_exhausted(self, failure: TranslationFailure) -> None:
        """Stop the run when text after text uses up its attempts: the service is down."""
        transient = isinstance(failure, TransientFailure)
        self._exhausted_in_a_row = self._exhausted_in_a_row + 1 if transient else 0
        if self._exhausted_in_a_row >= self._give_up_after and self._stopped is None:
            self._stopped = (
                f"{self._exhausted_in_a_row} texts in a row failed, the last with: {failure.reason}"
            )

    def outcome(self, rows: Sequence[Prompt], targets: Sequence[str]) -> TranslationOutcome:
        """Put the rows together, in the order of targets and rows."""
        prompts: list[Prompt] = []
        failures: list[FailedRow] = []
        for target in targets:
            for row in rows:
                if target == self._source:
                    prompts.append(row)
                    continue
                entry = self._entries[target, row.prompt_en]
                prompts.append(translated_row(row, target, self._engine, entry))
                if entry.status != "ok":
                    kind = entry.kind or FailureKind.ENGINE_ERROR
                    failures.append(FailedRow(row.id, target, kind, entry.reason or ""))
        return TranslationOutcome(prompts, failures, self._counts, self._stopped, self._notices())

    def _notices(self) -> list[str]:
        notices = []
        if self._cache.moved_aside is not None:
            notices.append(
                f"{self._cache.path}: was corrupt and has been moved to "
                f"{self._cache.moved_aside.name}; a new cache was begun; "
                f"{self._cache.read_back} of its entries could be read back."
            )
        if self._stopped is not None:
            notices.append(f"Stopped early: {self._stopped}. Run again to go on.")
        return notices


def _unasked(kind: FailureKind, reason: str) -> CacheEntry:
    """Return a failure that no request was made for; not kept, so the next run looks again."""
    return CacheEntry("failed", None, kind, reason, requests=0, at="")
