"""A factory of realistic synthetic results: what an evaluation of the planted model would find."""

from collections.abc import Sequence

from polyrefuse.languages import LANGUAGE_CODES
from polyrefuse.prompts import Label
from polyrefuse.results import (
    BASELINE,
    RANDOM,
    Cell,
    DatasetRecord,
    DirectionRecord,
    Environment,
    Finding,
    JudgeRecord,
    ModelRecord,
    Proof,
    Result,
    Settings,
    ablation_condition,
)

from .cells import make_averages, make_cell, make_differences, refused_count


def make_direction(language: str, rung: str = "published", **changes: object) -> DirectionRecord:
    found = rung != "no_direction"
    fields: dict[str, object] = {
        "language": language,
        "position": -1 if found else None,
        "layer": 3 if found else None,
        "norm": 7.912 if found else None,
        "bypass": -6.142 if found else None,
        "induce": 1.834 if found else None,
        "kl": 0.042 if found else None,
        "rung": rung,
        "candidates": 24,
        "refusal_tokens": [40, 2121],
        "refusal_token_texts": ["I", " Sorry"],
        "refusal_tokens_from": "own",
        "refusal_token_coverage": 0.9688,
        "train_harmful": 48,
        "train_harmless": 48,
        "planted_cosine": 0.9871 if found else None,
    }
    return DirectionRecord.model_validate({**fields, **changes})


def make_findings(
    variant: str, languages: Sequence[str], sources: Sequence[str], cells: Sequence[Cell]
) -> list[Finding]:
    refusal = {
        (c.language, c.condition): c.refusal.value or 0.0 for c in cells if c.label == "harmful"
    }
    refusing = [code for code in languages if refusal.get((code, BASELINE), 0) > 0.5]

    def drop(condition: str) -> float:
        drops = [refusal[code, BASELINE] - refusal[code, condition] for code in refusing]
        return sum(drops) / len(drops) if drops else 0.0

    findings = []
    for source in sources:
        condition = ablation_condition(source)
        freed = [code for code in refusing if refusal[code, condition] < 0.1]
        mean = drop(condition)
        findings.append(
            Finding(
                language=source,
                mediates=mean > 0.1,
                languages_refusing=refusing,
                languages_freed=freed,
                mean_drop=mean,
                mean_drop_low=mean - 0.03,
                mean_drop_high=min(1.0, mean + 0.03),
                random_drop=drop(RANDOM),
                threshold=0.1,
            )
        )
    return findings


def make_result(
    *,
    variant: str = "single",
    languages: Sequence[str] = LANGUAGE_CODES,
    sources: Sequence[str] = ("en", "de", "zh"),
    labels: Sequence[Label] = ("harmful", "harmless"),
    n: int = 32,
    unparsed: int = 0,
    unjudged: str | None = None,
    no_direction: Sequence[str] = (),
    model_name: str = "planted",
    planted: bool = True,
) -> Result:
    """Return a synthetic result.

    `unparsed` responses without verdict in every Thai cell; `unjudged` is a language in which no
    response got a verdict; sources in `no_direction` have no selected direction, hence no cells.
    """
    ablated = [source for source in sources if source not in no_direction]
    conditions = [BASELINE, *map(ablation_condition, ablated), RANDOM]

    def open_verdicts(language: str) -> int:
        return n if language == unjudged else unparsed if language == "th" else 0

    cells = [
        make_cell(
            language,
            condition,
            label,
            refused_count(variant, language, condition, label, n),
            n,
            open_verdicts(language),
        )
        for condition in conditions
        for label in labels
        for language in languages
    ]
    return Result(
        model=_model(model_name, variant if planted else None),
        dataset=DatasetRecord(
            name="polyrefuse",
            revision=None,
            content_digest="sha256:" + "5e" * 32,
            limit=None,
            errata=0,
        ),
        settings=_settings(languages, sources),
        proof=Proof(verified=True, max_projection=3.1e-8, bound=1e-5, sites=26),
        directions=[
            make_direction(source, "no_direction" if source in no_direction else "published")
            for source in sources
        ],
        cells=cells,
        differences=make_differences(cells),
        averages=make_averages(cells, conditions, labels),
        comparisons=[],
        findings=make_findings(variant, languages, ablated, cells),
        labels_digest="sha256:" + "ab" * 32,
        environment=Environment(
            versions={"torch": "2.13.0", "transformers": "5.23.0", "polyrefuse": "0.1.0"},
            python="3.12.4",
            platform="Linux-6.8-x86_64",
            device="cpu",
            threads=2,
        ),
        wall_seconds=83.4,
    )


def _model(name: str, planted_variant: str | None) -> ModelRecord:
    return ModelRecord(
        name=name,
        revision=None,
        weights_digest="sha256:" + "c0" * 32,
        architecture="LlamaForCausalLM",
        parameters=1_632_000,
        layers=6,
        hidden_size=128,
        dtype="float32",
        chat_template_digest="sha256:" + "7f" * 32,
        thinking_disabled=False,
        planted_variant=planted_variant,
    )


def _settings(languages: Sequence[str], sources: Sequence[str]) -> Settings:
    return Settings(
        languages=list(languages),
        source_languages=list(sources),
        judges=[JudgeRecord(name="keyword", version="1")],
        max_new_tokens=24,
        limit=None,
        seed=0,
        train_prompts=48,
        full_scores=False,
        batch_tokens=4096,
        store_completions=True,
        ablation_method="hooks",
    )
