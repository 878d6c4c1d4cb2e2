"""What validation found: verdicts per row, figures per language, and how they are written."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heappush, heappushpop
from pathlib import Path
from typing import TYPE_CHECKING

from polyrefuse.atomic import whole_file
from polyrefuse.errors import DatasetError
from polyrefuse.languages import LANGUAGES
from polyrefuse.prompts import Prompt, QualityCheck, Verdict

if TYPE_CHECKING:
    from rich.table import Table

WORST_ROWS = 10
ORDER = (Verdict.OK, Verdict.SUSPECT, Verdict.FAILED)


@dataclass(frozen=True, slots=True)
class RowReport:
    """Verdict on one row.

    Attributes:
        language: ISO 639-1 code.
        id: the row's id.
        verdict: the worst verdict of its checks.
        reasons: why it is not ok, one sentence each, worst first; empty if it is.
        qa: checks that measured or found something.
    """

    language: str
    id: str
    verdict: Verdict
    reasons: list[str]
    qa: list[QualityCheck]


@dataclass(frozen=True, slots=True)
class LanguageFigures:
    """Figures of one language.

    Attributes:
        language: ISO 639-1 code.
        rows: number of rows.
        prompts: number of ids that the dataset has in any language.
        verdicts: rows per verdict.
        by_check: rows that each check found suspect or failed.
        softening: mean fraction of harm-bearing terms without a form in the translation, over
            harmful rows that have such terms; None where there are none. In [0, 1].
        worst: ids of the worst rows, worst first.
    """

    language: str
    rows: int
    prompts: int
    verdicts: Counter[Verdict]
    by_check: Counter[str]
    softening: float | None
    worst: list[str]

    @property
    def yield_(self) -> float:
        """Fraction of the dataset's ids that have a row here that did not fail, in [0, 1]."""
        return (self.rows - self.verdicts[Verdict.FAILED]) / self.prompts

    @property
    def not_ok(self) -> float:
        """Fraction of rows that are suspect or failed, in [0, 1]."""
        return 1 - self.verdicts[Verdict.OK] / self.rows


@dataclass(frozen=True)
class ValidationFigures:
    """Figures per language, without the rows."""

    languages: list[LanguageFigures]

    @property
    def ok(self) -> bool:
        """Whether no row failed."""
        return not any(figures.verdicts[Verdict.FAILED] for figures in self.languages)

    def figures(self, language: str) -> LanguageFigures:
        """Return the figures of one language.

        Raises:
            DatasetError: the report has no such language.
        """
        for figures in self.languages:
            if figures.language == language:
                return figures
        known = ", ".join(figures.language for figures in self.languages)
        raise DatasetError(f"the report has no language {language!r}.", f"It has {known}.")


@dataclass(frozen=True)
class ValidationReport(ValidationFigures):
    """What `validate_folder` found: figures per language, and a line a row, in file order."""

    rows: list[RowReport]


class FigureCount:
    """Counts the verdicts of one language's rows, one at a time."""

    def __init__(self, language: str, prompts: int) -> None:
        """Start with no rows, of a dataset with so many ids."""
        self._language, self._prompts, self._rows = language, prompts, 0
        self._verdicts: Counter[Verdict] = Counter()
        self._by_check: Counter[str] = Counter()
        self._softening = [0.0, 0]  # sum, rows
        self._worst: list[tuple[tuple[int, int, int], str]] = []

    def add(self, row: RowReport) -> None:
        """Count a row."""
        self._rows += 1
        self._verdicts[row.verdict] += 1
        for check in row.qa:
            if check.verdict != Verdict.OK:
                self._by_check[check.check] += 1
            if check.check == "softening" and check.score is not None:
                self._softening[0] += check.score
                self._softening[1] += 1
        if row.verdict != Verdict.OK:
            badness = (ORDER.index(row.verdict), len(row.reasons), -self._rows)
            if len(self._worst) < WORST_ROWS:
                heappush(self._worst, (badness, row.id))
            else:
                heappushpop(self._worst, (badness, row.id))

    def figures(self) -> LanguageFigures:
        """Return the figures of the rows so far."""
        total, rows = self._softening
        return LanguageFigures(
            self._language,
            self._rows,
            self._prompts,
            self._verdicts,
            self._by_check,
            total / rows if rows else None,
            [id_ for _, id_ in sorted(self._worst, reverse=True)],
        )


def language_figures(language: str, rows: Iterable[RowReport], prompts: int) -> LanguageFigures:
    """Count the verdicts of one language's rows, in a dataset of `prompts` ids."""
    count = FigureCount(language, prompts)
    for row in rows:
        count.add(row)
    return count.figures()


BEGIN = '{"language": "'
"""How a report begins."""


def write_report(rows: Iterable[RowReport], path: Path) -> None:
    """Write one JSON object a row: language, id, verdict, reasons. Whole, or not at all.

    Raises:
        DatasetError: `path` cannot be written. What stood there before then still does.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() or (path.exists() and not path.is_file()):
            _write_rows(rows, path)  # a pipe or device: nothing to put in its place
        else:
            with whole_file(path) as partial:
                _write_rows(rows, partial)
    except OSError as error:
        raise DatasetError(
            f"{path}: the report cannot be written ({error.strerror}).", "Name another file."
        ) from error


def _write_rows(rows: Iterable[RowReport], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            said = {"language": row.language, "id": row.id, "verdict": row.verdict.value}
            file.write(json.dumps(said | {"reasons": row.reasons}, ensure_ascii=False) + "\n")


def apply_report(prompts: Iterable[Prompt], report: ValidationReport) -> list[Prompt]:
    """Return the prompts with `qa` and `status` as the report has them.

    Raises:
        DatasetError: a prompt is not in the report.
    """
    by_key: dict[tuple[str, str], RowReport] = {(row.language, row.id): row for row in report.rows}
    result = []
    for prompt in prompts:
        row = by_key.get((prompt.language, prompt.id))
        if row is None:
            raise DatasetError(
                f"language {prompt.language}, id {prompt.id}: is not in the report.",
                "Validate the same rows.",
            )
        result.append(prompt.model_copy(update={"qa": row.qa, "status": row.verdict.value}))
    return result


def report_table(report: ValidationFigures) -> "Table":
    """Return the figures per language as a table."""
    from rich.table import Table

    table = Table(title="Translation validation by language", header_style="bold")
    table.add_column("language", no_wrap=True)
    for name in ("rows", "yield", "ok", "suspect", "failed", "not ok", "softened"):
        table.add_column(name, justify="right", no_wrap=True)
    found = []
    for figures in report.languages:
        soft = "" if figures.softening is None else f"{figures.softening:.1%}"
        table.add_row(
            f"{figures.language} {LANGUAGES[figures.language].name}",
            str(figures.rows),
            f"{figures.yield_:.1%}",
            *(str(figures.verdicts[verdict]) for verdict in ORDER),
            f"{figures.not_ok:.1%}",
            soft,
        )
        most = ", ".join(f"{name} {count}" for name, count in figures.by_check.most_common(3))
        found += [f"{figures.language}: {most}"] if most else []
    table.caption = "Most frequent findings. " + "; ".join(found) if found else None
    return table
