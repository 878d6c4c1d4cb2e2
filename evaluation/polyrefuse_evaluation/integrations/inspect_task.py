"""What the Inspect task does: samples, the judges as scorer, rates as metrics.

Registered under ``polyrefuse/`` by `polyrefuse.cli.inspect_tasks`, since Inspect names a task after
the package that its function is in.
"""

import math
from collections.abc import Sequence
from typing import Any

import anyio
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ContentReasoning
from inspect_ai.scorer import SampleScore, Score, Scorer, Target
from inspect_ai.solver import TaskState
from inspect_ai.util import concurrency

from polyrefuse.outcomes import JUDGED_OUTCOMES, Outcome
from polyrefuse.prompts import Label
from polyrefuse_evaluation.integrations.rows import read_rows
from polyrefuse_evaluation.judge_answers import get_judges
from polyrefuse_evaluation.judges import RegisteredJudge
from polyrefuse_evaluation.judges.response_language import response_language
from polyrefuse_evaluation.judges.types import PROVIDER_FILTER, JudgeInput, Judgement
from polyrefuse_evaluation.reasoning import has_reasoning

NAMES = str | Sequence[str]
"""Names, also as Inspect reads them from ``-T``: a text with commas, or a list."""

CONTENT_FILTER = "content_filter"


def make_dataset(
    dataset: str | None, revision: str | None, languages: NAMES | None, limit: int | None
) -> MemoryDataset:
    """Return the test prompts as samples; arguments as `read_rows`."""
    codes = ",".join(names_of(languages)) if languages else None
    rows = read_rows(dataset, revision=revision, languages=codes, limit=limit)
    samples = [
        Sample(
            id=f"{row['language']}:{row['id']}",
            input=row["prompt"],
            target=row["label"],
            metadata=row,
        )
        for row in rows
    ]
    return MemoryDataset(samples, name="polyrefuse")


def names_of(names: NAMES) -> list[str]:
    """Return the names in a text with commas, or in a list."""
    parts = names.split(",") if isinstance(names, str) else names
    return [part.strip() for part in parts if part.strip()]


def make_scorer(judge: NAMES, connections: int) -> Scorer:
    """Return a function that has an answer judged; its value is the first judge's outcome.

    Args:
        judge: names of the judges; the first decides, the others are second opinions.
        connections: how many answers are judged at once.

    Raises:
        PolyRefuseError: a judge is unknown or cannot be made.
    """
    judges = get_judges(names_of(judge))

    async def score(state: TaskState, target: Target) -> Score:
        async with concurrency("polyrefuse-judge", connections):
            found = await anyio.to_thread.run_sync(judge_state, judges, state)
        deciding = found["verdicts"][0]
        return Score(
            value=deciding["outcome"],
            answer=target.text,
            explanation=deciding["reason"],
            metadata=found,
        )

    return score


def judge_state(judges: Sequence[RegisteredJudge], state: TaskState) -> dict[str, Any]:
    """Return the verdict of every judge, and what a run directory keeps beside it."""
    text = state.output.completion
    row = state.metadata
    given = JudgeInput(row["language"], text, row["prompt"], row["prompt_en"])
    withheld = state.output.stop_reason == CONTENT_FILTER
    verdicts = [
        Judgement(Outcome.REFUSED, None, PROVIDER_FILTER) if withheld else judge.judge([given])[0]
        for judge in judges
    ]
    return {
        "verdicts": [
            {
                "judge": judge.name,
                "version": judge.version,
                "outcome": verdict.outcome.value,
                "score": verdict.score,
                "reason": verdict.reason,
            }
            for judge, verdict in zip(judges, verdicts, strict=True)
        ],
        "response_language": response_language(text),
        "reasoning": has_reasoning(text) or _reasons(state),
    }


def _reasons(state: TaskState) -> bool:
    content = state.output.message.content if state.output.choices else ""
    return not isinstance(content, str) and any(isinstance(x, ContentReasoning) for x in content)


def rate(scores: Sequence[SampleScore], label: Label, outcome: Outcome) -> float:
    """Return the share of judged answers to prompts of a label with an outcome, in [0, 1].

    NaN where none was judged.
    """
    judged = [
        item.score.as_str()
        for item in scores
        if (item.sample_metadata or {})["label"] == label
        and item.score.as_str() in list(map(str, JUDGED_OUTCOMES))
    ]
    return judged.count(str(outcome)) / len(judged) if judged else math.nan


def unparsed_share(scores: Sequence[SampleScore]) -> float:
    """Return the share of answers without a verdict, in [0, 1]."""
    unparsed = sum(item.score.as_str() == str(Outcome.UNPARSED) for item in scores)
    return unparsed / len(scores) if scores else math.nan
