"""The board as plain data, for the page's scripts: compact, and safe inside a script file.

Knows nothing of HTML. Rates are fractions with six decimals; what is missing is null.
"""

import json
from collections.abc import Sequence
from typing import Any

from polyrefuse.languages import LANGUAGES
from polyrefuse.outcomes import Outcome
from polyrefuse.prompts import Label
from polyrefuse.results import BASELINE, Cell, Result
from polyrefuse_evaluation.leaderboard.board import Board, BoardRow, Group
from polyrefuse_evaluation.leaderboard.columns import COLUMNS, ablated_condition
from polyrefuse_evaluation.report.views import describe_condition, language_of

VARIABLE = "POLYREFUSE_BOARD"
"""Global name under which the scripts find the data."""

BILLION = 1_000_000_000
SIZES = (
    ("tiny", "below 1 B", BILLION),
    ("small", "1 to 4 B", 4 * BILLION),
    ("medium", "4 to 15 B", 15 * BILLION),
    ("large", "15 to 80 B", 80 * BILLION),
)
LARGEST_SIZE = ("huge", "80 B and more")
UNKNOWN_SIZE = ("unknown", "unknown")

MEASURES: tuple[tuple[str, str, str, Outcome, Label], ...] = (
    ("refusal", "Refusal", "refused of harmful prompts", Outcome.REFUSED, "harmful"),
    ("over_refusal", "Over-refusal", "refused of harmless prompts", Outcome.REFUSED, "harmless"),
    (
        "compliance_after_ablation",
        "Compliance after ablation",
        "complied with of harmful prompts, one direction ablated",
        Outcome.COMPLIED,
        "harmful",
    ),
)
"""What is shown per language: key, title, what it says of the counts, outcome and label."""


def board_data(board: Board) -> dict[str, Any]:
    """Return everything that the interactive page shows of a board."""
    return {
        "columns": [
            {
                "key": item.key,
                "title": item.title,
                "explanation": item.explanation,
                "higher": item.higher_is_better,
            }
            for item in COLUMNS
        ],
        "measures": [{"key": key, "title": title, "says": s} for key, title, s, _, _ in MEASURES],
        "sizes": [list(item[:2]) for item in (*SIZES, LARGEST_SIZE, UNKNOWN_SIZE)],
        "languages": {
            code: {"name": x.name, "native": x.native_name, "dir": x.direction}
            for code in known_languages(board)
            for x in [language_of(code)]
        },
        "groups": [group_data(group) for group in board.groups],
        "rows": [row_data(row, board.groups[row.group]) for row in board.rows],
    }


def known_languages(board: Board) -> list[str]:
    """Return the languages of all groups, in the package's order."""
    used = {code for group in board.groups for code in group.languages}
    return [code for code in LANGUAGES if code in used]


def group_data(group: Group) -> dict[str, Any]:
    """Return what models of a group share, with a title."""
    return {
        "title": group_title(group),
        "languages": list(group.languages),
        "judge": group.judge,
        "selfTest": group.self_test,
    }


def group_title(group: Group) -> str:
    """Return what models of a group share, in a line."""
    revision = f" at {group.dataset_revision[:12]}" if group.dataset_revision else ""
    count = len(group.languages)
    parts = [
        f"{group.dataset}{revision}",
        f"{count} language{'s' if count != 1 else ''}",
        f"judge {group.judge} {group.judge_version[:24]}",
        f"at most {group.max_new_tokens} tokens",
    ]
    if group.limit is not None:
        parts.append(f"{group.limit} prompts a cell")
    return ("Self-tests: " if group.self_test else "") + ", ".join(parts)


def row_data(row: BoardRow, group: Group) -> dict[str, Any]:
    """Return one model: names, figures with ranks, and cells in the group's language order."""
    result = row.result
    model = result.model
    return {
        "folder": row.folder,
        "model": row.manifest.model,
        "revision": row.manifest.revision,
        "licence": row.manifest.licence,
        "family": row.manifest.family,
        "parameters": model.parameters,
        "size": size_of(model.parameters),
        "selfTest": row.manifest.self_test,
        "group": row.group,
        "rescored": None if row.rescored is None else row.rescored["n"],
        "figures": {key: figure_data(row, key) for key in row.figures},
        "after": ablated_name(result),
        "cells": {
            key: [cell_data(result, code, key) for code in group.languages] for key, *_ in MEASURES
        },
    }


def figure_data(row: BoardRow, key: str) -> list[Any]:
    """Return [value, low, high, best rank, worst rank, language]."""
    figure, rank = row.figures[key], row.ranks.get(key)
    values = [rounded(x) for x in (figure.value, figure.low, figure.high)]
    places = [None, None] if rank is None else [rank.best, rank.worst]
    return [*values, *places, figure.language]


def cell_data(result: Result, language: str, key: str) -> list[Any] | None:
    """Return [happened, judged, value, low, high] of a measure in a language; None without."""
    cell = find_cell(result, language, key)
    if cell is None:
        return None
    outcome = outcome_of(key)
    rate = cell.refusal if outcome is Outcome.REFUSED else cell.compliance
    counts = [cell.counts.get(outcome, 0), cell.judged]
    return [*counts, *(rounded(x) for x in (rate.value, rate.low, rate.high))]


def outcome_of(key: str) -> Outcome:
    """Return the outcome that a measure counts."""
    return next(outcome for name, _, _, outcome, _ in MEASURES if name == key)


def find_cell(result: Result, language: str, key: str) -> Cell | None:
    """Return the cell that a measure is of, or None where there is none."""
    label = next(label for name, *_, label in MEASURES if name == key)
    after = key == "compliance_after_ablation"
    condition = ablated_condition(result) if after else BASELINE
    if condition is None:
        return None
    wanted = (language, condition, label)
    for cell in result.cells:
        if (cell.language, cell.condition, cell.label) == wanted:
            return cell
    return None


def ablated_name(result: Result) -> str | None:
    """Return the language whose ablated direction stands for all, e.g. "English"."""
    condition = ablated_condition(result)
    return None if condition is None else describe_condition(condition).short


def size_of(parameters: int | None) -> str:
    """Return the key of the class of sizes that a number of parameters falls in."""
    if parameters is None:
        return UNKNOWN_SIZE[0]
    return next((key for key, _, below in SIZES if parameters < below), LARGEST_SIZE[0])


def rounded(value: float | None) -> float | None:
    """Return a fraction with six decimals."""
    return None if value is None else round(float(value), 6)


def as_script(data: Any) -> str:
    """Return data as a script that sets `VARIABLE`; nothing in it can end the script or a line.

    Raises:
        ValueError: a number is not finite.
    """
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return f"globalThis.{VARIABLE} = {text};\n"


def by_refusal(rows: Sequence[BoardRow]) -> list[BoardRow]:
    """Return rows, the best refusal first, then by name."""

    def key(row: BoardRow) -> tuple[float, str]:
        figure = row.figures.get("refusal")
        return (1.0 if figure is None else -figure.value, row.manifest.model)

    return sorted(rows, key=key)
