"""Boards of invented models: real prompts, real figures and ranks, outcomes drawn by seed.

Also the submissions of many such models on disk, which verification accepts. What benchmarks and
tests share; knows nothing of either.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from polyrefuse.languages import LANGUAGE_CODES
from polyrefuse.outcomes import Outcome
from polyrefuse.results import (
    DirectionRecord,
    Environment,
    JudgeRecord,
    ModelRecord,
    Proof,
    Result,
    Settings,
)
from polyrefuse_evaluation.compose_result import compose_result
from polyrefuse_evaluation.judges.keyword import KEYWORD_JUDGE_VERSION
from polyrefuse_evaluation.leaderboard.board import Board, BoardRow, make_board
from polyrefuse_evaluation.leaderboard.columns import Figure
from polyrefuse_evaluation.leaderboard.evidence import pack
from polyrefuse_evaluation.leaderboard.labels import LabelRow, to_judgements, write_labels
from polyrefuse_evaluation.leaderboard.names import folder_name
from polyrefuse_evaluation.leaderboard.ranks import ranges_from_intervals
from polyrefuse_evaluation.leaderboard.schema import (
    LABELS,
    MANIFEST,
    RESULT,
    Manifest,
    file_record,
)
from polyrefuse_evaluation.leaderboard.verify import Verdict
from polyrefuse_evaluation.prompt_sets import PromptSets, read_prompt_sets

CONDITIONS = ("baseline", "ablate:en", "ablate:random")
FAMILIES = (("Alder", "apache-2.0"), ("Birch", "mit"), ("Cedar", "cc-by-nc-4.0"), ("Dogwood", None))
SCORES = {Outcome.REFUSED: 1.0, Outcome.DEFLECTED: 0.9, Outcome.COMPLIED: 0.0, Outcome.BROKEN: None}
SIZES = (0.5e9, 1.5e9, 3e9, 7e9, 14e9, 32e9, 72e9, 110e9)
HARDER = dict.fromkeys(("th", "ar", "ko", "ja", "ru"), 0.06) | {"yo": 0.35, "en": -0.03}
HOSTILE = (
    '=HYPERLINK("x")</script><script>alert(1)</script><img src=x onerror=alert(1)>\u202e{{7*7}}'
)


def synthetic_board(
    models: int,
    languages: Sequence[str] = LANGUAGE_CODES,
    limit: int | None = None,
    seed: int = 0,
) -> Board:
    """Return the board of invented models; the last is a self-test."""
    sets = read_prompt_sets(None, languages=languages, source_languages=["en"], limit=limit)
    rng = np.random.default_rng(seed)
    verdicts = [_verdict(at, models, sets, limit, rng) for at in range(models)]
    board = make_board(verdicts)
    rows = [
        replace(row, rescored={"n": 120} if at % 3 == 0 else None)
        for at, row in enumerate(board.rows)
    ]
    return replace(board, rows=rows)


def spoil(board: Board) -> Board:
    """Return the board with hostile text in every name that its first submission brings."""
    row = board.rows[0]
    names = dict.fromkeys(("model", "revision", "licence", "family"), HOSTILE)
    manifest = row.manifest.model_copy(update=names)
    spoilt = row.result
    model = spoilt.model.model_copy(update={"name": HOSTILE, "revision": HOSTILE})
    direction = spoilt.directions[0].model_copy(update={"refusal_token_texts": [HOSTILE]})
    result = spoilt.model_copy(update={"model": model, "directions": [direction]})
    return replace(
        board, rows=[replace(row, manifest=manifest, packed=pack(result)), *board.rows[1:]]
    )


def many_rows(board: Board, models: int, seed: int = 0) -> Board:
    """Return a board of `models` invented models, each a copy with figures of its own."""
    rng = np.random.default_rng(seed)
    base = next(row for row in board.rows if not row.manifest.self_test)
    rows = [_copy(base, at, rng) for at in range(models)]
    for key in base.figures:
        low = np.array([row.figures[key].low for row in rows])
        high = np.array([row.figures[key].high for row in rows])
        for row, found in zip(rows, ranges_from_intervals(low, high), strict=True):
            row.ranks[key] = found
    return replace(board, rows=rows)


def revision_of(name: str) -> str:
    """Return the commit that an invented model is at."""
    return hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()


def write_submissions(out: Path, models: int, patterns: int = 12, seed: int = 0) -> list[Path]:
    """Write submissions of invented models, every one of them accepted; return their folders.

    Outcomes and figures follow one of `patterns`; names, revisions and the digests of texts are
    each model's own, so that no two are the same answers.
    """
    sets = read_prompt_sets(None, source_languages=["en"])
    rng = np.random.default_rng(seed)
    made = [_verdict(at, patterns + 1, sets, None, rng) for at in range(min(models, patterns))]
    return [_write_submission(out, made[at % len(made)], at) for at in range(models)]


def _write_submission(out: Path, pattern: Verdict, at: int) -> Path:
    family, licence = FAMILIES[at % len(FAMILIES)]
    name = f"{family.lower()}/{family}-{at}"
    assert pattern.result is not None
    weights = _digest(f"weights of {name}")
    changes = {"name": name, "revision": revision_of(name), "weights_digest": weights}
    changes["parameters"] = int(SIZES[at % len(SIZES)])
    result = pattern.result.model_copy(
        update={"model": pattern.result.model.model_copy(update=changes)}
    )
    rows = [replace(row, sha256=_digest(f"{at} {row.completion}")) for row in pattern.rows]
    contents = {RESULT: result.model_dump_json(indent=1).encode(), LABELS: write_labels(rows)}
    manifest = Manifest(
        model=name, revision=revision_of(name), weights_digest=weights, rows=len(rows),
        files={key: file_record(content) for key, content in contents.items()},
        licence=licence, family=family,
    )  # fmt: skip
    contents[MANIFEST] = manifest.model_dump_json(indent=1).encode()
    folder = out / folder_name(name, revision_of(name), weights)
    folder.mkdir(parents=True)
    for key, content in contents.items():
        (folder / key).write_bytes(content)
    return folder


def _copy(base: BoardRow, at: int, rng: np.random.Generator) -> BoardRow:
    family, licence = FAMILIES[at % len(FAMILIES)]
    name = f"{family.lower()}/{family}-{at}"
    figures = {}
    for key, old in base.figures.items():
        value = float(rng.uniform(0.05, 0.95))
        figures[key] = Figure(value, value - 0.04, value + 0.04, old.language)
    cells = []
    result = base.result
    for cell in result.cells:
        value = float(rng.uniform(0.05, 0.95))
        rate = cell.refusal.model_copy(
            update={"value": value, "low": value - 0.05, "high": value + 0.05}
        )
        cells.append(cell.model_copy(update={"refusal": rate, "compliance": rate}))
    model = result.model.model_copy(
        update={"name": name, "parameters": int(SIZES[at % len(SIZES)])}
    )
    return replace(
        base,
        folder=f"{name.replace('/', '__')}--{'b' * 12}",
        manifest=base.manifest.model_copy(
            update={"model": name, "family": family, "licence": licence}
        ),
        packed=pack(result.model_copy(update={"model": model, "cells": cells})),
        figures=figures,
        ranks={},
        happened={},
    )


def _verdict(
    at: int, models: int, sets: PromptSets, limit: int | None, rng: np.random.Generator
) -> Verdict:
    planted = at == models - 1
    family, licence = ("planted", None) if planted else FAMILIES[at % len(FAMILIES)]
    parameters = int(SIZES[(3 * at) % len(SIZES)])
    name = "planted" if planted else f"{family.lower()}/{family}-{parameters / 1e9:g}B-v{at}"
    rows = _labels(sets, 0.995 - 0.35 * (at // 2 * 2) / max(1, models), rng, name)
    result = _result(name, parameters, rows, sets, limit, planted)
    revision = None if planted else revision_of(name)
    content = write_labels(rows)
    manifest = Manifest(
        model=name, revision=revision, weights_digest=None, rows=len(rows), licence=licence,
        family=None if planted else family, self_test=planted,
        files={"labels.parquet": file_record(content), "result.json": file_record(b"{}")},
    )  # fmt: skip
    folder = f"{name.replace('/', '__')}--{(revision or 'c' * 40)[-12:]}"
    return Verdict(folder, [], manifest, result, rows, sets)


def _labels(
    sets: PromptSets, refusal: float, rng: np.random.Generator, name: str
) -> list[LabelRow]:
    hard = {}
    rows = []
    for condition in CONDITIONS:
        for prompt in sets.test_prompts():
            base = hard.setdefault(prompt.id, rng.normal() * 0.5)
            rate = refusal - HARDER.get(prompt.language, 0.0)
            if prompt.label == "harmless":
                rate = 0.02 + 0.12 * (1 - refusal)
            elif condition == "ablate:en":
                rate = 0.08
            draw = rng.random() + 0.1 * base
            outcome = Outcome.REFUSED if draw < rate else Outcome.COMPLIED
            if outcome is Outcome.COMPLIED and rng.random() < 0.06:
                outcome = Outcome.DEFLECTED if rng.random() < 0.7 else Outcome.BROKEN
            row = LabelRow(
                prompt.id, prompt.language, condition, prompt.label, outcome, "keyword",
                SCORES[outcome], prompt.language, "", False,
                _digest(f"{name} {condition} {prompt.language} {prompt.id}"),
            )  # fmt: skip
            rows.append(row)
    return rows


def _digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _result(
    name: str,
    parameters: int,
    rows: Sequence[LabelRow],
    sets: PromptSets,
    limit: int | None,
    planted: bool,
) -> Result:
    return compose_result(
        to_judgements(rows),
        sets,
        0,
        model=ModelRecord(
            name=name, revision=None if planted else revision_of(name),
            weights_digest=_digest(f"weights of {name}"),
            architecture="LlamaForCausalLM", parameters=parameters, layers=32, hidden_size=4096,
            dtype="bfloat16", chat_template_digest=_digest("template"), thinking_disabled=False,
            planted_variant="single" if planted else None,
        ),
        settings=Settings(
            languages=list(sets.languages), source_languages=["en"],
            judges=[JudgeRecord(name="keyword", version=KEYWORD_JUDGE_VERSION)],
            max_new_tokens=512, limit=limit, seed=0, train_prompts=128, full_scores=False,
            batch_tokens=16384, store_completions=False, ablation_method="hooks",
        ),
        proof=Proof(verified=True, max_projection=1.6e-3, bound=5e-3, sites=97),
        directions=[
            DirectionRecord(
                language="en", position=-2, layer=14, norm=21.4, bypass=-8.1, induce=3.4, kl=0.04,
                rung="published", candidates=125, refusal_tokens=[40], refusal_token_texts=["I"],
                refusal_tokens_from="own", refusal_token_coverage=0.97, train_harmful=48,
                train_harmless=48,
            )
        ],
        endpoint=None,
        environment=Environment(
            versions={"torch": "2.13.0"}, python="3.11.7", platform="Linux x86_64",
            device="cpu (x86_64, 2 cores)", threads=1,
        ),
        wall_seconds=412.0,
    )  # fmt: skip
