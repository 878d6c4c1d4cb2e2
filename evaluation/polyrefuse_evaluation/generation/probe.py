"""Choose how a model's answers are decoded, by a short probe on a few prompts.

An engine is used only if it gives what `model.generate` gives for each prompt alone; of those that
do, the fastest. Knows nothing of run directories: the plan it returns is kept by the caller.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from polyrefuse_evaluation.ablation import ablate
from polyrefuse_evaluation.generation.completion import Decoded
from polyrefuse_evaluation.generation.engines import (
    ENGINES,
    Sequences,
    decode_batch,
    decode_rows,
    decode_single,
)
from polyrefuse_evaluation.generation.plan import DecodingPlan, Engine
from polyrefuse_evaluation.memory import is_out_of_memory
from polyrefuse_evaluation.models import LoadedModel

PROBE_PROMPTS, PROBE_TOKENS = 4, 12
TIMED_PROMPTS, TIMED_TOKENS = 32, 64
WORTH_TIMING = 100_000
"""Tokens a run may generate; below that it is not worth timing anything."""
NEAR_TIE = {torch.float32: 1e-4, torch.float64: 1e-4}
"""Difference of two logits, relative to the largest, that rounding can turn round; else 2e-2."""


@torch.no_grad()
def choose_plan(
    loaded: LoadedModel, sequences: Sequences, max_new_tokens: int, conditions: int = 1
) -> DecodingPlan:
    """Return the plan for a run over `sequences`.

    Args:
        loaded: the model.
        sequences: the run's rendered prompts.
        max_new_tokens: limit on an answer's length.
        conditions: how often each prompt is answered.
    """
    if not sequences:
        return DecodingPlan()
    sample = _spread(sequences, PROBE_PROMPTS)
    tokens = min(PROBE_TOKENS, max_new_tokens)
    plan = _exact_plan(loaded, sample, tokens)
    if len(sequences) * max_new_tokens * conditions < WORTH_TIMING or plan.engine != "rows":
        return plan
    timed, limit = _spread(sequences, TIMED_PROMPTS), min(TIMED_TOKENS, max_new_tokens)
    try:
        answers = decode_rows(loaded, timed, limit)
        plan = replace(plan, expected_tokens=_expected_tokens(answers, max_new_tokens))
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return plan  # so little memory that batches are small, and in the way of nothing faster
    if loaded.device.type == "cpu":
        return plan  # neither a static cache nor paged attention pays there
    return _fastest(loaded, plan, sample, timed, limit)


def _spread(sequences: Sequences, count: int) -> list[Sequence[int]]:
    """Return up to `count` prompts from the shortest to the longest."""
    ordered = sorted(range(len(sequences)), key=lambda index: len(sequences[index]))
    steps = max(1, min(count, len(ordered)) - 1)
    chosen = {round(k * (len(ordered) - 1) / steps) for k in range(steps + 1)}
    return [sequences[ordered[index]] for index in sorted(chosen)]


def _exact_plan(loaded: LoadedModel, sample: Sequences, tokens: int) -> DecodingPlan:
    """Return the plan with the first engine that gives the answers of single prompts."""
    alone = decode_single(loaded, sample, tokens)
    # Rows that stop one after another, so that each of them leaves the batch.
    limits = [max(1, tokens * (k + 1) // len(sample)) for k in range(len(sample))]
    short = [Decoded(x.tokens[:n], x.finished) for x, n in zip(alone, limits, strict=True)]
    rejected: dict[str, str] = {}
    attempts: list[tuple[Engine, list[Decoded], Callable[[], list[Decoded]]]] = [
        ("rows", short, lambda: decode_rows(loaded, sample, tokens, limits)),
        ("batch", alone, lambda: decode_batch(loaded, sample, tokens)),
    ]
    for engine, expected, decode in attempts:
        problem = _problem(loaded, sample, expected, decode)
        if problem is None:
            return DecodingPlan(engine, rejected=rejected)
        rejected[engine] = problem
    return DecodingPlan("single", rejected=rejected)


def _problem(
    loaded: LoadedModel,
    sample: Sequences,
    expected: list[Decoded],
    decode: Callable[[], list[Decoded]],
) -> str | None:
    """Return how the answers of `decode` differ from those expected, or None."""
    try:
        answers = decode()
    except Exception as error:  # whatever a model's own code raises: another engine is used
        return f"{type(error).__name__}: {error}"[:300]
    for number, (prompt, right, answer) in enumerate(zip(sample, expected, answers, strict=True)):
        if right.tokens != answer.tokens and not _near_tie(loaded, prompt, right, answer):
            return f"other tokens than alone for probe prompt {number} ({len(prompt)} tokens)"
    return None


def _near_tie(loaded: LoadedModel, prompt: Sequence[int], right: Decoded, answer: Decoded) -> bool:
    """Whether two answers part where the model is undecided up to rounding."""
    pairs = zip(right.tokens, answer.tokens, strict=False)
    common = next((k for k, (a, b) in enumerate(pairs) if a != b), None)
    if common is None:
        return False  # one goes on where the other ends
    logits = loaded.last_logits([[*prompt, *right.tokens[:common]]])[0]
    gap = float(logits[right.tokens[common]] - logits[answer.tokens[common]])
    return abs(gap) <= NEAR_TIE.get(loaded.model.dtype, 2e-2) * float(logits.abs().max())


def _expected_tokens(answers: Sequence[Decoded], max_new_tokens: int) -> int | None:
    """Return the length of an answer to plan for, or None where hardly any of them ended.

    Half as much again as the mean length if answers go on ending at the rate seen; never below a
    quarter of the limit, so that a batch whose rows all run on takes at most four times its budget.
    """
    ended = sum(answer.finished for answer in answers)
    steps = sum(len(answer.tokens) + answer.finished for answer in answers)
    if ended == 0:
        return None
    rate = ended / steps
    mean = (1 - (1 - rate) ** max_new_tokens) / rate
    planned = max(round(1.5 * mean), -(-max_new_tokens // 4))
    return planned if planned < max_new_tokens else None


def _fastest(
    loaded: LoadedModel, plan: DecodingPlan, sample: Sequences, timed: Sequences, limit: int
) -> DecodingPlan:
    """Return `plan` with the fastest of the engines that give the texts of ``rows``."""
    rates, rejected = {"rows": _rate(loaded, "rows", timed, limit)}, dict(plan.rejected)
    others: tuple[Engine, ...] = ("static", "continuous")
    for engine in others:
        problem = _problem_under_hooks(loaded, engine, sample)
        if problem is None:
            rates[engine] = _rate(loaded, engine, timed, limit)
        else:
            rejected[engine] = problem
    best: Engine = max((x for x in ENGINES if x in rates), key=lambda engine: rates[engine])
    return replace(plan, engine=best, rates=rates, rejected=rejected)


def _problem_under_hooks(loaded: LoadedModel, engine: Engine, sample: Sequences) -> str | None:
    """Compare an engine with ``rows``, plain and under hooks that change every answer."""

    def compare() -> str | None:
        right = decode_rows(loaded, sample, PROBE_TOKENS)
        return _problem(
            loaded, sample, right, lambda: ENGINES[engine](loaded, sample, PROBE_TOKENS)
        )

    width = loaded.stream.hidden_size
    noise = torch.randn(width, width // 2, generator=torch.Generator().manual_seed(0))
    half = torch.linalg.qr(noise).Q.T.contiguous()
    problem = compare()
    if problem is None:
        with ablate(loaded.model, half, method="hooks", stream=loaded.stream):
            problem = compare()
    return problem


def _rate(loaded: LoadedModel, engine: Engine, timed: Sequences, limit: int) -> float:
    """Return tokens a second of the second of two runs; the first one warms up."""
    ENGINES[engine](loaded, timed, limit)
    started = time.perf_counter()
    answers = ENGINES[engine](loaded, timed, limit)
    seconds = time.perf_counter() - started
    return sum(len(answer.tokens) for answer in answers) / seconds
