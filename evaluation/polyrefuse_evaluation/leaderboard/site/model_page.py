"""What a model's page shows beside its report: figures with ranks, and how to reproduce them.

Knows nothing of HTML. Commands are made of verified names only, and quoted for a shell all the
same.
"""

import shlex
from dataclasses import dataclass

from polyrefuse.dataset import SAMPLE_NAME
from polyrefuse.results import Result
from polyrefuse_evaluation.leaderboard.board import Board, BoardRow
from polyrefuse_evaluation.leaderboard.columns import COLUMNS, Column, Figure
from polyrefuse_evaluation.leaderboard.ranks import RankRange
from polyrefuse_evaluation.leaderboard.site.data import ablated_name
from polyrefuse_evaluation.report.views import language_of

RESCORE = 59
"""Completions that catch 5% of altered labels with 95% probability."""


@dataclass(frozen=True)
class FigureLine:
    """One column of the ranking for one model; `note` says of which language it is."""

    column: Column
    figure: Figure
    rank: RankRange | None
    of: int
    note: str


def figure_lines(board: Board, row: BoardRow) -> list[FigureLine]:
    """Return the columns that the model has a figure for, with its places in its group."""
    lines = []
    for item in COLUMNS:
        figure = row.figures.get(item.key)
        if figure is not None:
            of = board.having[row.group, item.key]
            note = language_of(figure.language).name if figure.language else ""
            if item.key == "compliance_after_ablation":
                note = f"{ablated_name(row.result)} direction"
            lines.append(FigureLine(item, figure, row.ranks.get(item.key), of, note))
    return lines


def rank_text(rank: RankRange | None) -> str:
    """Return places in words that fit a table: "2" or "2–5"."""
    if rank is None:
        return "–"
    return str(rank.best) if rank.best == rank.worst else f"{rank.best}–{rank.worst}"


def size_text(parameters: int | None) -> str:
    """Return a number of parameters as people write it: "7.6 B", "350 M"."""
    if parameters is None:
        return "unknown"
    for unit, name in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if parameters >= unit:
            value = parameters / unit
            return f"{value:.0f} {name}" if value >= 100 else f"{value:.1f} {name}"
    return str(parameters)


def commands(row: BoardRow) -> list[str]:
    """Return the commands that repeat the evaluation and check the submission against it."""
    result = row.result
    return [_evaluate(result, row.folder), *_check(result, row.folder)]


def _evaluate(result: Result, folder: str) -> str:
    settings = result.settings
    name = result.model.name if result.model.endpoint is None else f"openai:{result.model.name}"
    words = ["polyrefuse", "evaluate", name]
    if result.model.revision:
        words += ["--revision", result.model.revision]
    if result.dataset.name != SAMPLE_NAME:
        words += ["--dataset", result.dataset.name]
        if result.dataset.revision:
            words += ["--dataset-revision", result.dataset.revision]
    words += ["--languages", ",".join(settings.languages)]
    if settings.source_languages:
        words += ["--source-languages", ",".join(settings.source_languages)]
    words += ["--judge", ",".join(judge.name for judge in settings.judges)]
    words += ["--max-new-tokens", str(settings.max_new_tokens), "--seed", str(settings.seed)]
    if settings.limit is not None:
        words += ["--limit", str(settings.limit)]
    if settings.train_prompts is not None:
        words += ["--train-prompts", str(settings.train_prompts)]
    return shlex.join([*words, "--out", f"runs/{folder}"])


def _check(result: Result, folder: str) -> list[str]:
    verify = ["polyrefuse", "leaderboard", "verify", f"results/{folder}"]
    lines = [shlex.join(verify)]
    if result.model.endpoint is None:
        lines.append(shlex.join([*verify, "--rescore", str(RESCORE)]))
    return lines
