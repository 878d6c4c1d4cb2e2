"""Templates to HTML. Every text is made visible and harmless, then escaped, as in a run's report.

The pages load style and scripts of their own folder only; their policy forbids anything else.
"""

from functools import lru_cache
from pathlib import Path

import jinja2
from markupsafe import Markup

from polyrefuse.outcomes import Outcome
from polyrefuse.results import BASELINE
from polyrefuse_evaluation.leaderboard.board import Board, BoardRow
from polyrefuse_evaluation.leaderboard.columns import COLUMNS
from polyrefuse_evaluation.leaderboard.site import data, language_page, model_page
from polyrefuse_evaluation.report import (
    cell_tables,
    gaps,
    html,
    judged_rates,
    judges,
    outcomes,
    views,
    wording,
)
from polyrefuse_evaluation.report.charts import rate_charts
from polyrefuse_evaluation.report.facts import facts
from polyrefuse_evaluation.report.notes import top_notes

TEMPLATES = Path(__file__).parent / "templates"
REPORT_TEMPLATES = Path(html.__file__).parent / "templates"
"""Charts, outcome mixes and directions look as they do in a run's report."""


@lru_cache(maxsize=1)
def environment() -> jinja2.Environment:
    """Return the templates of this package over those of the report."""
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader([TEMPLATES, REPORT_TEMPLATES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    found.globals.update(
        views=views, wording=wording, judges=judges, gaps=gaps, outcomes=list(Outcome)
    )
    found.globals.update(site=data, model_page=model_page, columns=COLUMNS)
    return found


def index_page(board: Board) -> str:
    """Return the page of ranking, heatmap and comparison."""
    return _render("index.html.j2", "", board, rows=data.by_refusal(board.rows))


def published_page(board: Board) -> str:
    """Return the page of published figures, which are reported and not reproduced."""
    rows = {(row.model, row.condition, row.language): row for row in board.reference.rows}
    codes = list(dict.fromkeys(row.language for row in board.reference.rows))
    conditions = list(dict.fromkeys(row.condition for row in board.reference.rows))
    shown = [views.language_of(code) for code in codes]
    return _render(
        "published.html.j2", "", board, cells=rows, languages=shown, conditions=conditions
    )


def model_html(board: Board, row: BoardRow) -> str:
    """Return a model's page."""
    result = row.result
    return _render(
        "model.html.j2",
        "../",
        board,
        row=row,
        result=result,
        lines=model_page.figure_lines(board, row),
        commands=model_page.commands(row),
        notes=top_notes(result),
        charts=rate_charts(result),
        mixes=outcomes.mix_charts(result),
        averages=cell_tables.average_rows(result),
        corrected=judged_rates.corrected_tables(result),
        opinions=judged_rates.opinion_tables(result),
        cell_tables=cell_tables.cell_tables(result),
        files=(),
        facts=facts(result),
    )


def language_html(board: Board, rates: language_page.RatesOf, language: str) -> str:
    """Return a language's page."""
    return _render(
        "language.html.j2",
        "../",
        board,
        language=views.language_of(language),
        groups=language_page.language_groups(board, rates, language),
        published=language_page.reference_lines(board, language),
        languages=[views.language_of(code) for code in data.known_languages(board)],
    )


def _finalize(value: object) -> object:
    if isinstance(value, str) and not isinstance(value, Markup):
        return views.clean(value)
    return value


def _render(name: str, root: str, board: Board, **values: object) -> str:
    template = environment().get_template(name)
    return template.render(root=root, board=board, baseline=BASELINE, **values)
