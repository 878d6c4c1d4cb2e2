"""What validation found: verdicts per row, figures per language, and how they are written."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from polyrefuse.atomic import write_whole
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
class ValidationReport:
    """What `validate_folder` found: a line a row, in file order, and figures per language."""

    rows: list[RowReport]
    languages: list[LanguageFigures]

    @property
    def ok(self) -> bool:
        """Whether no row failed."""
        return not any(row.verdict == Verdict.FAILED for row in self.rows)

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


def language_figures(language: str, rows: Sequence[RowReport], prompts: int) -> LanguageFigures:
    """Count the verdicts of one language's rows."""
    softening = [
        check.score
        for row in rows
        for check in row.qa
        if check.check == "softening" and check.score is not None
    ]
    worst = sorted(
        (row for row in rows if row.verdict != Verdict.OK),
        key=lambda row: (-ORDER.index(row.verdict), -len(row.reasons)),
    )
    return LanguageFigures(
        language,
        len(rows),
        prompts,
        Counter(row.verdict for row in rows),
        Counter(check.check for row in rows for check in row.qa if check.verdict != Verdict.OK),
        sum(softening) / len(softening) if softening else None,
        [row.id for row in worst[:WORST_ROWS]],
    )


def write_report(report: ValidationReport, path: Path) -> None:
    """Write one JSON object a row: language, id, verdict, reasons.

    Raises:
        DatasetError: `path` cannot be written.
    """
    lines = [
        json.dumps(
            {"language": r.language, "id": r.id, "verdict": r.verdict.value, "reasons": r.reasons},
            ensure_ascii=False,
        )
        for r in report.rows
    ]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, "".join(f"{line}\n" for line in lines))
    except OSError as error:
        raise DatasetError(
            f"{path}: the report cannot be written ({error.strerror}).", "Name another file."
        ) from error


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


def report_table(report: ValidationReport) -> "Table":
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
