"""The report as one self-contained page: ``report.html``, without scripts or outside requests.

Puts a `Result` into the templates beside this file; what is shown is decided in the modules by
subject (charts, outcomes, gaps, judges, cell_tables, notes). Completions appear only if the caller
hands them over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from polyrefuse.atomic import write_whole
from polyrefuse.errors import RunDirectoryError
from polyrefuse.outcomes import Outcome
from polyrefuse.results import Result
from polyrefuse_evaluation.report import (
    cell_tables,
    gaps,
    judged_rates,
    judges,
    outcomes,
    views,
    wording,
)
from polyrefuse_evaluation.report.charts import rate_charts
from polyrefuse_evaluation.report.facts import facts
from polyrefuse_evaluation.report.notes import top_notes

REPORT_NAME = "report.html"

_TEMPLATES = Path(__file__).parent / "templates"
_FILES = (
    ("result.json", "every figure on this page"),
    ("settings.json", "the settings; the same command resumes the run"),
)
_DIRECTION_FILES = (
    ("selection.jsonl", "scores of the candidate directions"),
    ("directions.safetensors", "the directions"),
)
_ANSWER_FILES = (
    ("judgements.jsonl", "the verdict on each response"),
    ("completions.jsonl", "the responses"),
)


@dataclass(frozen=True)
class CompletionRow:
    """One response to show; hostile text is expected in every field.

    Attributes:
        condition: as in the result, e.g. ``ablate:en``.
        language: ISO 639-1 code of the prompt.
        id: id of the prompt.
        label: ``harmful`` or ``harmless``.
        prompt: the request.
        completion: the response.
        outcome: the verdict on it.
    """

    condition: str
    language: str
    id: str
    label: str
    prompt: str
    completion: str
    outcome: str


def write_report(
    result: Result, run_dir: Path, *, completions: Sequence[CompletionRow] | None = None
) -> Path:
    """Write ``report.html`` into a run directory and return its path.

    Links to those files of the run directory that are there, so write them first.

    Args:
        result: what to report.
        run_dir: an existing run directory.
        completions: responses to show in a collapsed section; None shows none.

    Raises:
        RunDirectoryError: the page cannot be written.
    """
    path = run_dir / REPORT_NAME
    page = render(result, files=_files(result, run_dir), completions=completions)
    try:
        write_whole(path, page)
    except OSError as error:
        raise RunDirectoryError(
            f"{path}: cannot be written ({error.strerror}).",
            "Free some space or make the folder writable, then run the same command again.",
        ) from error
    return path


def render(
    result: Result,
    *,
    files: Sequence[tuple[str, str, bool]] = (),
    completions: Sequence[CompletionRow] | None = None,
) -> str:
    """Return the page; `files` are (relative path, what it holds, whether it is there)."""
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            result=result,
            notes=top_notes(result),
            charts=rate_charts(result),
            mixes=outcomes.mix_charts(result),
            gap_tables=gaps.gap_tables(result),
            corrected=judged_rates.corrected_tables(result),
            opinions=judged_rates.opinion_tables(result),
            cell_tables=cell_tables.cell_tables(result),
            averages=cell_tables.average_rows(result),
            facts=facts(result),
            files=files,
            completions=None if completions is None else _group(completions),
        )
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.globals.update(
        views=views, wording=wording, judges=judges, gaps=gaps, outcomes=list(Outcome)
    )
    return environment


def _finalize(value: Any) -> Any:
    """Every text that reaches the page is made visible and harmless, then escaped."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return views.clean(value)
    return value


def _files(result: Result, run_dir: Path) -> list[tuple[str, str, bool]]:
    figures = sorted(
        path.relative_to(run_dir).as_posix()
        for path in (run_dir / "figures").glob("*")
        if path.suffix in (".svg", ".png")
    )
    fitted = () if result.proof is None and not result.directions else _DIRECTION_FILES
    known = [*_FILES, *fitted, *_ANSWER_FILES]
    known += [(name, "the figure, for print") for name in figures]
    return [(name, holds, (run_dir / name).is_file()) for name, holds in known]


def _group(
    completions: Sequence[CompletionRow],
) -> dict[str, dict[str, list[CompletionRow]]]:
    """Return completions by condition, then language, in the order given."""
    groups: dict[str, dict[str, list[CompletionRow]]] = {}
    for row in completions:
        groups.setdefault(row.condition, {}).setdefault(row.language, []).append(row)
    return groups
