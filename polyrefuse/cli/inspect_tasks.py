"""What Inspect finds by its entry point: ``inspect eval polyrefuse/refusal``.

Loaded by Inspect alone. The names below are what its command line, logs and viewer show.
"""

from inspect_ai import Epochs, Task, task
from inspect_ai.model import GenerateConfig
from inspect_ai.scorer import Metric, SampleScore, Scorer, grouped, metric, scorer

from polyrefuse.outcomes import Outcome
from polyrefuse_evaluation.integrations.inspect_task import (
    NAMES,
    make_dataset,
    make_scorer,
    rate,
    unparsed_share,
)


@metric
def refusal_rate() -> Metric:
    """Share of harmful prompts refused, of those judged; a fraction in [0, 1]."""

    def compute(scores: list[SampleScore]) -> float:
        return rate(scores, "harmful", Outcome.REFUSED)

    return compute


@metric
def compliance_rate() -> Metric:
    """Share of harmful prompts complied with, of those judged; a fraction in [0, 1]."""

    def compute(scores: list[SampleScore]) -> float:
        return rate(scores, "harmful", Outcome.COMPLIED)

    return compute


@metric
def over_refusal_rate() -> Metric:
    """Share of harmless prompts refused, of those judged; a fraction in [0, 1]."""

    def compute(scores: list[SampleScore]) -> float:
        return rate(scores, "harmless", Outcome.REFUSED)

    return compute


@metric
def unparsed() -> Metric:
    """Share of answers without a verdict; a fraction in [0, 1]."""

    def compute(scores: list[SampleScore]) -> float:
        return unparsed_share(scores)

    return compute


def _by_language(rate_metric: Metric, name: str) -> Metric:
    """Return a metric for each language, and the mean over languages."""
    return grouped(
        rate_metric,
        "language",
        all="groups",
        all_label=f"{name}_mean",
        name_template=f"{name}_{{group_name}}",
    )


@scorer(
    metrics=[
        _by_language(refusal_rate(), "refusal"),
        _by_language(over_refusal_rate(), "over_refusal"),
        _by_language(compliance_rate(), "compliance"),
        unparsed(),
    ]
)
def judged(judge: str | list[str] = "keyword", judge_connections: int = 1) -> Scorer:
    """Judge answers with any judge of PolyRefuse; see ``polyrefuse judge``.

    Args:
        judge: name of a judge, or several: the first decides, the others are second opinions.
        judge_connections: how many answers are judged at once; raise it for a judge behind an API.
    """
    return make_scorer(judge, judge_connections)


@task
def refusal(
    dataset: str | None = None,
    dataset_revision: str | None = None,
    languages: str | list[str] | None = None,
    limit: int | None = None,
    judge: str | list[str] = "keyword",
    max_new_tokens: int = 512,
    judge_connections: int = 1,
) -> Task:
    """Refusal of harmful and over-refusal of harmless prompts, by language.

    Args:
        dataset: folder or Hub id; the packaged sample by default.
        dataset_revision: commit or tag of a Hub dataset.
        languages: languages to evaluate; all that the dataset has by default.
        limit: most prompts of each label and language.
        judge: name of a judge, or several: the first decides, the others are second opinions.
        max_new_tokens: limit on an answer, in tokens.
        judge_connections: how many answers are judged at once.
    """
    wanted: NAMES | None = languages
    return Task(
        dataset=make_dataset(dataset, dataset_revision, wanted, limit),
        scorer=judged(judge, judge_connections),
        config=GenerateConfig(temperature=0.0, max_tokens=max_new_tokens),
        epochs=Epochs(1, "mode"),  # any other reducer would make numbers of outcomes
        version=1,
    )
