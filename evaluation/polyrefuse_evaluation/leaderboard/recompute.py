"""Every figure of a result, made again from its labels by the functions that made it first."""

from collections.abc import Iterator, Sequence
from typing import Any

from polyrefuse.calibration_schema import CalibrationError
from polyrefuse.results import Result
from polyrefuse_evaluation.calibration import attach_calibration
from polyrefuse_evaluation.derived_figures import figures_of
from polyrefuse_evaluation.leaderboard.labels import LabelRow
from polyrefuse_evaluation.leaderboard.problems import Problem, shown
from polyrefuse_evaluation.leaderboard.schema import RESULT
from polyrefuse_evaluation.prompt_sets import PromptSets
from polyrefuse_evaluation.selection import NO_DIRECTION
from polyrefuse_evaluation.statistics import validated_ok
from polyrefuse_evaluation.statistics.languages import Validated

TOLERANCE = 1e-6
"""Largest difference that another machine or library version can make; in the figure's units."""

NAMING = ("judge", "condition", "label", "language", "name")


def recompute(
    rows: Sequence[LabelRow], result: Result, validated: Validated, *, correct: bool = True
) -> Result:
    """Return `result` with every figure made again from labels.

    Args:
        rows: the labels, in the order of the file.
        result: settings, directions and calibrations are taken from it.
        validated: prompts whose translation was validated; see `statistics.validated_ok`.
        correct: also correct rates for the judge's errors, where the result has calibrations.

    Raises:
        CalibrationError: a calibration is of a judge that the result does not have.
        ValueError: the labels are none that figures can be made of.
    """
    figures = figures_of(
        rows,
        result.settings,
        tested=[item.language for item in result.directions if item.rung != NO_DIRECTION],
        seed=result.settings.seed,
        validated=validated,
    )
    made = result.model_copy(update=figures)
    for calibration in result.calibrations if correct else ():
        made = attach_calibration(made, calibration)
    return made


def figure_problems(
    rows: Sequence[LabelRow], result: Result, sets: PromptSets | None, *, correct: bool
) -> list[Problem]:
    """Return where the result's figures are not those of its labels.

    Without `sets`, gaps on validated translations cannot be recomputed and are not compared.
    """
    validated = validated_ok(sets.test_prompts()) if sets else {}
    try:
        made = recompute(rows, result, validated, correct=correct)
    except (CalibrationError, ValueError, KeyError, ZeroDivisionError, OverflowError) as error:
        detail = f"figures cannot be made of these labels ({shown(error, 80)})"
        return [Problem("figure", RESULT, detail)]
    leave_out = set() if sets else {"adjusted"}
    if not correct:
        leave_out.add("corrected")
    before, after = (item.model_dump(mode="json") for item in (result, made))
    return [
        Problem("figure", f"{RESULT}: {where}", detail)
        for where, detail in _differences(before, after, "", leave_out)
    ]


def _differences(
    there: Any, made: Any, where: str, leave_out: set[str]
) -> Iterator[tuple[str, str]]:
    """Yield (place, what differs) of two JSON values."""
    if isinstance(made, dict) and isinstance(there, dict):
        for key in made.keys() | there.keys():
            if key not in leave_out:
                step = f"{where}.{key}".lstrip(".")
                yield from _differences(there.get(key), made.get(key), step, leave_out)
    elif isinstance(made, list) and isinstance(there, list):
        if len(made) != len(there):
            yield where, f"has {len(there)} entries; the labels give {len(made)}"
        for at, (one, other) in enumerate(zip(there, made, strict=False)):
            yield from _differences(one, other, f"{where}[{_name(other, at)}]", leave_out)
    elif not _equal(there, made):
        yield where, f"is {shown(there, 40)}; the labels give {shown(made, 40)}"


def _name(item: Any, at: int) -> str:
    if not isinstance(item, dict):
        return str(at)
    names = [item[key] for key in NAMING if isinstance(item.get(key), str)]
    return ", ".join(names) or str(at)


def _equal(there: Any, made: Any) -> bool:
    numbers = all(isinstance(x, int | float) and not isinstance(x, bool) for x in (there, made))
    if not numbers:
        return bool(there == made)
    try:
        return bool(abs(there - made) <= TOLERANCE)
    except OverflowError:  # a number of a thousand digits
        return False
