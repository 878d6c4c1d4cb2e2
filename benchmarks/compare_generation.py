"""Generation by this project and as published, on the same model and prompts, in turns.

A random model hardly ever ends an answer: as its end tokens stands one in fifty of its vocabulary,
drawn by seed, so that answers end at lengths from 0 to the limit. The planted model ends by itself.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from statistics import mean, median
from typing import TypeVar

import torch
from torch import Tensor

from benchmarks.bench_models import LANGUAGE, Bench
from benchmarks.compare_selection import Cost
from benchmarks.reference.generation import generate_as_published
from benchmarks.reference.selection import ablation_hooks, hooked
from polyrefuse.languages import LANGUAGES
from polyrefuse_evaluation.answering import Condition, intervention
from polyrefuse_evaluation.directions import random_direction
from polyrefuse_evaluation.extraction import extract
from polyrefuse_evaluation.generation import choose_plan, end_tokens, generate, use_plan
from polyrefuse_evaluation.models import LoadedModel
from polyrefuse_evaluation.prompt_sets import read_prompt_sets
from polyrefuse_evaluation.select_directions import render_rows

T = TypeVar("T")

END_SHARE = 0.02
FIXED_ROWS, FIXED_TOKENS, FIXED_EACH = 16, 24, 6
BASELINE, ABLATED = "baseline", "ablated"


@dataclass(frozen=True)
class GenerationComparison:
    """This project beside the reference, fastest of the rounds.

    Attributes:
        model: its name.
        prompts: how many were answered, each under both conditions.
        costs: by condition, (ours, reference).
        probe: cost of choosing a decoding plan, once a run; not among `costs`.
        lengths: answers' lengths at baseline: shortest, mean, longest, and how many ended.
        partings: of every answer that is not the same tokens, over both conditions: the difference
            of the two logits where they part, in the reference's own arithmetic, relative to the
            largest logit. Below 1e-5 it is rounding that decides there.
        ratio: ablated by baseline time of this project at equal work, median of pairs; processor
            time where the model is on the CPU.
        projecting: seconds to project all weights and to restore them.
    """

    model: str
    prompts: int
    costs: dict[str, tuple[Cost, Cost]]
    probe: Cost
    lengths: tuple[int, float, int, int]
    partings: list[float]
    ratio: float
    projecting: float


def multilingual_prompts(loaded: LoadedModel, each: int) -> list[list[int]]:
    """Return rendered test prompts, so many of each label in every language, in their order."""
    sets = read_prompt_sets(None, source_languages=[LANGUAGE])
    rows = [
        row
        for code in LANGUAGES
        for label in ("harmful", "harmless")
        for row in sets.get(code, "test", label)[:each]
    ]
    return render_rows(loaded, rows)


def compare_generation(
    bench: Bench, rounds: int, batch_tokens: int, each: int, max_new_tokens: int
) -> GenerationComparison:
    """Answer the same prompts both ways at baseline and ablated; compare tokens and time."""
    loaded = bench.loaded
    prompts = multilingual_prompts(loaded, each)
    candidates = extract(loaded, bench.train, LANGUAGE, batch_tokens).candidates
    layers = candidates.differences.shape[1]
    vector = candidates.direction(-1, layers // 2).vector
    with _end_tokens(loaded, loaded.planted_variant is None):
        ends = sorted(end_tokens(loaded))
        plan, probe = _timed(lambda: choose_plan(loaded, prompts, max_new_tokens, conditions=2))
        use_plan(loaded, plan)

        def ours(direction: Tensor | None) -> list[list[int]]:
            answers: dict[int, list[int]] = {}
            with intervention(loaded, Condition("", direction), "weights"):
                for batch in plan.batches(prompts, batch_tokens, max_new_tokens):
                    made = generate(loaded, [prompts[index] for index in batch], max_new_tokens)
                    answers |= {i: list(a.tokens) for i, a in zip(batch, made, strict=True)}
            return [answers[index] for index in range(len(prompts))]

        def reference(direction: Tensor | None) -> list[list[int]]:
            return generate_as_published(loaded, prompts, max_new_tokens, ends, direction)

        costs = {}
        partings: list[float] = []
        lengths: list[int] = []
        for name, direction in ((BASELINE, None), (ABLATED, vector)):
            answers, costs[name] = _in_turns(direction, ours, reference, rounds=rounds)
            partings += [
                parting(loaded, prompt, a, b, direction)
                for prompt, a, b in zip(prompts, *answers, strict=True)
                if a != b
            ]
            lengths = lengths or [len(answer) for answer in answers[0]]
    fixed = multilingual_prompts(loaded, FIXED_EACH)
    ratio, projecting = fast_path_ratio(loaded, fixed, rounds)
    ended = sum(length < max_new_tokens for length in lengths)
    return GenerationComparison(
        loaded.name,
        len(prompts),
        costs,
        probe,
        (min(lengths), mean(lengths), max(lengths), ended),
        partings,
        ratio,
        projecting,
    )


@torch.no_grad()
def parting(
    loaded: LoadedModel,
    prompt: Sequence[int],
    ours: Sequence[int],
    reference: Sequence[int],
    direction: Tensor | None,
) -> float:
    """Return the relative difference of the reference's logits where two answers part.

    Infinite where one only goes on longer than the other.
    """
    pairs = zip(ours, reference, strict=False)
    at = next((k for k, (a, b) in enumerate(pairs) if a != b), None)
    if at is None:
        return float("inf")
    with hooked(ablation_hooks(loaded.model, direction) if direction is not None else []):
        logits = loaded.last_logits([[*prompt, *ours[:at]]])[0]
    return float((logits[ours[at]] - logits[reference[at]]).abs() / logits.abs().max())


def fast_path_ratio(
    loaded: LoadedModel, prompts: Sequence[Sequence[int]], rounds: int
) -> tuple[float, float]:
    """Return ablated by baseline time of the same number of steps, and the projection's seconds.

    Pairs alternate, each on other prompts; the median of their ratios is little moved by a busy
    machine, nor by a near tie that one side of a pair settles and the other has not.
    """
    direction = random_direction(loaded.stream.hidden_size, 0)
    ratios, projecting = [], []
    with _no_end(loaded):
        generate(loaded, prompts[:FIXED_ROWS], FIXED_TOKENS)
        for pair in range(max(9, 2 * rounds)):
            start = FIXED_ROWS * pair
            rows = [prompts[(start + row) % len(prompts)] for row in range(FIXED_ROWS)]
            with intervention(loaded, Condition(BASELINE, None), "weights"):
                _, plain = _timed(lambda rows=rows: generate(loaded, rows, FIXED_TOKENS))
            whole = time.perf_counter()
            with intervention(loaded, Condition(ABLATED, direction), "weights"):
                _, ablated = _timed(lambda rows=rows: generate(loaded, rows, FIXED_TOKENS))
            projecting.append(time.perf_counter() - whole - ablated.seconds)
            ratios.append(_cost_of(loaded, ablated) / _cost_of(loaded, plain))
    return median(ratios), min(projecting)


@contextmanager
def _end_tokens(loaded: LoadedModel, drawn: bool) -> Iterator[None]:
    config = loaded.model.generation_config
    before = config.eos_token_id
    if drawn:
        size = int(loaded.model.config.vocab_size)
        order = torch.randperm(size, generator=torch.Generator().manual_seed(0))
        config.eos_token_id = order[: int(END_SHARE * size)].tolist()
    try:
        yield
    finally:
        config.eos_token_id = before


@contextmanager
def _no_end(loaded: LoadedModel) -> Iterator[None]:
    config, tokenizer = loaded.model.generation_config, loaded.tokenizer
    before = config.eos_token_id, tokenizer.eos_token
    config.eos_token_id = tokenizer.eos_token = None
    try:
        yield
    finally:
        config.eos_token_id, tokenizer.eos_token = before


def _in_turns(
    direction: Tensor | None, *sides: Callable[..., list[list[int]]], rounds: int = 1
) -> tuple[list[list[list[int]]], tuple[Cost, Cost]]:
    """Run both sides in turns; return the last answers and the smallest costs of each."""
    answers: list[list[list[int]]] = [[], []]
    costs: list[list[Cost]] = [[], []]
    for _ in range(rounds):
        for index, side in enumerate(sides):
            answers[index], cost = _timed(partial(side, direction))
            costs[index].append(cost)
    ours, reference = (
        Cost(0, min(c.seconds for c in side), min(c.cpu_seconds for c in side)) for side in costs
    )
    return answers, (ours, reference)


def _timed(run: Callable[[], T]) -> tuple[T, Cost]:
    started, cpu = time.perf_counter(), time.process_time()
    value = run()
    return value, Cost(0, time.perf_counter() - started, time.process_time() - cpu)


def _cost_of(loaded: LoadedModel, cost: Cost) -> float:
    return cost.cpu_seconds if loaded.device.type == "cpu" else cost.seconds
