"""The files to download: the ranking and every cell as CSV, all of it as JSON, BibTeX, README.

Figures are those of the results, unrounded. A text that a spreadsheet would run is led by an
apostrophe; verification lets none through, and this does not rely on it.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from polyrefuse import __version__
from polyrefuse.outcomes import Outcome
from polyrefuse_evaluation.calibration.sheets import safe_cell
from polyrefuse_evaluation.leaderboard.board import Board, BoardRow, Group
from polyrefuse_evaluation.leaderboard.columns import COLUMNS
from polyrefuse_evaluation.leaderboard.reference import ReferenceRows
from polyrefuse_evaluation.leaderboard.site.data import by_refusal

MODEL = ("model", "revision", "licence", "family", "parameters", "self_test", "rescored")
GROUP = ("dataset", "dataset_revision", "judge", "judge_version", "max_new_tokens", "limit")
RATES = ("refusal", "compliance", "deflection", "broken")
SHOWN = {
    "schema_version", "model", "dataset", "settings", "proof", "directions", "cells", "averages",
    "findings", "failed", "labels_digest",
}  # fmt: skip
"""Fields of a result in ``results.json``; the whole is in the submission."""

SPACE = """---
title: PolyRefuse leaderboard
sdk: static
app_file: index.html
pinned: false
license: apache-2.0
---

# PolyRefuse leaderboard

How often language models refuse harmful prompts in 14 languages, and how much of that refusal hangs
on one direction. Open `index.html`: the site needs no server and asks no other host for anything.

`data/` holds what the pages show: `ranking.csv`, `cells.csv`, `results.json`, `reference.csv`
(published figures: reported, not reproduced) and `citation.bib`.
Built by `polyrefuse leaderboard build`.
"""


def ranking_csv(board: Board) -> str:
    """Return one line a model: every column's figure, interval and rank range."""
    heads = [
        f"{item.key}{end}"
        for item in COLUMNS
        for end in ("", "_low", "_high", "_rank_best", "_rank_worst", "_language")
    ]
    lines = []
    for row in by_refusal(board.rows):
        values = _common(row, board.groups[row.group])
        for item in COLUMNS:
            values += _figure(row, item.key)
        lines.append(values)
    return _write([*MODEL, *GROUP, "group", *heads], lines)


def cells_csv(board: Board) -> Iterator[str]:
    """Yield, model by model, a line for each language, condition and label: counts and rates."""
    heads = ["language", "condition", "label", "n", *Outcome]
    heads += [f"{rate}{end}" for rate in RATES for end in ("", "_low", "_high")]
    yield _write([*MODEL, *GROUP, "group", *heads], [])
    for row in by_refusal(board.rows):
        common = _common(row, board.groups[row.group])
        lines = []
        for cell in row.result.cells:
            values: list[Any] = [cell.language, cell.condition, cell.label, cell.n]
            values += [cell.counts.get(outcome, 0) for outcome in Outcome]
            for name in RATES:
                rate = getattr(cell, name)
                values += [rate.value, rate.low, rate.high]
            lines.append([*common, *values])
        yield _write(None, lines)


def reference_csv(reference: ReferenceRows) -> str:
    """Return the published figures, one line a model, language and condition."""
    rows = [asdict(row) for row in reference.rows]
    heads = [*rows[0], "source"] if rows else ["source"]
    return _write(heads, [[*row.values(), reference.source.url] for row in rows])


def results_json(board: Board) -> Iterator[str]:
    """Yield, model by model, groups, figures, ranks, what pages show, and published figures."""
    groups = [asdict(group) for group in board.groups]
    yield f'{{"polyrefuse": {_json(__version__)}, "groups": {_json(groups)}, "models": ['
    for at, row in enumerate(board.rows):
        model = {
            "folder": row.folder,
            "group": row.group,
            "figures": {key: asdict(x) for key, x in row.figures.items()},
            "ranks": {key: asdict(x) for key, x in row.ranks.items()},
            "rescored": row.rescored,
            "manifest": row.manifest.model_dump(mode="json"),
            "result": row.result.model_dump(mode="json", include=SHOWN),
        }
        yield (", " if at else "") + _json(model)
    yield f'], "reference": {_json(asdict(board.reference))}}}\n'


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def citation_bib(reference: ReferenceRows) -> str:
    """Return the entries to cite: PolyRefuse, and the paper of the published figures."""
    return (
        "@software{polyrefuse,\n"
        "  title = {PolyRefuse: a multilingual refusal benchmark and interpretability library},\n"
        "  author = {{The PolyRefuse authors}},\n"
        "  year = {2026},\n"
        f"  version = {{{__version__}}},\n"
        "  license = {Apache-2.0}\n"
        "}\n\n" + reference.source.bibtex.strip() + "\n"
    )


def _common(row: BoardRow, group: Group) -> list[Any]:
    manifest = row.manifest
    model = [manifest.model, manifest.revision, manifest.licence, manifest.family]
    rescored = None if row.rescored is None else row.rescored["n"]
    shared = [getattr(group, name) for name in GROUP]
    return [
        *model,
        row.result.model.parameters,
        str(manifest.self_test).lower(),
        rescored,
        *shared,
        row.group,
    ]


def _figure(row: BoardRow, key: str) -> list[Any]:
    figure, rank = row.figures.get(key), row.ranks.get(key)
    values = [None] * 3 if figure is None else [figure.value, figure.low, figure.high]
    places = [None] * 2 if rank is None else [rank.best, rank.worst]
    return [*values, *places, None if figure is None else figure.language]


def _write(heads: Iterable[str] | None, lines: Sequence[Sequence[Any]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    if heads is not None:
        writer.writerow(heads)
    writer.writerows([[_plain(value) for value in line] for line in lines])
    return stream.getvalue()


def _plain(value: Any) -> Any:
    """Return a cell that no spreadsheet runs: see `safe_cell`."""
    if isinstance(value, str):
        return safe_cell(value)
    return "" if value is None else value
