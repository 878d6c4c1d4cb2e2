"""The board: verified submissions as rows with figures and rank ranges, and reference rows beside.

Models are ranked together only where they answered the same prompts, in the same languages, under
the same limit and judge: that is a group. Self-tests are a group of their own; reference rows are
in none.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from polyrefuse.outcomes import Outcome
from polyrefuse.outside_json import parse_json
from polyrefuse.plain_file import plain
from polyrefuse.prompts import Label
from polyrefuse.results import Result
from polyrefuse_evaluation.leaderboard.columns import COLUMNS, Column, Figure, simultaneous
from polyrefuse_evaluation.leaderboard.labels import LabelRow, to_judgements
from polyrefuse_evaluation.leaderboard.problems import SubmissionError
from polyrefuse_evaluation.leaderboard.ranks import (
    RankRange,
    ranges_from_intervals,
    rank_ranges,
)
from polyrefuse_evaluation.leaderboard.reference import ReferenceRows, read_reference
from polyrefuse_evaluation.leaderboard.rescore import Rescore
from polyrefuse_evaluation.leaderboard.schema import Manifest
from polyrefuse_evaluation.leaderboard.sources import SAMPLE_SOURCE, Source
from polyrefuse_evaluation.leaderboard.verify import Verdict, verify
from polyrefuse_evaluation.summarise import Judgements, of_judge

Key = tuple[Outcome, str, Label]


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
        result: figures per language and condition, settings, directions.
        group: index into `Board.groups`.
        figures: by key of `columns.COLUMNS`; columns that the result has no figure for are absent.
        ranks: by key, the places that the model can have in its group.
        rescored: what asking the model again showed, where a maintainer has.
    """

    folder: str
    manifest: Manifest
    result: Result
    group: int
    figures: dict[str, Figure]
    ranks: dict[str, RankRange] = field(default_factory=dict)
    rescored: dict[str, Any] | None = None


@dataclass(frozen=True)
class Board:
    """Everything that a page shows; `rejected` are submissions that failed verification."""

    groups: list[Group]
    rows: list[BoardRow]
    reference: ReferenceRows
    rejected: list[Verdict]


def read_board(
    paths: Sequence[Path],
    sources: Sequence[Source] = (SAMPLE_SOURCE,),
    rescored: Path | None = None,
) -> Board:
    """Verify submissions and rank those that are accepted.

    Args:
        paths: submissions, or folders of them; see `verify`.
        sources: the pinned datasets.
        rescored: the maintainers' record of rescored submissions; see `record_rescore`.

    Raises:
        PolyRefuseError: a path holds no submission, or the record cannot be read.
    """
    verdicts = verify(paths, sources)
    return make_board(verdicts, read_rescored(rescored) if rescored else {})


def make_board(
    verdicts: Sequence[Verdict], rescored: Mapping[str, dict[str, Any]] | None = None
) -> Board:
    """Rank verified submissions; see `read_board`."""
    accepted = [x for x in verdicts if x.accepted]
    groups: dict[Group, int] = {}
    rows, labels = [], []
    for verdict in accepted:
        assert verdict.result is not None
        assert verdict.manifest is not None
        result = verdict.result
        at = groups.setdefault(group_of(result, verdict.manifest), len(groups))
        figures = {x.key: found for x in COLUMNS if (found := x.figure(result)) is not None}
        again = (rescored or {}).get(evidence_key(verdict.manifest))
        rows.append(
            BoardRow(Path(verdict.where).name, verdict.manifest, result, at, figures, {}, again)
        )
        labels.append(verdict.rows)
    for at in range(len(groups)):
        members = [index for index, row in enumerate(rows) if row.group == at]
        _rank(rows, labels, members)
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


def _rank(
    rows: Sequence[BoardRow], labels: Sequence[Sequence[LabelRow]], members: Sequence[int]
) -> None:
    for item in COLUMNS:
        having = [at for at in members if item.key in rows[at].figures]
        if having:
            ranges = _ranges(item, [rows[at] for at in having], [labels[at] for at in having])
            for at, found in zip(having, ranges, strict=True):
                rows[at].ranks[item.key] = found


def _ranges(
    item: Column, rows: Sequence[BoardRow], labels: Sequence[Sequence[LabelRow]]
) -> list[RankRange]:
    if item.compared is None:
        low, high = simultaneous([row.figures[item.key] for row in rows])
        return ranges_from_intervals(low, high, higher_is_better=item.higher_is_better)
    verdicts = []
    for row, own in zip(rows, labels, strict=True):
        key = item.compared(row.result)
        assert key is not None
        verdicts.append(happened(row.result, own, key))
    return rank_ranges(as_array(verdicts), higher_is_better=item.higher_is_better)


def happened(result: Result, rows: Sequence[LabelRow], key: Key) -> dict[str, dict[str, bool]]:
    """Return by language and prompt id whether an outcome happened, as the first judge says."""
    outcome, condition, label = key
    own = [row for row in rows if row.condition == condition and row.label == label]
    judgements = Judgements(of_judge(to_judgements(own), result.settings.judge.name))
    return judgements.by_language(outcome, condition, result.settings.languages, label)


def as_array(verdicts: Sequence[Mapping[str, Mapping[str, bool]]]) -> np.ndarray[Any, Any]:
    """Return verdicts of models as (models, prompts, languages), NaN where there is none."""
    languages = sorted({code for model in verdicts for code in model})
    ids = sorted({key for model in verdicts for rows in model.values() for key in rows})
    places = {key: at for at, key in enumerate(ids)}
    array = np.full((len(verdicts), len(ids), len(languages)), np.nan)
    for model, own in enumerate(verdicts):
        for at, code in enumerate(languages):
            found = own.get(code, {})
            array[model, [places[key] for key in found], at] = list(found.values())
    return array


def language_ranks(
    board: Board, labels: Mapping[str, Sequence[LabelRow]], group: int, language: str
) -> dict[str, RankRange]:
    """Return, by folder, the rank range of baseline refusal in one language.

    Args:
        board: the board.
        labels: by folder, the labels of its submission.
        group: index of the group.
        language: one of the group's languages.
    """
    rows = [row for row in board.rows if row.group == group]
    verdicts = []
    for row in rows:
        own = happened(row.result, labels[row.folder], (Outcome.REFUSED, "baseline", "harmful"))
        verdicts.append({language: own.get(language, {})})
    ranges = rank_ranges(as_array(verdicts)) if rows else []
    return {row.folder: found for row, found in zip(rows, ranges, strict=True)}


def record_rescore(path: Path, verdict: Verdict, found: Rescore) -> None:
    """Append what asking again showed to the maintainers' record, one JSON object a line.

    It is kept by the digests of the files: once they change, the record is of something else. Keep
    it outside the submissions' folders, where only maintainers write.
    """
    assert verdict.manifest is not None
    line = {"key": evidence_key(verdict.manifest), "model": verdict.model, **asdict(found)}
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")


def evidence_key(manifest: Manifest) -> str:
    """Return what a record of rescoring is kept by: it changes with any file of a submission."""
    return " ".join(manifest.files[name].sha256 for name in sorted(manifest.files))


def read_rescored(path: Path) -> dict[str, dict[str, Any]]:
    """Return the last record of each submission, by `evidence_key`, unless it says to reject.

    Raises:
        SubmissionError: the file cannot be read; names the line.
    """
    found: dict[str, dict[str, Any]] = {}
    try:
        lines = plain(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise SubmissionError(f"{path}: cannot be read ({reason}).") from error
    for number, line in enumerate(lines, start=1):
        try:
            item = parse_json(line)
            clean = not item["faults"] and not item["forged"] and item["n"] > 0
            found.pop(item["key"], None)
            if clean and len(item["differing"]) <= item["allowed"]:
                found[item["key"]] = item
        except (ValueError, KeyError, TypeError) as error:
            raise SubmissionError(
                f"{path}, line {number}: is no record of 'leaderboard verify --rescore'."
            ) from error
    return found
