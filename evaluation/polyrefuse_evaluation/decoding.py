"""The decoding plan of a run: chosen once, kept in the run directory, and used again on resuming.

Also keeps what running out of memory taught: ``halvings.jsonl``. Knows nothing of how tokens are
made.
"""

from collections.abc import Sequence
from dataclasses import asdict

from pydantic import BaseModel, ConfigDict, ValidationError

from polyrefuse.errors import RunDirectoryError
from polyrefuse.observing import warn
from polyrefuse_evaluation.generation import DecodingPlan, choose_plan, memory_limit, use_plan
from polyrefuse_evaluation.generation.plan import Engine
from polyrefuse_evaluation.models import LoadedModel
from polyrefuse_evaluation.run_directory import RunDirectory
from polyrefuse_evaluation.workers import Workers

DECODING, HALVINGS = "decoding.json", "halvings.jsonl"


class PlanRecord(BaseModel):
    """``decoding.json``: a `DecodingPlan`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    engine: Engine
    expected_tokens: int | None
    rates: dict[str, float]
    rejected: dict[str, str]


class HalvingRecord(BaseModel):
    """One line of ``halvings.jsonl``: a `Halving`, and the process that ran out of memory."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    process: int
    stage: str
    tokens: int
    budget: int
    rows: int | None


def plan_of_run(
    run: RunDirectory,
    loaded: LoadedModel,
    sequences: Sequence[Sequence[int]],
    max_new_tokens: int,
    conditions: int,
    workers: Workers,
) -> DecodingPlan:
    """Return the run's decoding plan, chosen by a probe the first time, and put it in force.

    Every process decodes by the plan of the first.

    Raises:
        RunDirectoryError: the plan kept there cannot be read, or it cannot be written.
    """

    def read_or_choose() -> DecodingPlan:
        path = run.path / DECODING
        if path.is_file():
            return _read(run)
        plan = choose_plan(loaded, sequences, max_new_tokens, conditions)
        run.write_text(DECODING, PlanRecord(**asdict(plan)).model_dump_json(indent=2) + "\n")
        return plan

    plan = workers.on_lead(read_or_choose)
    use_plan(loaded, plan)
    return plan


def _read(run: RunDirectory) -> DecodingPlan:
    path = run.path / DECODING
    try:
        kept = PlanRecord.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise RunDirectoryError(
            f"{path}: not a decoding plan of this version.", "Start a new run directory with --out."
        ) from error
    return DecodingPlan(**kept.model_dump())


def keep_halvings(run: RunDirectory, loaded: LoadedModel) -> None:
    """Append what ran out of memory since the last call to the run's ``halvings.jsonl``."""
    limit = memory_limit(loaded)
    for item in limit.halvings:
        warn(f"memory ran out ({item.stage}, {item.tokens} tokens): from now on {item.budget}")
    if limit.halvings:
        rows = [HalvingRecord(process=run.worker, **asdict(item)) for item in limit.halvings]
        RunDirectory(run.path).append(HALVINGS, rows)  # short lines: all processes share one file
        limit.halvings.clear()
