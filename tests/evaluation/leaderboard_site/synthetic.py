"""Boards of invented models: real prompts, real figures and ranks, outcomes drawn by seed."""

from dataclasses import replace

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
from polyrefuse_evaluation.leaderboard.labels import LabelRow, to_judgements, write_labels
from polyrefuse_evaluation.leaderboard.ranks import ranges_from_intervals
from polyrefuse_evaluation.leaderboard.schema import Manifest, file_record
from polyrefuse_evaluation.leaderboard.verify import Verdict
from polyrefuse_evaluation.prompt_sets import PromptSets, read_prompt_sets

CONDITIONS = ("baseline", "ablate:en", "ablate:random")
FAMILIES = (("Alder", "apache-2.0"), ("Birch", "mit"), ("Cedar", "cc-by-nc-4.0"), ("Dogwood", None))
SIZES = (0.5e9, 1.5e9, 3e9, 7e9, 14e9, 32e9, 72e9, 110e9)
HARDER = dict.fromkeys(("th", "ar", "ko", "ja", "ru"), 0.06) | {"yo": 0.35, "en": -0.03}
HOSTILE = (
    '=HYPERLINK("x")</script><script>alert(1)</script><img src=x onerror=alert(1)>\u202e{{7*7}}'
)


def synthetic_board(models: int, languages=LANGUAGE_CODES, limit=None, seed: int = 0):
    """Return (board, labels by folder) of invented models; the last is a self-test."""
    sets = read_prompt_sets(None, languages=languages, source_languages=["en"], limit=limit)
    rng = np.random.default_rng(seed)
    verdicts = [_verdict(at, models, sets, limit, rng) for at in range(models)]
    board = make_board(verdicts)
    rows = [
        replace(row, rescored={"n": 120} if at % 3 == 0 else None)
        for at, row in enumerate(board.rows)
    ]
    return replace(board, rows=rows), {v.where: v.rows for v in verdicts}


def spoil(board: Board) -> Board:
    """Return the board with hostile text in every name that its first submission brings."""
    row = board.rows[0]
    names = dict.fromkeys(("model", "revision", "licence", "family"), HOSTILE)
    manifest = row.manifest.model_copy(update=names)
    model = row.result.model.model_copy(update={"name": HOSTILE, "revision": HOSTILE})
    direction = row.result.directions[0].model_copy(update={"refusal_token_texts": [HOSTILE]})
    result = row.result.model_copy(update={"model": model, "directions": [direction]})
    return replace(board, rows=[replace(row, manifest=manifest, result=result), *board.rows[1:]])


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


def _copy(base: BoardRow, at: int, rng: np.random.Generator) -> BoardRow:
    family, licence = FAMILIES[at % len(FAMILIES)]
    name = f"{family.lower()}/{family}-{at}"
    figures = {}
    for key, old in base.figures.items():
        value = float(rng.uniform(0.05, 0.95))
        figures[key] = Figure(value, value - 0.04, value + 0.04, old.language)
    cells = []
    for cell in base.result.cells:
        value = float(rng.uniform(0.05, 0.95))
        rate = cell.refusal.model_copy(
            update={"value": value, "low": value - 0.05, "high": value + 0.05}
        )
        cells.append(cell.model_copy(update={"refusal": rate, "compliance": rate}))
    model = base.result.model.model_copy(
        update={"name": name, "parameters": int(SIZES[at % len(SIZES)])}
    )
    return replace(
        base,
        folder=f"{name.replace('/', '__')}--{'b' * 12}",
        manifest=base.manifest.model_copy(
            update={"model": name, "family": family, "licence": licence}
        ),
        result=base.result.model_copy(update={"model": model, "cells": cells}),
        figures=figures,
        ranks={},
    )


def _verdict(at: int, models: int, sets: PromptSets, limit, rng: np.random.Generator) -> Verdict:
    planted = at == models - 1
    family, licence = ("planted", None) if planted else FAMILIES[at % len(FAMILIES)]
    parameters = int(SIZES[(3 * at) % len(SIZES)])
    name = "planted" if planted else f"{family.lower()}/{family}-{parameters / 1e9:g}B-v{at}"
    rows = _labels(sets, 0.995 - 0.35 * (at // 2 * 2) / max(1, models), rng)
    result = _result(name, parameters, rows, sets, limit, planted)
    revision = None if planted else f"{at:040x}"
    content = write_labels(rows)
    manifest = Manifest(
        model=name, revision=revision, weights_digest=None, rows=len(rows), licence=licence,
        family=None if planted else family, self_test=planted,
        files={"labels.parquet": file_record(content), "result.json": file_record(b"{}")},
    )  # fmt: skip
    folder = f"{name.replace('/', '__')}--{(revision or 'c' * 40)[-12:]}"
    return Verdict(folder, [], manifest, result, rows, sets)


def _labels(sets: PromptSets, refusal: float, rng: np.random.Generator) -> list[LabelRow]:
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
            score = float(outcome is Outcome.REFUSED)
            row = LabelRow(
                prompt.id, prompt.language, condition, prompt.label, outcome, "keyword", score,
                prompt.language, "", False, f"sha256:{'0' * 64}",
            )  # fmt: skip
            rows.append(row)
    return rows


def _result(name, parameters, rows, sets, limit, planted) -> Result:
    return compose_result(
        to_judgements(rows),
        sets,
        0,
        model=ModelRecord(
            name=name, revision=None if planted else "a" * 40, weights_digest=None,
            architecture="LlamaForCausalLM", parameters=parameters, layers=32, hidden_size=4096,
            dtype="bfloat16", chat_template_digest=None, thinking_disabled=False,
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
                refusal_tokens_from="own", refusal_token_coverage=0.97, train_harmful=128,
                train_harmless=128,
            )
        ],
        endpoint=None,
        environment=Environment(
            versions={"torch": "2.13.0"}, python="3.11.7", platform="Linux x86_64",
            device="cpu (x86_64, 2 cores)", threads=1,
        ),
        wall_seconds=412.0,
    )  # fmt: skip
