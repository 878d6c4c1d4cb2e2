"""What a language's page shows: each model's figures in it, with rank ranges of refusal.

Knows nothing of HTML.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from polyrefuse.outcomes import Outcome
from polyrefuse.results import Rate
from polyrefuse_evaluation.leaderboard.board import Board, BoardRow, Group, language_ranks
from polyrefuse_evaluation.leaderboard.labels import LabelRow
from polyrefuse_evaluation.leaderboard.ranks import RankRange
from polyrefuse_evaluation.leaderboard.reference import ReferenceRow
from polyrefuse_evaluation.leaderboard.site.data import MEASURES, find_cell, outcome_of


@dataclass(frozen=True)
class LanguageLine:
    """One model in one language: a rate for each of `MEASURES`, None where there is no cell."""

    row: BoardRow
    rank: RankRange | None
    rates: tuple[Rate | None, ...]


@dataclass(frozen=True)
class LanguageGroup:
    """The models of one group, the best refusal first."""

    group: Group
    lines: list[LanguageLine]


def language_groups(
    board: Board, labels: Mapping[str, Sequence[LabelRow]], language: str
) -> list[LanguageGroup]:
    """Return the groups that have a language; self-tests last.

    Args:
        board: the board.
        labels: by folder, the labels of its submission; rows without are shown without rank.
        language: ISO 639-1 code.
    """
    found = []
    for at, group in enumerate(board.groups):
        rows = [row for row in board.rows if row.group == at]
        if language in group.languages and rows:
            known = all(row.folder in labels for row in rows)
            ranks = language_ranks(board, labels, at, language) if known else {}
            lines = [LanguageLine(x, ranks.get(x.folder), _rates(x, language)) for x in rows]
            found.append(LanguageGroup(group, sorted(lines, key=_order)))
    return sorted(found, key=lambda item: item.group.self_test)


def _rates(row: BoardRow, language: str) -> tuple[Rate | None, ...]:
    rates = []
    for key, *_ in MEASURES:
        cell = find_cell(row.result, language, key)
        refused = outcome_of(key) is Outcome.REFUSED
        rates.append(None if cell is None else cell.refusal if refused else cell.compliance)
    return tuple(rates)


def _order(line: LanguageLine) -> tuple[float, str]:
    refusal = line.rates[0]
    value = None if refusal is None else refusal.value
    return (1.0 if value is None else -value, line.row.manifest.model)


def reference_lines(board: Board, language: str) -> list[ReferenceRow]:
    """Return the published figures without ablation in a language."""
    return [
        row
        for row in board.reference.rows
        if (row.language, row.condition) == (language, "baseline")
    ]
