"""Progress of a translation run on stderr: one bar a language."""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.progress import TimeRemainingColumn as Remaining

from polyrefuse.observing import advance, expect


class TranslationProgress:
    """Bars for the texts of each language, when `shown`; the log of a run counts along.

    Args:
        totals: texts to ask for, by language.
        known: texts that need no request, by language; for the log.
        shown: whether there are bars.
    """

    def __init__(
        self, totals: Mapping[str, int], *, known: Mapping[str, int] = {}, shown: bool
    ) -> None:
        before = {code: known.get(code, 0) for code in {**known, **totals}}
        expect({(None, x): (n, n + totals.get(x, 0)) for x, n in before.items()})
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            Remaining(),
            TextColumn("[red]{task.fields[failed]}"),
        )
        self._bars = Progress(
            *columns, console=Console(stderr=True, quiet=not shown), disable=not shown
        )
        self._tasks: dict[str, TaskID] = {
            language: self._bars.add_task(language, total=total, failed="")
            for language, total in totals.items()
        }
        self._failed = dict.fromkeys(totals, 0)

    def advance(self, language: str, failed: bool) -> None:
        """Count one more text of `language`."""
        advance(language=language)
        self._failed[language] += failed
        number = self._failed[language]
        note = f"{number} failed" if number else ""
        self._bars.update(self._tasks[language], advance=1, failed=note)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bars.stop()
