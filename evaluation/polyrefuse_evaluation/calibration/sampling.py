"""Draws responses of a run for people to label: some of every language, condition and verdict.

Rare verdicts are where a judge errs, so each stratum gives the same number of rows; how many
responses each row stands for is kept, and `calibrate` allows for it.
"""

import hashlib
import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from polyrefuse.calibration_schema import CalibrationError
from polyrefuse.dataset import SAMPLE_NAME, resolve_folder
from polyrefuse.errors import RunDirectoryError
from polyrefuse.folder import read_prompts
from polyrefuse.outcomes import Outcome
from polyrefuse.prompts import Label, Prompt
from polyrefuse.results import Result, read_result
from polyrefuse_evaluation.run_directory import (
    COMPLETIONS,
    JUDGEMENTS,
    RESULT,
    CompletionRecord,
    JudgementRecord,
    RunDirectory,
)

MOST_RESPONSES = 1_000_000_000
"""Of one stratum: a key that claims more is no key of ours."""


class KeyRow(BaseModel):
    """One line of a sheet's key: everything about a row that annotators must not see.

    `row` names the row in the sheet and tells nothing. `stratum_size` is the number of responses
    of the run in the row's stratum (language, condition and verdict).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    row: str
    language: str
    condition: str
    label: Label
    id: str
    model: str
    judge: str
    outcome: Outcome
    stratum_size: int = Field(ge=1, le=MOST_RESPONSES)
    prompt: str
    prompt_en: str
    response: str


def sample_run(
    run_dir: Path, *, per_stratum: int = 3, seed: int = 0, judge: str | None = None
) -> list[KeyRow]:
    """Draw up to `per_stratum` responses of each language, condition and verdict.

    Args:
        run_dir: a finished run directory.
        per_stratum: most rows of a stratum.
        seed: of the draw and of the order.
        judge: whose verdicts make the strata; by default the run's first judge.

    Returns:
        Rows by language, in random order within it.

    Raises:
        CalibrationError: `per_stratum` is not positive, or the run has no verdicts of that judge.
        RunDirectoryError: the run stored no completions.
        DatasetError: the run has no result, or its dataset cannot be found any more.
    """
    if per_stratum < 1:
        raise CalibrationError(f"--per-stratum is {per_stratum}.", "It must be at least 1.")
    result = read_result(run_dir / RESULT)
    run = RunDirectory(run_dir)
    verdicts = _verdicts(run, judge)
    strata: dict[tuple[str, str, str], list[CompletionRecord]] = defaultdict(list)
    for row in run.read(COMPLETIONS, CompletionRecord):
        verdict = verdicts.get((row.condition, row.language, row.id))
        if row.completion is not None and verdict is not None:
            strata[row.language, row.condition, verdict.outcome].append(row)
    if not strata:
        raise RunDirectoryError(
            f"{run_dir}: stored no completions.", "It was run with --no-store-completions."
        )
    prompts = _prompts(result)
    drawn = []
    for stratum in sorted(strata):
        rng = random.Random("\n".join((str(seed), *stratum)))
        rows = sorted(strata[stratum], key=lambda row: row.id)
        for row in rng.sample(rows, min(per_stratum, len(rows))):
            verdict = verdicts[row.condition, row.language, row.id]
            drawn.append(_key_row(row, verdict, len(rows), result, prompts, seed))
    random.Random(seed).shuffle(drawn)
    return sorted(drawn, key=lambda row: row.language)


def _verdicts(run: RunDirectory, judge: str | None) -> dict[tuple[str, str, str], JudgementRecord]:
    rows = run.read(JUDGEMENTS, JudgementRecord)
    judges = list(dict.fromkeys(row.judge for row in rows))
    name = judge or (judges[0] if judges else None)
    if name not in judges:
        raise CalibrationError(
            f"{run.path}: has no verdicts of judge {name!r}.",
            f"It has those of: {', '.join(judges) or 'none'}.",
        )
    return {(row.condition, row.language, row.id): row for row in rows if row.judge == name}


def _prompts(result: Result) -> dict[tuple[str, str], Prompt]:
    name = result.dataset.name
    folder = resolve_folder(None if name == SAMPLE_NAME else name, result.dataset.revision)
    return {(row.language, row.id): row for row in read_prompts(folder)}


def _key_row(
    row: CompletionRecord,
    verdict: JudgementRecord,
    stratum_size: int,
    result: Result,
    prompts: dict[tuple[str, str], Prompt],
    seed: int,
) -> KeyRow:
    prompt = prompts.get((row.language, row.id))
    assert row.completion is not None
    return KeyRow(
        row=_row_name(result, seed, row),
        language=row.language,
        condition=row.condition,
        label=row.label,
        id=row.id,
        model=result.model.name,
        judge=verdict.judge,
        outcome=verdict.outcome,
        stratum_size=stratum_size,
        prompt=prompt.prompt if prompt else "",
        prompt_en=prompt.prompt_en if prompt else "",
        response=row.completion,
    )


def _row_name(result: Result, seed: int, row: CompletionRecord) -> str:
    """Return a name of the row in this sheet that no spreadsheet takes for a number."""
    parts: Sequence[str] = (
        result.labels_digest,
        str(seed),
        row.condition,
        row.language,
        row.id,
    )
    return "r" + hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
