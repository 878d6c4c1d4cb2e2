"""From the judgements of a run to its result, and from a result to its figures and page.

Shared by every way to make answers: a model in this process, or one behind an endpoint.
"""

from collections.abc import Sequence
from typing import Any

from polyrefuse.errors import DatasetError, RunDirectoryError
from polyrefuse.results import ModelRecord, Result, Settings, read_result
from polyrefuse.run_lock import say
from polyrefuse_evaluation.calibration import (
    attach_calibration,
    find_calibration,
)
from polyrefuse_evaluation.derived_figures import figures_of
from polyrefuse_evaluation.judged import Judged
from polyrefuse_evaluation.prompt_sets import PromptSets
from polyrefuse_evaluation.report import write_figures, write_report
from polyrefuse_evaluation.run_directory import JUDGEMENTS, RESULT, RunDirectory
from polyrefuse_evaluation.selection import NO_DIRECTION
from polyrefuse_evaluation.statistics import validated_ok


def compose_result(
    rows: Sequence[Judged],
    sets: PromptSets,
    seed: int,
    *,
    model: ModelRecord,
    settings: Settings,
    **records: Any,
) -> Result:
    """Return the result of a run.

    Args:
        rows: all judgements, of all judges.
        sets: the prompts.
        seed: of the bootstrap.
        model: which model was evaluated.
        settings: with the judges, of which the first decides.
        **records: the other fields of `Result` that do not follow from judgements.

    Raises:
        RunDirectoryError: a judgement is on no prompt of the run.
        CalibrationError: a stored calibration of a judge cannot be read.
    """
    _require_asked(rows, sets)
    result = Result(
        model=model,
        dataset=sets.record,
        settings=settings,
        **figures_of(
            rows,
            settings,
            tested=[x.language for x in records["directions"] if x.rung != NO_DIRECTION],
            seed=seed,
            validated=validated_ok(sets.test_prompts()),
        ),
        **records,
    )
    for judge in settings.judges:
        calibration = find_calibration(judge.name, judge.version)
        if calibration is not None:
            result = attach_calibration(result, calibration)
    return result


def _require_asked(rows: Sequence[Judged], sets: PromptSets) -> None:
    """Raise for a judgement that no figure would count: a line of it was changed by hand."""
    asked = {(row.language, row.label, row.id) for row in sets.test_prompts()}
    for row in rows:
        if (row.language, row.label, row.id) not in asked:
            raise RunDirectoryError(
                f"{JUDGEMENTS}: holds a verdict on {row.label} {row.id!r} ({row.language!r}), "
                "which is no prompt of this run.",
                "Start a new run directory with --out.",
            )


def kept_result(run: RunDirectory) -> Result | None:
    """Return the result that a run has; None where it has none, or a damaged one.

    Raises:
        DatasetError: it is there and cannot be opened.
    """
    path = run.path / RESULT
    if not path.exists():
        return None
    try:
        return read_result(path)
    except DatasetError as error:
        if isinstance(error.__cause__, OSError):  # no damage: what is there stays
            raise
        say(f"{path}: is damaged, and is made again of the records beside it.")
        return None


def finish(run: RunDirectory, result: Result) -> Result:
    """Write figures and page of a result into its run directory; return it."""
    write_figures(result, run.path)
    write_report(result, run.path)
    return result
