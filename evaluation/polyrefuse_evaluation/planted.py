"""The planted model: an offline stand-in whose refusal has a known answer.

A tiny multilingual Llama is trained twice, a base that always complies and a tuned model that
refuses harmful prompts in 13 languages through known vectors (planted_training.py). It trains on
the whole sample, test prompts included: its scores test the pipeline, never a model's safety.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from polyrefuse.dataset import SAMPLE_FOLDER
from polyrefuse.errors import ModelError
from polyrefuse.folder import content_digest, read_prompts
from polyrefuse.prompts import Prompt
from polyrefuse_evaluation.models import LoadedModel
from polyrefuse_evaluation.planted_batches import Batch, Group, run_pass
from polyrefuse_evaluation.planted_cache import cache_folder, train_once
from polyrefuse_evaluation.planted_llama import new_llama, save_checkpoint
from polyrefuse_evaluation.planted_texts import COMPLIANCES, REFUSALS, TWO_GROUPS, UNALIGNED
from polyrefuse_evaluation.planted_tokenizer import build_tokenizer, encode_lesson
from polyrefuse_evaluation.planted_training import Curriculum, reproducibly, train
from polyrefuse_evaluation.progress import progress_bar

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

PLANTED_VERSION = 2
VARIANTS = ("single", "two", "none")
HIDDEN_SIZE = 128
LAYERS = 4
BASE_STEPS = 40
TUNED_STEPS = {"single": 220, "two": 240, "none": 240}
LEARNING_RATE = 4e-3

CARD = """# Planted model: {variant}, seed {seed}

A self-test of PolyRefuse, not a language model: a tiny Llama that knows two sentences a language.
`base/` always complies; `tuned/` refuses harmful prompts in 13 languages, and Yoruba is left out.
It was trained on every prompt of the packaged sample, test prompts included, so its scores test the
pipeline and never a model's safety.
"""


@dataclass(frozen=True)
class PlantedPair:
    """A planted pair on disk.

    Attributes:
        folder: the cached checkpoint folder, with ``base/`` and ``tuned/``.
        variant: ``single``, ``two`` or ``none``.
        vectors: planted unit vectors (hidden,) by language; empty for ``none``.
    """

    folder: Path
    variant: str
    vectors: dict[str, Tensor]


def planted_pair(variant: str = "single", seed: int = 0) -> PlantedPair:
    """Return the planted pair, training it on first use (about a minute on two cores).

    Args:
        variant: ``single`` (one vector), ``two`` (two vectors, half of the languages each) or
            ``none`` (refusal in many directions: the control on which ablation shows nothing).
        seed: of the vectors, the weights and the order of the prompts.

    Raises:
        ModelError: unknown variant.
    """
    if variant not in VARIANTS:
        raise ModelError(f"unknown planted variant {variant!r}.", f"Known: {', '.join(VARIANTS)}.")
    prompts = read_prompts(SAMPLE_FOLDER)
    texts = [REFUSALS, COMPLIANCES, TUNED_STEPS[variant], LAYERS]
    folder = cache_folder(variant, seed, PLANTED_VERSION, content_digest(prompts), texts)
    about = {"variant": variant, "seed": seed, "version": PLANTED_VERSION}
    train_once(folder, about, lambda unfinished: _train_pair(unfinished, prompts, variant, seed))
    return PlantedPair(folder, variant, planted_vectors(variant, seed))


def require_planted_options(name: str, **given: object) -> None:
    """Refuse what would be ignored: a planted model is trained here, in float32, on the CPU.

    Raises:
        ModelError: an option is given (is not None); names it.
    """
    for option, value in given.items():
        if value is not None:
            raise ModelError(
                f"{name}: a planted model has no --{option.replace('_', '-')}.", "Leave it out."
            )


def load_planted(name: str, seed: int = 0) -> LoadedModel:
    """Load ``planted``, ``planted:two``, ``planted:none`` or ``planted:base``.

    Other weights have other names: of seed 1, ``planted`` is called ``planted:single-1``, and that
    name loads it whatever `seed` is. ``planted:residual`` and ``planted:residual-base`` are those
    of planted_residual.py.

    Raises:
        ModelError: unknown variant.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    wanted = name.partition(":")[2] or "single"
    if numbered := re.fullmatch(r"(.+)-([0-9]{1,6})", wanted):
        wanted, seed = numbered[1], int(numbered[2])
    if wanted.startswith("residual"):
        from polyrefuse_evaluation.planted_residual import load_planted_residual

        return load_planted_residual(name, seed)
    variant, side = ("single", "base") if wanted == "base" else (wanted, "tuned")
    pair = planted_pair(variant, seed)
    folder = pair.folder / side
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    if seed:
        name = f"planted:{wanted}-{seed}"
    tokenizer.name_or_path = name
    vectors = pair.vectors if side == "tuned" else {}
    return LoadedModel(model, tokenizer, name, None, wanted, vectors)


def planted_vectors(variant: str, seed: int) -> dict[str, Tensor]:
    """Return the planted unit vectors (hidden,) by aligned language; empty for ``none``."""
    generator = torch.Generator().manual_seed(1000 + seed)
    basis = torch.linalg.qr(torch.randn(HIDDEN_SIZE, 2, generator=generator)).Q.T.contiguous()
    if variant == "single":
        return {language: basis[0] for language in REFUSALS if language != UNALIGNED}
    if variant == "two":
        return {code: basis[k] for k, codes in enumerate(TWO_GROUPS) for code in codes}
    return {}


def _groups(variant: str, vectors: dict[str, Tensor]) -> list[Group]:
    if variant == "two":
        return [Group(languages, vectors[languages[0]]) for languages in TWO_GROUPS]
    return [Group(tuple(vectors), next(iter(vectors.values())))] if vectors else []


def _train_pair(folder: Path, prompts: Sequence[Prompt], variant: str, seed: int) -> None:
    tokenizer = build_tokenizer([row.prompt for row in prompts])
    lessons = [
        encode_lesson(tokenizer, row.language, row.label == "harmful", row.prompt)
        for row in prompts
    ]
    (folder / "README.md").write_text(CARD.format(variant=variant, seed=seed), encoding="utf-8")
    steps = TUNED_STEPS[variant]
    label = f"Training the planted model ({variant}, seed {seed})"
    with reproducibly(seed), progress_bar(label, BASE_STEPS + 2 * steps) as advance:
        model = new_llama(tokenizer, hidden_size=HIDDEN_SIZE, layers=LAYERS, key_value_heads=4)
        learner = partial(
            train, model, lessons, per_stratum=3, learning_rate=LEARNING_RATE, seed=seed
        )
        learner(learn=partial(_comply, model), steps=BASE_STEPS, tick=lambda: advance(1))
        save_checkpoint(folder / "base", model, tokenizer)
        groups = _groups(variant, planted_vectors(variant, seed))
        curriculum = Curriculum(groups, tokenizer_span(tokenizer), seed)
        learner(learn=partial(curriculum.learn, model), steps=steps, tick=lambda: advance(2))
        save_checkpoint(folder / "tuned", model, tokenizer)


def tokenizer_span(tokenizer: "PreTrainedTokenizerFast") -> int:
    """Return the number of post-instruction tokens of the planted chat template."""
    from polyrefuse_evaluation.chat import find_chat_format

    return len(find_chat_format(tokenizer).post_instruction)


def _comply(model: "LlamaForCausalLM", batch: Batch, _: int) -> None:
    nobody = torch.zeros(len(batch.lessons), dtype=torch.bool)
    run_pass(model, batch, nobody).loss.backward()
