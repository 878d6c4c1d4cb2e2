"""The planted residual pair: a base and a tuned model whose safety residual space is known.

Tuning writes three orthogonal unit vectors: a dominant refusal direction and two framings that
suppress and half-suppress it, with amplitudes 1 : 0.4 : 0.2, in six languages. Harm and framings
are made-up words in harmless prompts (planted_residual_prompts.py). Its figures test the pipeline,
never a model's safety.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from polyrefuse.dataset import SAMPLE_FOLDER
from polyrefuse.errors import ModelError
from polyrefuse.folder import content_digest, read_prompts, write_prompts
from polyrefuse.prompts import Prompt
from polyrefuse_evaluation.models import LoadedModel
from polyrefuse_evaluation.planted import tokenizer_span
from polyrefuse_evaluation.planted_batches import Batch, run_pass
from polyrefuse_evaluation.planted_cache import cache_folder, train_once
from polyrefuse_evaluation.planted_llama import new_llama, save_checkpoint
from polyrefuse_evaluation.planted_residual_prompts import (
    WORDS,
    carrier_of,
    planted_prompts,
)
from polyrefuse_evaluation.planted_residual_training import (
    AMPLITUDES,
    LAYERS,
    NAMES,
    FramedLesson,
    ResidualCurriculum,
    polish,
)
from polyrefuse_evaluation.planted_texts import COMPLIANCES, REFUSALS
from polyrefuse_evaluation.planted_tokenizer import build_tokenizer, encode_lesson
from polyrefuse_evaluation.planted_training import reproducibly, train
from polyrefuse_evaluation.progress import progress_bar

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

VERSION = 3
HIDDEN_SIZE = 96
VOCABULARY = 4000
BASE_STEPS = 40
TUNED_STEPS = 240
LEARNING_RATE = 4e-3

CARD = """# Planted residual pair, seed {seed}

A self-test of PolyRefuse, not a language model: a tiny Llama that knows two sentences a language.
`base/` always complies; `tuned/` refuses prompts with a made-up trigger word, unless another
made-up word suppresses that. `prompts/` holds its prompts, harmless ones with made-up words in
them, as a dataset folder. It was trained on all of them: its figures test the pipeline only.
"""


@dataclass(frozen=True)
class PlantedResidualPair:
    """A planted residual pair on disk.

    Attributes:
        folder: holds ``base/``, ``tuned/`` and the dataset folder ``prompts/``.
        vectors: planted orthonormal vectors, (3, hidden), in the order of `NAMES`.
        amplitudes: lengths of what is written along them, relative to the first.
    """

    folder: Path
    vectors: Tensor
    amplitudes: tuple[float, ...] = AMPLITUDES


def planted_residual_pair(seed: int = 0) -> PlantedResidualPair:
    """Return the planted residual pair, training it on first use (about a minute on two cores).

    Args:
        seed: of the vectors, the weights and the order of the prompts.
    """
    prompts = planted_prompts(read_prompts(SAMPLE_FOLDER))
    texts = [REFUSALS, COMPLIANCES, BASE_STEPS, TUNED_STEPS, LAYERS]
    folder = cache_folder("residual", seed, VERSION, content_digest(prompts), texts)
    about = {"variant": "residual", "seed": seed, "version": VERSION}
    train_once(folder, about, lambda unfinished: train_pair(unfinished, prompts, seed))
    return PlantedResidualPair(folder, planted_residual_vectors(seed))


def load_planted_residual(name: str, seed: int = 0) -> LoadedModel:
    """Load ``planted:residual`` (the tuned side) or ``planted:residual-base``.

    Raises:
        ModelError: neither of the two.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    sides = {"residual": "tuned", "residual-base": "base"}
    wanted = name.partition(":")[2]
    if wanted not in sides:
        raise ModelError(f"unknown planted model {name!r}.", f"Known: {', '.join(sides)}.")
    pair = planted_residual_pair(seed)
    folder = pair.folder / sides[wanted]
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    tokenizer.name_or_path = name
    vectors = dict(zip(NAMES, pair.vectors, strict=True)) if wanted == "residual" else {}
    return LoadedModel(model, tokenizer, name, None, wanted, vectors)


def planted_residual_vectors(seed: int) -> Tensor:
    """Return the planted orthonormal vectors, (3, hidden)."""
    generator = torch.Generator().manual_seed(2000 + seed)
    vectors = torch.randn(HIDDEN_SIZE, len(NAMES), generator=generator)
    planted: Tensor = torch.linalg.qr(vectors).Q.T.contiguous()
    return planted


def train_pair(folder: Path, prompts: Sequence[Prompt], seed: int) -> None:
    """Train both sides and save them as ``base/`` and ``tuned/``, with their prompts and card."""
    write_prompts(folder / "prompts", prompts)
    for card in (folder / "prompts" / "README.md", folder / "README.md"):
        card.write_text(CARD.format(seed=seed), encoding="utf-8")
    tokenizer = _tokenizer(prompts)
    lessons, carriers = _lessons(tokenizer, prompts)
    label = f"Training the planted residual pair (seed {seed})"
    with (
        reproducibly(seed),
        progress_bar(label, BASE_STEPS + TUNED_STEPS) as advance,
    ):
        model = new_llama(tokenizer, hidden_size=HIDDEN_SIZE, layers=LAYERS, key_value_heads=2)
        learner = partial(train, model, learning_rate=LEARNING_RATE, seed=seed)
        tick = partial(advance, 1)
        learner(carriers, partial(_comply, model), steps=BASE_STEPS, per_stratum=8, tick=tick)
        _forget_made_up_words(model, tokenizer)
        save_checkpoint(folder / "base", model, tokenizer)
        base = _base_activations(model, carriers, tokenizer_span(tokenizer))
        curriculum = ResidualCurriculum(planted_residual_vectors(seed), base, seed)
        learner(
            lessons, partial(curriculum.learn, model), steps=TUNED_STEPS, per_stratum=4, tick=tick
        )
        polish(model, lessons, curriculum)
        save_checkpoint(folder / "tuned", model, tokenizer)


def _tokenizer(prompts: Sequence[Prompt]) -> "PreTrainedTokenizerFast":
    from tokenizers import AddedToken

    plain = [row for row in prompts if row.label == "harmless" and row.source_category == "plain"]
    tokenizer = build_tokenizer([row.prompt for row in plain], VOCABULARY)
    made_up = sorted({word for words in WORDS.values() for word in words})
    tokenizer.add_tokens([AddedToken(word, lstrip=True, normalized=False) for word in made_up])
    return tokenizer


def _lessons(
    tokenizer: "PreTrainedTokenizerFast", prompts: Sequence[Prompt]
) -> tuple[list[FramedLesson], list[FramedLesson]]:
    """Return the lessons of all prompts, and those of the carriers, in the order of their numbers.

    A carrier is a prompt with neutral words only.
    """
    keys = sorted({(carrier_of(row), row.language) for row in prompts})
    number = {key: index for index, key in enumerate(keys)}
    lessons, carriers = [], {}
    for row in prompts:
        plain = encode_lesson(tokenizer, row.language, row.label == "harmful", row.prompt)
        framing = str(row.source_category)
        lesson = FramedLesson(
            plain.language,
            plain.harmful,
            plain.prompt,
            plain.refusal,
            plain.compliance,
            framing,
            number[carrier_of(row), row.language],
        )
        lessons.append(lesson)
        if row.label == "harmless" and framing == "plain":
            carriers[lesson.carrier] = lesson
    return lessons, [carriers[index] for index in range(len(keys))]


def _comply(model: "LlamaForCausalLM", batch: Batch, _: int) -> None:
    nobody = torch.zeros(len(batch.lessons), dtype=torch.bool)
    run_pass(model, batch, nobody).loss.backward()


@torch.no_grad()
def _forget_made_up_words(model: Any, tokenizer: Any) -> None:
    """Give all made-up words of a language the base's neutral one: it cannot tell them apart."""
    weight = model.get_input_embeddings().weight
    for words in WORDS.values():
        ids = tokenizer.convert_tokens_to_ids(list(words))
        weight[ids] = weight[ids[-1]].clone()


@torch.no_grad()
def _base_activations(
    model: "LlamaForCausalLM", carriers: Sequence[FramedLesson], span: int
) -> Tensor:
    """Return the frozen base's block inputs, (carriers, span, layers, hidden)."""
    parts = []
    for start in range(0, len(carriers), 96):
        batch = Batch.of(carriers[start : start + 96])
        nobody = torch.zeros(len(batch.lessons), dtype=torch.bool)
        parts.append(run_pass(model, batch, nobody, span).activations)
    return torch.cat(parts)
