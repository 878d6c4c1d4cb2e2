"""Translate rows: every English row comes back in every language, translated or with its reason.

The recipe is here; one run's state and work are in run.py, the waiting and retrying in retrying.py.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from polyrefuse.errors import DatasetError
from polyrefuse.prompts import Prompt
from polyrefuse_builders.translation.cache import TranslationCache
from polyrefuse_builders.translation.engine import Engine, require_languages
from polyrefuse_builders.translation.event_loop import run_to_end
from polyrefuse_builders.translation.outcome import TranslationOutcome
from polyrefuse_builders.translation.progress import TranslationProgress
from polyrefuse_builders.translation.rate import Clock
from polyrefuse_builders.translation.retrying import Requester, RetryPolicy
from polyrefuse_builders.translation.run import Run

SOURCE: Final = "en"


def translate_rows(
    rows: Sequence[Prompt],
    targets: Sequence[str],
    engine: Engine,
    cache: TranslationCache | str | Path,
    *,
    concurrency: int | None = None,
    retry_failed: bool = False,
    progress: bool = False,
    timeout: float | None = None,
    policy: RetryPolicy | None = None,
    clock: Clock | None = None,
) -> TranslationOutcome:
    """Translate English rows into each of `targets`; never drops a row.

    Run it again with the same cache to resume: what is there, translated or failed, is not asked
    for again. In a running event loop, await `translate_rows_async` instead.

    Args:
        rows: English rows; `prompt_en` is translated.
        targets: ISO 639-1 codes; for ``en`` the rows come back as they are.
        engine: see `get_engine`.
        cache: an open cache, or the path of one.
        concurrency: most requests at a time; the engine's own limit by default and at most.
        retry_failed: ask again for texts that failed before (and any never tried), no others.
        progress: show a bar for each language on stderr.
        timeout: seconds for one request, instead of the engine's own.
        policy: patience with failing requests.
        clock: for tests.

    Raises:
        UnknownLanguageError: PolyRefuse has no such language.
        EngineError: the engine lacks a language, refuses the key, or cannot work at all. What was
            translated by then is in the cache.
        CacheError: the cache cannot be used or written (no disk).
        DatasetError: a row is not English.
    """
    return run_to_end(
        lambda: translate_rows_async(
            rows,
            targets,
            engine,
            cache,
            concurrency=concurrency,
            retry_failed=retry_failed,
            progress=progress,
            timeout=timeout,
            policy=policy,
            clock=clock,
        )
    )


async def translate_rows_async(
    rows: Sequence[Prompt],
    targets: Sequence[str],
    engine: Engine,
    cache: TranslationCache | str | Path,
    *,
    concurrency: int | None = None,
    retry_failed: bool = False,
    progress: bool = False,
    timeout: float | None = None,
    policy: RetryPolicy | None = None,
    clock: Clock | None = None,
) -> TranslationOutcome:
    """Do what `translate_rows` does, inside a running event loop."""
    for row in rows:
        if row.language != SOURCE:
            raise DatasetError(
                f"row {row.id} is in {row.language!r}, not English.", "Give the English rows."
            )
    targets = list(dict.fromkeys(targets))
    foreign = [target for target in targets if target != SOURCE]
    require_languages(engine, SOURCE, foreign)
    policy = policy or RetryPolicy()
    most = min(concurrency or engine.max_concurrency, engine.max_concurrency)
    with ExitStack() as stack:
        if not isinstance(cache, TranslationCache):
            cache = stack.enter_context(TranslationCache(cache))
        requester = Requester(engine, policy, clock, timeout)
        run = Run(engine, cache, requester, source=SOURCE, give_up_after=policy.give_up_after)
        run.plan([row.prompt_en for row in rows], foreign, retry_failed=retry_failed)
        try:
            with TranslationProgress(run.to_do(), known=run.known(), shown=progress) as bars:
                await run.work(max(1, most), bars.advance)
        finally:
            await engine.close()
        return run.outcome(rows, targets)
