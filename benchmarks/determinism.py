"""Measure what batch size, thread count and precision change: logits, completions, labels.

    python -m benchmarks.determinism [--limit 4] [--max-new-tokens 32] [--layers 6] [--hidden 256]

The reference of each model and precision is every prompt alone on one thread. The planted model
answers test prompts in 14 languages with and without its direction ablated, a random Llama with and
without a random one. Prints the table of docs/benchmarks.md. Exit codes: 0 as it should be; 1 a
label differs in float32, or the same settings give something else the second time.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.bench_models import random_bench
from polyrefuse.prompts import Prompt
from polyrefuse_evaluation import ablate, load_model
from polyrefuse_evaluation.candidate_scores import logits_of
from polyrefuse_evaluation.directions import random_direction
from polyrefuse_evaluation.generation import generate, plan_batches
from polyrefuse_evaluation.judges import get_judge
from polyrefuse_evaluation.judges.types import JudgeInput
from polyrefuse_evaluation.models import LoadedModel
from polyrefuse_evaluation.prompt_sets import read_prompt_sets
from polyrefuse_evaluation.select_directions import render_rows

ALONE = 1
BATCHES = (256, 2048, 16_384)
MANY = 2
"""Threads of the last line of each precision; elsewhere it is one."""
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Seen:
    """What one setting gave: logits (n, vocabulary), and texts and labels of all answers."""

    logits: Tensor
    texts: list[str]
    labels: list[str]


@dataclass(frozen=True)
class Change:
    """What one setting changed beside another.

    Attributes:
        labels: share of labels that differ.
        texts: share of completions that differ.
        logits: largest difference of a logit, relative to the largest logit.
    """

    labels: float
    texts: float
    logits: float


def look(
    loaded: LoadedModel,
    rows: Sequence[Prompt],
    direction: Tensor,
    batch_tokens: int,
    max_new_tokens: int,
    threads: int,
) -> Seen:
    """Answer every prompt with and without `direction`, in batches of this size."""
    torch.set_num_threads(threads)
    judge = get_judge("keyword")
    sequences = render_rows(loaded, rows)
    logits = logits_of(loaded, sequences, batch_tokens)
    texts: list[str] = []
    for ablated in (False, True):
        with ablate(loaded.model, direction, stream=loaded.stream) if ablated else nullcontext():
            answers: dict[int, str] = {}
            for indices in plan_batches(sequences, batch_tokens, max_new_tokens):
                batch = generate(loaded, [sequences[index] for index in indices], max_new_tokens)
                answers |= dict(zip(indices, (answer.text for answer in batch), strict=True))
            texts += [answers[index] for index in range(len(rows))]
    inputs = [
        JudgeInput(row.language, text, row.prompt, row.prompt_en)
        for row, text in zip([*rows, *rows], texts, strict=True)
    ]
    return Seen(logits, texts, [str(verdict.outcome) for verdict in judge.judge(inputs)])


def compare(one: Seen, other: Seen) -> Change:
    """Return what differs between two settings."""
    gap = float((one.logits - other.logits).abs().max() / one.logits.abs().max())
    return Change(_share(one.labels, other.labels), _share(one.texts, other.texts), gap)


def _share(one: Sequence[str], other: Sequence[str]) -> float:
    return sum(a != b for a, b in zip(one, other, strict=True)) / len(one)


def models(layers: int, hidden: int) -> dict[str, tuple[LoadedModel, Tensor]]:
    """Return the two models in float32, each with the direction that is ablated."""
    planted = load_model("planted")
    random = random_bench(layers, hidden, 4).loaded
    return {
        "planted": (planted, planted.planted_vectors["en"]),
        f"random {layers} x {hidden}": (random, random_direction(hidden, 1)),
    }


def main() -> int:
    """Measure and print; say whether float32 keeps its promise."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=int, default=4)
    parser.add_argument("--max-new-tokens", type=int, default=32)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--hidden", type=int, default=256)
    chosen = parser.parse_args()
    rows = read_prompt_sets(None, source_languages=(), limit=chosen.limit).test_prompts()
    kept = True
    exact: dict[str, Seen] = {}
    print(f"{len(rows)} prompts, {2 * len(rows)} answers of up to {chosen.max_new_tokens} tokens\n")
    print("| model | precision | batch tokens | threads | labels | completions | logits |")
    print("|---|---|---|---|---|---|---|")
    for name, (loaded, direction) in models(chosen.layers, chosen.hidden).items():
        for precision, dtype in DTYPES.items():
            loaded.model.to(dtype)
            reference = look(loaded, rows, direction, ALONE, chosen.max_new_tokens, 1)
            exact.setdefault(name, reference)
            settings = [("alone, again", ALONE, 1)]
            settings += [(f"{size:,}", size, 1) for size in BATCHES]
            settings.append((f"{BATCHES[-1]:,}", BATCHES[-1], MANY))
            for shown, size, threads in settings:
                seen = look(loaded, rows, direction, size, chosen.max_new_tokens, threads)
                change = compare(reference, seen)
                show(name, precision, f"{shown} | {threads}", change)
                kept = kept and as_promised(precision, size, change)
            if precision != "float32":
                change = compare(exact[name], reference)
                show(name, f"{precision} beside float32", "alone | 1", change)
    return 0 if kept else 1


def as_promised(precision: str, size: int, change: Change) -> bool:
    """Whether the same settings gave the same, and other ones the same labels in float32."""
    if size == ALONE:
        return change == Change(0.0, 0.0, 0.0)
    return precision != "float32" or change.labels == 0


def show(name: str, precision: str, setting: str, change: Change) -> None:
    """Print one line of the table."""
    shares = f"{change.labels:.2%} | {change.texts:.2%}"
    print(f"| {name} | {precision} | {setting} | {shares} | {change.logits:.1e} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
