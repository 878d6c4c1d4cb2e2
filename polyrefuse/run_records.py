"""What was run: the model, the prompts, the settings, the machine, and the directions selected.

The part of a result that no judgement changes. Schemas only; `polyrefuse.results` puts them
together with the figures and is where to import them from.
"""

from pydantic import BaseModel, ConfigDict, Field


class Record(BaseModel):
    """Part of ``result.json``: frozen, and no field that the schema does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DirectionRecord(Record):
    """Which refusal direction was selected for a source language, and why."""

    language: str
    position: int | None
    layer: int | None
    norm: float | None
    bypass: float | None
    induce: float | None
    kl: float | None
    rung: str
    candidates: int
    refusal_tokens: list[int]
    refusal_token_texts: list[str]
    refusal_tokens_from: str
    refusal_token_coverage: float | None
    train_harmful: int
    train_harmless: int
    planted_cosine: float | None = None


class ModelRecord(Record):
    """Which model was evaluated.

    `chat_switches` are the variables that its chat template was given (thinking off, say). Of a
    model behind an endpoint only its name and the endpoint are known; the rest is None.
    """

    name: str
    revision: str | None
    weights_digest: str | None
    architecture: str | None
    parameters: int | None
    layers: int | None
    hidden_size: int | None
    dtype: str | None
    chat_template_digest: str | None
    thinking_disabled: bool | None
    chat_switches: dict[str, bool | int | str] = Field(default_factory=dict)
    system_prompt: str | None = None
    planted_variant: str | None = None
    endpoint: str | None = None


class DatasetRecord(Record):
    """Which prompts were used."""

    name: str
    revision: str | None
    content_digest: str
    test_split: str = "test"
    limit: int | None
    errata: int


class JudgeRecord(Record):
    """A judge that was asked: name and version, which holds whatever decides its verdicts."""

    name: str
    version: str


class Settings(Record):
    """Decoding and the other choices that decide the outcome.

    The first of `judges` decides; the others are second opinions. Behind an endpoint nothing is
    ablated: `ablation_method` and what belongs to it are None.
    """

    languages: list[str]
    source_languages: list[str]
    judges: list[JudgeRecord] = Field(min_length=1)
    max_new_tokens: int
    limit: int | None
    seed: int
    train_prompts: int | None
    full_scores: bool | None
    batch_tokens: int | None
    store_completions: bool
    ablation_method: str | None

    @property
    def judge(self) -> JudgeRecord:
        """The judge whose verdicts decide."""
        return self.judges[0]


class Proof(Record):
    """The proof that ablation reaches every write to the residual stream of this model."""

    verified: bool
    max_projection: float
    bound: float
    sites: int


class Environment(Record):
    """Where and with what it ran."""

    versions: dict[str, str]
    python: str
    platform: str
    device: str
    threads: int
    processes: int = 1
