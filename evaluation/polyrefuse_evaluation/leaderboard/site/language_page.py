"""What a language's page shows: each model's figures in it, with rank ranges of refusal.

Knows nothing of HTML.
"""

from dataclasses import dataclass

from polyrefuse.outcomes import Outcome
from polyrefuse.results import Rate, Result
from polyrefuse_evaluation.leaderboard.board import Board, BoardRow, Group, language_ranks
from polyrefuse_evaluation.leaderboard.ranks import RankRange
from polyrefuse_evaluation.leaderboard.reference import ReferenceRow
from polyrefuse_evaluation.leaderboard.site.data import MEASURES, find_cell, outcome_of


@dataclass(frozen=True)
class LanguageLine:
    """One model in one language: a rate for each of `MEASURES`, None where there is no cell."""

    row: BoardRow
    rank: RankRange | None
    rates: "Rates"


@dataclass(frozen=True)
class LanguageGroup:
    """The models of one group, the best refusal first."""

    group: Group
    lines: list[LanguageLine]


Rates = tuple[Rate | None, ...]
RatesOf = dict[str, dict[str, Rates]]
"""By folder and language, the rates of `MEASURES`."""


def rates_of(board: Board) -> RatesOf:
    """Return the rates that the pages of all languages show, in one pass over the results."""
    found: RatesOf = {}
    for row in board.rows:
        result = row.result
        codes = board.groups[row.group].languages
        found[row.folder] = {code: _rates(result, code) for code in codes}
    return found


def language_groups(board: Board, rates: RatesOf, language: str) -> list[LanguageGroup]:
    """Return the groups that have a language; self-tests last.

    Args:
        board: the board; rows without labels are shown without rank.
        rates: see `rates_of`.
        language: ISO 639-1 code.
    """
    found = []
    for at, group in enumerate(board.groups):
        rows = [row for row in board.rows if row.group == at]
        if language in group.languages and rows:
            ranks = language_ranks(board, at, language)
            lines = [LanguageLine(x, ranks.get(x.folder), rates[x.folder][language]) for x in rows]
            found.append(LanguageGroup(group, sorted(lines, key=_order)))
    return sorted(found, key=lambda item: item.group.self_test)


def _rates(result: Result, language: str) -> Rates:
    rates = []
    for key, *_ in MEASURES:
        cell = find_cell(result, language, key)
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
