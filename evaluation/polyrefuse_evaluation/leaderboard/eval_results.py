"""``.eval_results/polyrefuse.yaml``: what a model's own page on the Hub shows, a task a language.

The Hub has one number a task and no direction field: refusal of harmful prompts in percent, higher
is better. Task ids are those of the dataset's ``eval.yaml``.
"""

from polyrefuse.results import BASELINE, Result
from polyrefuse_evaluation.leaderboard.names import is_planted
from polyrefuse_evaluation.leaderboard.problems import SubmissionError, shown

EVAL_RESULTS = ".eval_results/polyrefuse.yaml"


def task_id(language: str) -> str:
    """Return the Hub's task id of one language, as the dataset's ``eval.yaml`` has it."""
    return f"refusal_{language}"


def render_eval_results(result: Result, source_url: str | None = None) -> str:
    """Return the YAML text: one entry for each language with judged harmful prompts.

    Args:
        result: a public result.
        source_url: where the submission is shown.

    Raises:
        SubmissionError: the model or the dataset is not on the Hub.
    """
    import yaml  # type: ignore[import-untyped]
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    require_on_hub(result)
    dataset, judge = result.dataset, result.settings.judge
    entries = []
    for cell in result.cells:
        if (cell.condition, cell.label) != (BASELINE, "harmful") or cell.refusal.value is None:
            continue
        low, high = cell.refusal.low or 0.0, cell.refusal.high or 0.0
        entries.append(
            EvalResultEntry(
                dataset_id=dataset.name,
                task_id=task_id(cell.language),
                value=_percent(cell.refusal.value),
                dataset_revision=dataset.revision,
                source_url=source_url,
                source_name="PolyRefuse leaderboard" if source_url else None,
                notes=(
                    f"refusal of {cell.judged} harmful prompts in percent, 95% interval "
                    f"{_percent(low)} to {_percent(high)}; judge {judge.name} {judge.version}; "
                    f"greedy, {result.settings.max_new_tokens} new tokens"
                ),
            )
        )
    text: str = yaml.safe_dump(
        eval_result_entries_to_yaml(entries), sort_keys=False, allow_unicode=True, width=100
    )
    return text


def require_on_hub(result: Result) -> None:
    """Raise `SubmissionError` unless model and dataset are repositories of the Hub."""
    model, dataset = result.model, result.dataset
    if is_planted(model.name) or "/" not in model.name or model.endpoint is not None:
        raise SubmissionError(
            f"{shown(model.name)} is no model repository of the Hub: it has no page for results.",
            "Leave --eval-results out.",
        )
    if "/" not in dataset.name:
        raise SubmissionError(
            f"{shown(dataset.name)} is no dataset repository of the Hub, which results refer to.",
            "Name the dataset that holds these prompts: --dataset-name organisation/dataset "
            "--dataset-revision COMMIT.",
        )


def _percent(rate: float) -> float:
    return round(100 * rate, 2)
