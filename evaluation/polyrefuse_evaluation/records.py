"""Options of an evaluation, and what a result says of settings, model and environment."""

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Any

import torch

from polyrefuse.results import Environment, JudgeRecord, ModelRecord, Settings
from polyrefuse_evaluation.ablation import Method
from polyrefuse_evaluation.judges import RegisteredJudge
from polyrefuse_evaluation.models import LoadedModel
from polyrefuse_evaluation.prompt_sets import PromptSets

LIBRARIES = ("polyrefuse", "torch", "transformers", "datasets", "huggingface-hub")


@dataclass(frozen=True)
class Options:
    """Choices of an evaluation; what decides the figures is kept in ``settings.json``.

    Attributes:
        languages: languages to evaluate; all that the dataset has by default.
        source_languages: languages whose directions are ablated.
        judges: names of the judges; the first decides, the others are second opinions.
        max_new_tokens: limit on an answer, in tokens.
        limit: most test prompts of each label and language.
        seed: of the random control, the bootstrap and a planted model.
        train_prompts: most train prompts of each label and source language.
        full_scores: score every candidate in full.
        batch_tokens: padded tokens a batch.
        store_completions: False keeps labels and hashes only.
        method: ``hooks``, ``weights``, or ``auto`` (weights where they agree with the hooks).
        refusal_tokens: token ids to use in every language instead of discovering them.
    """

    languages: str | None = None
    source_languages: str = "en"
    judges: tuple[str, ...] = ("keyword",)
    max_new_tokens: int = 512
    limit: int | None = None
    seed: int = 0
    train_prompts: int = 128
    full_scores: bool = False
    batch_tokens: int = 16_384
    store_completions: bool = True
    method: str = "auto"
    refusal_tokens: tuple[int, ...] | None = None


def settings_on_disk(
    loaded: LoadedModel, sets: PromptSets, options: Options, judges: Sequence[RegisteredJudge]
) -> dict[str, Any]:
    """Return what decides the figures: a resumed run must agree with all of it."""
    chosen = asdict(
        replace(
            options,
            languages=",".join(sets.languages),
            source_languages=",".join(sets.source_languages),
        )
    )
    chosen["refusal_tokens"] = list(options.refusal_tokens) if options.refusal_tokens else None
    return {
        **chosen,
        "judges": [f"{judge.name} {judge.version}" for judge in judges],
        "model": loaded.name,
        "weights_digest": loaded.weights_digest,
        "chat_template_digest": loaded.chat.digest,
        "dataset": sets.record.name,
        "dataset_digest": sets.record.content_digest,
        "polyrefuse": version("polyrefuse"),
    }


def settings_record(
    sets: PromptSets, options: Options, judges: Sequence[RegisteredJudge], method: Method
) -> Settings:
    """Return the settings as the result states them, with the ablation method that was used."""
    return Settings(
        languages=sets.languages,
        source_languages=sets.source_languages,
        judges=judge_records(judges),
        max_new_tokens=options.max_new_tokens,
        limit=options.limit,
        seed=options.seed,
        train_prompts=options.train_prompts,
        full_scores=options.full_scores,
        batch_tokens=options.batch_tokens,
        store_completions=options.store_completions,
        ablation_method=method,
    )


def judge_records(judges: Sequence[RegisteredJudge]) -> list[JudgeRecord]:
    """Return names and versions of the judges."""
    return [JudgeRecord(name=judge.name, version=judge.version) for judge in judges]


def model_record(loaded: LoadedModel) -> ModelRecord:
    """Return what the result says of the model."""
    return ModelRecord(
        name=loaded.name,
        revision=loaded.revision,
        weights_digest=loaded.weights_digest,
        architecture=type(loaded.model).__name__,
        parameters=sum(p.numel() for p in loaded.model.parameters()),
        layers=len(loaded.stream.blocks),
        hidden_size=loaded.stream.hidden_size,
        dtype=str(loaded.model.dtype).removeprefix("torch."),
        chat_template_digest=loaded.chat.digest,
        thinking_disabled=loaded.chat.thinking_disabled,
        chat_switches=dict(loaded.chat.switches),
        system_prompt=loaded.chat.system_prompt,
        planted_variant=loaded.planted_variant,
    )


def environment_record(loaded: LoadedModel, processes: int = 1) -> Environment:
    """Return versions and hardware of this machine, and how many processes shared the work."""
    device = loaded.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return Environment(
        versions={library: version(library) for library in LIBRARIES},
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        device=f"{device.type} ({name}, {os.cpu_count()} cores)",
        threads=torch.get_num_threads(),
        processes=processes,
    )
