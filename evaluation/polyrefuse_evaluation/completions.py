"""Join a run's completions with their outcomes and prompts, for a report that shows them."""

from pathlib import Path

from polyrefuse.dataset import SAMPLE_NAME, resolve_folder
from polyrefuse.errors import RunDirectoryError
from polyrefuse.folder import read_prompts
from polyrefuse.results import read_result
from polyrefuse_evaluation.report import CompletionRow
from polyrefuse_evaluation.run_directory import (
    COMPLETIONS,
    JUDGEMENTS,
    RESULT,
    CompletionRecord,
    JudgementRecord,
    RunDirectory,
)
from polyrefuse_evaluation.summarise import of_judge


def read_completions(run_dir: Path) -> list[CompletionRow]:
    """Return every stored completion of a finished run.

    Raises:
        RunDirectoryError: the run stored none.
        DatasetError: the run has no result, or its dataset cannot be found any more.
    """
    result = read_result(run_dir / RESULT)
    name = result.dataset.name
    folder = resolve_folder(None if name == SAMPLE_NAME else name, result.dataset.revision)
    prompts = {(row.language, row.id): row.prompt for row in read_prompts(folder)}
    run = RunDirectory(run_dir)
    outcomes = {
        (row.condition, row.language, row.id): row.outcome
        for row in of_judge(run.read(JUDGEMENTS, JudgementRecord), result.settings.judge.name)
    }
    rows = [
        CompletionRow(
            condition=row.condition,
            language=row.language,
            id=row.id,
            label=row.label,
            prompt=prompts.get((row.language, row.id), ""),
            completion=row.completion,
            outcome=outcomes[row.condition, row.language, row.id],
        )
        for row in run.read(COMPLETIONS, CompletionRecord)
        if row.completion is not None
    ]
    if not rows:
        raise RunDirectoryError(
            f"{run_dir}: stored no completions.", "It was run with --no-store-completions."
        )
    return rows
