"""Models and prompts that benchmarks share: the planted one, and random Llamas of any size.

Random models take the planted model's tokenizer and the packaged prompts, so that lengths are real.
A random model refuses nothing: as its refusal tokens stand those that harmful prompts raise most.
How many they are is chosen so that its harmless baseline lies below 0, and adding a direction lifts
some candidates above it: some pass the filters and some fail.
"""

from dataclasses import dataclass

import torch

from polyrefuse.prompts import Prompt
from polyrefuse_evaluation import load_model
from polyrefuse_evaluation.candidate_scores import ValidationPrompts, logits_of
from polyrefuse_evaluation.models import LoadedModel
from polyrefuse_evaluation.planted_texts import REFUSALS
from polyrefuse_evaluation.prompt_sets import PromptSets, read_prompt_sets
from polyrefuse_evaluation.select_directions import render_rows

LANGUAGE = "en"
RAISED_SHARE = 0.475
"""Share of the vocabulary that stands for refusal in a random model."""
BATCH_TOKENS = 16_384


@dataclass(frozen=True)
class Bench:
    """One model with all that selection needs.

    Attributes:
        loaded: the model.
        train: train prompts by label.
        validation: rendered validation prompts.
        refusal_tokens: token ids R.
    """

    loaded: LoadedModel
    train: dict[str, list[Prompt]]
    validation: ValidationPrompts
    refusal_tokens: list[int]


def planted_bench(prompts: int | None = None) -> Bench:
    """Return the planted model, with the opening of its English refusal as refusal token."""
    loaded = load_model("planted")
    opening = loaded.tokenizer(REFUSALS[LANGUAGE], add_special_tokens=False)["input_ids"][0]
    return _bench(loaded, prompts, [opening])


def random_bench(
    layers: int = 12,
    hidden: int = 768,
    prompts: int | None = None,
    *,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    seed: int = 0,
) -> Bench:
    """Return a random Llama of this depth and width (heads of 64) with the planted tokenizer.

    The standard deviation of its weights, 0.03 at a width of 768, goes with 1 / sqrt(width), so
    that what a block adds is about as large at every width.
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = load_model("planted").tokenizer
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=hidden * 8 // 3 // 64 * 64,
        num_hidden_layers=layers,
        num_attention_heads=max(1, hidden // 64),
        num_key_value_heads=max(1, hidden // 64),
        initializer_range=0.03 * (768 / hidden) ** 0.5,
        max_position_embeddings=1024,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config).eval().to(device, dtype)
    loaded = LoadedModel(model, tokenizer, f"random {layers} x {hidden}")
    return _bench(loaded, prompts, None)


def _bench(loaded: LoadedModel, prompts: int | None, tokens: list[int] | None) -> Bench:
    sets = read_prompt_sets(None, source_languages=[LANGUAGE])
    train = {label: _some(sets, "train", label, prompts) for label in ("harmful", "harmless")}
    validation = ValidationPrompts(
        *(render_rows(loaded, _some(sets, "validation", label, prompts)) for label in train)
    )
    if tokens is None:
        tokens = _raised_tokens(loaded, train)
    return Bench(loaded, train, validation, tokens)


def _some(sets: PromptSets, split: str, label: str, prompts: int | None) -> list[Prompt]:
    return sets.get(LANGUAGE, split, label)[:prompts]


def _raised_tokens(loaded: LoadedModel, train: dict[str, list[Prompt]]) -> list[int]:
    harmful, harmless = (
        logits_of(loaded, render_rows(loaded, rows), BATCH_TOKENS).softmax(-1).mean(0)
        for rows in train.values()
    )
    return (harmful - harmless).topk(int(RAISED_SHARE * len(harmful))).indices.tolist()
