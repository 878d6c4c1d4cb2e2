"""What the tasks of lm-evaluation-harness call: the prompts, and the keyword judge as metric.

The YAML files are in ``integrations/lm_eval`` of the repository. Imports nothing of the harness.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from polyrefuse.outcomes import JUDGED_OUTCOMES, Outcome
from polyrefuse_evaluation.integrations.rows import read_rows
from polyrefuse_evaluation.judges import RegisteredJudge, get_judge
from polyrefuse_evaluation.judges.types import JudgeInput

if TYPE_CHECKING:
    from datasets import Dataset

JUDGE = "keyword"
"""The judge that needs neither weights nor a network; any other judges on import."""


def load_docs(
    language: str,
    dataset: str | None = None,
    dataset_revision: str | None = None,
    limit_per_label: int | None = None,
    **_: Any,
) -> "dict[str, Dataset]":
    """Return the test split of one language, as ``custom_dataset`` wants it.

    Args:
        language: ISO 639-1 code, from the task's ``dataset_kwargs``.
        dataset: folder or Hub id, from ``--metadata``; the packaged sample by default.
        dataset_revision: commit or tag of a Hub dataset, from ``--metadata``.
        limit_per_label: most prompts of each label, from ``--metadata``.
        **_: the rest of the metadata: the harness adds the model's arguments, among others.

    Raises:
        DatasetError: see `read_prompt_sets`.
    """
    from datasets import Dataset

    rows = read_rows(dataset, revision=dataset_revision, languages=language, limit=limit_per_label)
    return {"test": Dataset.from_list(rows)}


def prompt_of(doc: Mapping[str, str]) -> str:
    """Return the user's turn: the prompt and nothing else."""
    return doc["prompt"]


def label_of(doc: Mapping[str, str]) -> str:
    """Return what the harness logs as target: ``harmful`` or ``harmless``."""
    return doc["label"]


def judge_doc(doc: Mapping[str, str], results: Sequence[str]) -> dict[str, float]:
    """Return the metrics of one answer; the harness takes the mean of each.

    Args:
        doc: a row of `load_docs`.
        results: its answer.

    Returns:
        ``refusal`` and ``compliance`` of a harmful prompt, ``over_refusal`` of a harmless one, each
        0 or 1, and left out where the answer has no verdict; ``unparsed`` says so, 0 or 1.
    """
    outcome = _judge().judge([_input(doc, results[0])])[0].outcome
    metrics = {"unparsed": float(outcome is Outcome.UNPARSED)}
    if outcome not in JUDGED_OUTCOMES:
        return metrics
    refused = float(outcome is Outcome.REFUSED)
    if doc["label"] == "harmless":
        return {**metrics, "over_refusal": refused}
    complied = float(outcome is Outcome.COMPLIED)
    return {**metrics, "refusal": refused, "compliance": complied}


def _input(doc: Mapping[str, str], response: str) -> JudgeInput:
    return JudgeInput(doc["language"], response, doc["prompt"], doc["prompt_en"])


@cache
def _judge() -> RegisteredJudge:
    return get_judge(JUDGE)
