"""The fields of a result that follow from judgements alone: made for a run, and again for a check.

Knows judgements and settings; nothing of models, reports or files.
"""

from collections.abc import Sequence
from typing import Any

from polyrefuse.outcomes import Outcome
from polyrefuse.results import Settings
from polyrefuse_evaluation.calibration.agreement import judge_agreement
from polyrefuse_evaluation.judge_answers import has_failed
from polyrefuse_evaluation.judged import Judged, labels_digest
from polyrefuse_evaluation.statistics.languages import Validated
from polyrefuse_evaluation.summarise import (
    Judgements,
    make_averages,
    make_cells,
    make_comparisons,
    make_differences,
    make_findings,
    make_second_opinions,
    of_judge,
)


def figures_of(
    rows: Sequence[Judged],
    settings: Settings,
    *,
    tested: Sequence[str],
    seed: int,
    validated: Validated,
) -> dict[str, Any]:
    """Return the fields of `Result` that follow from judgements alone.

    Args:
        rows: all judgements, of all judges.
        settings: with the languages, and the judges, of which the first decides.
        tested: source languages whose direction was ablated.
        seed: of the bootstrap.
        validated: prompts whose translation was validated; see `statistics.validated_ok`.
    """
    judgements = Judgements(of_judge(rows, settings.judge.name))
    languages = settings.languages
    return {
        "cells": make_cells(judgements, languages),
        "differences": make_differences(judgements, languages),
        "averages": make_averages(judgements, languages, seed),
        "comparisons": make_comparisons(judgements, languages, validated),
        "findings": make_findings(judgements, languages, tested, seed),
        "second_opinions": make_second_opinions(rows, languages, settings.judges),
        "agreement": judge_agreement(rows),
        "labels_digest": labels_digest(rows),
        "failed": sum(row.outcome is Outcome.UNPARSED and has_failed(row) for row in rows),
    }
