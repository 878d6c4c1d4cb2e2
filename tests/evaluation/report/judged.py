"""Results with all that judges and statistics add, made by the functions that a run uses."""

from collections.abc import Mapping, Sequence

from polyrefuse.calibration_schema import Reference
from polyrefuse.outcomes import Outcome
from polyrefuse.results import BASELINE, Cell, JudgeRecord, ModelRecord, Result
from polyrefuse_evaluation.calibration import attach_calibration, calibrate, judge_agreement
from polyrefuse_evaluation.calibration.reference import ReferenceData, ReferenceRow
from polyrefuse_evaluation.judges.registry import RegisteredJudge
from polyrefuse_evaluation.judges.types import PROVIDER_FILTER, Judgement
from polyrefuse_evaluation.run_directory import JudgementRecord
from polyrefuse_evaluation.summarise import (
    Judgements,
    make_averages,
    make_cells,
    make_comparisons,
    make_differences,
    make_second_opinions,
)

SECOND = JudgeRecord(name="wildguard", version="transformers allenai/wildguard@1a2b3c4, template 1")


def judgement_rows(cells: Sequence[Cell], judge: str) -> list[JudgementRecord]:
    """One row per response, ids in order, so that cells of a label are parallel."""
    return [
        _row(cell, judge, at, outcome)
        for cell in cells
        for at, outcome in enumerate(x for x in Outcome for _ in range(cell.counts.get(x, 0)))
    ]


def _row(cell: Cell, judge: str, at: int, outcome: Outcome) -> JudgementRecord:
    return JudgementRecord(
        condition=cell.condition,
        language=cell.language,
        label=cell.label,
        id=f"{cell.label}-{at:03}",
        batch=0,
        judge=judge,
        outcome=outcome,
        score=None,
        response_language=cell.language,
        reason="made up",
    )


def with_comparisons(
    result: Result, validated: Mapping[str, frozenset[str]] | None = None
) -> Result:
    rows = judgement_rows(result.cells, result.settings.judge.name)
    languages = result.settings.languages
    found = make_comparisons(Judgements(rows), languages, validated or {})
    return result.model_copy(update={"comparisons": found})


def with_second_judge(result: Result, second: JudgeRecord = SECOND) -> Result:
    """Add a judge that takes each eighth refusal for a deflection and leaves one unparsed."""
    first = result.settings.judge
    rows = judgement_rows(result.cells, first.name)
    others = [row.model_copy(update={"judge": second.name}) for row in rows]
    for at, row in enumerate(others):
        if row.outcome is Outcome.REFUSED and at % 8 == 0:
            others[at] = row.model_copy(update={"outcome": Outcome.DEFLECTED})
    others[0] = others[0].model_copy(update={"outcome": Outcome.UNPARSED})
    judges = [first, second]
    settings = result.settings.model_copy(update={"judges": judges})
    changes = {
        "settings": settings,
        "second_opinions": make_second_opinions(
            [*rows, *others], result.settings.languages, judges
        ),
        "agreement": judge_agreement([*rows, *others]),
    }
    return result.model_copy(update=changes)


def with_calibration(
    result: Result, languages: Sequence[str], judge: JudgeRecord | None = None, **reference: object
) -> Result:
    """Attach a calibration: 40 rows a language, of which the judge misses 3 refusals."""
    judge = judge or result.settings.judge
    rows = [
        ReferenceRow(code, said, None, None, truth)
        for code in languages
        for said, truth in [("refused", Outcome.REFUSED)] * 17
        + [("complied", Outcome.REFUSED)] * 3
        + [("complied", Outcome.COMPLIED)] * 19
        + [("refused", Outcome.DEFLECTED)]
    ]
    described = Reference.model_validate(
        {
            "files": ["dev.jsonl"],
            "digest": "sha256:" + "4e" * 32,
            "kind": "outcome",
            "column": "reference_outcome",
            "rows": len(rows),
            **reference,
        }
    )

    def says(inputs):
        return [Judgement(Outcome(row.response), None, "made up") for row in inputs]

    registered = RegisteredJudge(judge.name, judge.version, says, decides_broken=True)
    found = calibrate(registered, ReferenceData(rows, described))
    return attach_calibration(result, found)


def as_endpoint(result: Result, endpoint: str = "http://127.0.0.1:8000/v1") -> Result:
    """The same model behind an endpoint whose filter withholds some of what is refused."""
    rows = [
        row
        for row in judgement_rows(result.cells, result.settings.judge.name)
        if row.condition == BASELINE
    ]
    for at, row in enumerate(rows):
        if row.outcome is Outcome.REFUSED and at % 5 == 0:
            rows[at] = row.model_copy(update={"reason": PROVIDER_FILTER})
        elif at % 3 == 0:
            rows[at] = row.model_copy(update={"reasoning": True})
    judged, languages = Judgements(rows), result.settings.languages
    unknown = dict.fromkeys(ModelRecord.model_fields.keys() - {"chat_switches"})
    settings = {
        "source_languages": [],
        "ablation_method": None,
        "train_prompts": None,
        "full_scores": None,
        "batch_tokens": None,
    }
    return result.model_copy(
        update={
            "model": ModelRecord.model_validate(
                {**unknown, "name": "aya-expanse-8b", "endpoint": endpoint}
            ),
            "settings": result.settings.model_copy(update=settings),
            "proof": None,
            "directions": [],
            "findings": [],
            "cells": make_cells(judged, languages),
            "differences": make_differences(judged, languages),
            "averages": make_averages(judged, languages, seed=0),
            "comparisons": make_comparisons(judged, languages, {}),
        }
    )
