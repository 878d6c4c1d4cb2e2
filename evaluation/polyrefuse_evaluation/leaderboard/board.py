"""The board: verified submissions as rows with figures and rank ranges, and reference rows beside.

Models are ranked together only where they answered the same prompts, in the same languages, under
the same limit and judge: that is a group. Self-tests are a group of their own; reference rows are
in none.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from polyrefuse.results import Result
from polyrefuse_evaluation.leaderboard.columns import COLUMNS, Column, Figure, simultaneous
from polyrefuse_evaluation.leaderboard.evidence import (
    Happened,
    PackedResult,
    as_array,
    happened_array,
    pack,
)
from polyrefuse_evaluation.leaderboard.ranks import (
    RankRange,
    ranges_from_intervals,
    rank_ranges,
)
from polyrefuse_evaluation.leaderboard.reference import ReferenceRows, read_reference
from polyrefuse_evaluation.leaderboard.rescored import evidence_key, read_rescored
from polyrefuse_evaluation.leaderboard.schema import Manifest
from polyrefuse_evaluation.leaderboard.sources import SAMPLE_SOURCE, Source
from polyrefuse_evaluation.leaderboard.verify import Verdict, outline, verify
from polyrefuse_evaluation.summarise import Judgements, of_judge

REFUSAL = "refusal"
"""Key of the column that is baseline refusal of harmful prompts."""


@dataclass(frozen=True)
class Group:
    """What models must share to be ranked together."""

    dataset: str
    dataset_revision: str | None
    languages: tuple[str, ...]
    limit: int | None
    max_new_tokens: int
    judge: str
    judge_version: str
    self_test: bool


@dataclass(frozen=True)
class BoardRow:
    """One model of the board.

    Attributes:
        folder: name of its submission's folder; stable, and safe in an address.
        manifest: name, revision, licence, family, self_test.
        packed: figures per language and condition, settings, directions.
        group: index into `Board.groups`.
        figures: by key of `columns.COLUMNS`; columns that the result has no figure for are absent.
        ranks: by key, the places that the model can have in its group.
        rescored: what asking the model again showed, where a maintainer has.
        happened: by key, the labels that models are compared on.
    """

    folder: str
    manifest: Manifest
    packed: PackedResult
    group: int
    figures: dict[str, Figure]
    ranks: dict[str, RankRange] = field(default_factory=dict)
    rescored: dict[str, Any] | None = None
    happened: dict[str, Happened] = field(default_factory=dict, repr=False)

    @property
    def result(self) -> Result:
        """The result, unpacked anew: take it once for all that is wanted of it."""
        return self.packed.unpack()


@dataclass(frozen=True)
class Board:
    """Everything that a page shows; `rejected` are submissions that failed verification."""

    groups: list[Group]
    rows: list[BoardRow]
    reference: ReferenceRows
    rejected: list[Verdict]

    @cached_property
    def having(self) -> Counter[tuple[int, str]]:
        """How many models of a group have a column's figure, by group and key."""
        return Counter((row.group, key) for row in self.rows for key in row.figures)


def read_board(
    paths: Sequence[Path],
    sources: Sequence[Source] = (SAMPLE_SOURCE,),
    rescored: Path | None = None,
) -> Board:
    """Verify submissions and rank those that are accepted.

    Args:
        paths: submissions, or folders of them; see `verify`.
        sources: the pinned datasets.
        rescored: the maintainers' record of rescored submissions; see `rescored`.

    Raises:
        PolyRefuseError: a path holds no submission, or the record cannot be read.
    """
    kept: dict[str, Kept] = {}

    def keep(verdict: Verdict) -> Verdict:
        if verdict.accepted:
            kept[verdict.where] = kept_of(verdict)
        return outline(verdict)

    verdicts = verify(paths, sources, keep)
    return board_of(verdicts, kept, read_rescored(rescored) if rescored else {})


def make_board(
    verdicts: Sequence[Verdict], rescored: Mapping[str, dict[str, Any]] | None = None
) -> Board:
    """Rank verified submissions, given whole; see `read_board`."""
    kept = {x.where: kept_of(x) for x in verdicts if x.accepted}
    return board_of(verdicts, kept, rescored or {})


@dataclass(frozen=True)
class Kept:
    """What is kept of an accepted submission; see `BoardRow`."""

    group: Group
    packed: PackedResult
    figures: dict[str, Figure]
    happened: dict[str, Happened]


def kept_of(verdict: Verdict) -> Kept:
    """Return what the board needs of an accepted submission."""
    result, manifest = verdict.result, verdict.manifest
    assert result is not None
    assert manifest is not None
    labels = Judgements(of_judge(verdict.rows, result.settings.judge.name))
    figures, compared = {}, {}
    for item in COLUMNS:
        figure = item.figure(result)
        if figure is not None:
            figures[item.key] = figure
        key = item.compared(result) if item.compared is not None else None
        if figure is not None and key is not None:
            outcome, condition, label = key
            found = labels.by_language(outcome, condition, result.settings.languages, label)
            compared[item.key] = happened_array(found)
    return Kept(group_of(result, manifest), pack(result), figures, compared)


def board_of(
    verdicts: Sequence[Verdict],
    kept: Mapping[str, Kept],
    rescored: Mapping[str, dict[str, Any]],
) -> Board:
    """Rank the accepted among `verdicts`, by what was kept of them."""
    groups: dict[Group, int] = {}
    rows = []
    for verdict in verdicts:
        if verdict.accepted:
            assert verdict.manifest is not None
            own = kept[verdict.where]
            rows.append(
                BoardRow(
                    folder=Path(verdict.where).name,
                    manifest=verdict.manifest,
                    packed=own.packed,
                    group=groups.setdefault(own.group, len(groups)),
                    figures=own.figures,
                    rescored=rescored.get(evidence_key(verdict.manifest)),
                    happened=own.happened,
                )
            )
    for at in range(len(groups)):
        _rank([row for row in rows if row.group == at])
    return Board(list(groups), rows, read_reference(), [x for x in verdicts if not x.accepted])


def group_of(result: Result, manifest: Manifest) -> Group:
    """Return the group that a result is ranked in."""
    settings = result.settings
    return Group(
        dataset=result.dataset.name,
        dataset_revision=result.dataset.revision,
        languages=tuple(sorted(settings.languages)),
        limit=settings.limit,
        max_new_tokens=settings.max_new_tokens,
        judge=settings.judge.name,
        judge_version=settings.judge.version,
        self_test=manifest.self_test,
    )


def _rank(rows: Sequence[BoardRow]) -> None:
    for item in COLUMNS:
        having = [row for row in rows if item.key in row.figures]
        for row, found in zip(having, _ranges(item, having) if having else [], strict=True):
            row.ranks[item.key] = found


def _ranges(item: Column, rows: Sequence[BoardRow]) -> list[RankRange]:
    if item.compared is None:
        low, high = simultaneous([row.figures[item.key] for row in rows])
        return ranges_from_intervals(low, high, higher_is_better=item.higher_is_better)
    array = as_array([row.happened[item.key] for row in rows])
    return rank_ranges(array, higher_is_better=item.higher_is_better)


def language_ranks(board: Board, group: int, language: str) -> dict[str, RankRange]:
    """Return, by folder, the rank range of baseline refusal in one language.

    Args:
        board: the board.
        group: index of the group.
        language: one of the group's languages.
    """
    rows = [row for row in board.rows if row.group == group and REFUSAL in row.happened]
    array = as_array([row.happened[REFUSAL].of(language) for row in rows])
    ranges = rank_ranges(array) if rows else []
    return {row.folder: found for row, found in zip(rows, ranges, strict=True)}
