"""Selection by this project and as published, on the same model and prompts, in turns."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from benchmarks.bench_models import BATCH_TOKENS, LANGUAGE, Bench
from benchmarks.reference.selection import (
    ReferenceSelection,
    mean_differences,
    pick,
    select_as_published,
)
from polyrefuse_evaluation.candidate_scores import select_candidate
from polyrefuse_evaluation.extraction import Extraction, extract
from polyrefuse_evaluation.forward_work import count_work
from polyrefuse_evaluation.packed_linear import packed_linears
from polyrefuse_evaluation.select_directions import render_rows
from polyrefuse_evaluation.selection import RUNGS, Selection

KINDS = ("bypass", "induce", "kl")


@dataclass(frozen=True)
class Cost:
    """Cost of one stage.

    Attributes:
        token_layers: tokens without padding x blocks computed.
        seconds: on the wall, in the fastest of the rounds.
        cpu_seconds: of processor time in the fastest; other work on the machine counts less here.
    """

    token_layers: int
    seconds: float
    cpu_seconds: float = 0.0


@dataclass(frozen=True)
class SelectionComparison:
    """This project beside the reference.

    Attributes:
        model: its name.
        extraction: costs (ours, reference) of the means.
        selection: costs (ours, reference) of scoring and picking.
        winners: (position, layer) of ours and of the reference, None where nothing passes.
        passing: how many candidates pass all filters of the reference, and how many there are.
        difference: largest difference of a score that both computed.
        compared: number of scores compared.
    """

    model: str
    extraction: tuple[Cost, Cost]
    selection: tuple[Cost, Cost]
    winners: tuple[tuple[int, int] | None, tuple[int, int] | None]
    passing: tuple[int, int]
    difference: float
    compared: int


def compare_selection(
    bench: Bench, rounds: int = 2, batch_tokens: int = BATCH_TOKENS, full_scores: bool = False
) -> SelectionComparison:
    """Run both on one model, in turns, and compare winners, scores, work and time."""
    loaded, validation = bench.loaded, bench.validation
    harmful, harmless = (render_rows(loaded, bench.train[x]) for x in ("harmful", "harmless"))

    def ours_extracts() -> Extraction:
        with packed_linears(loaded.model):
            return extract(loaded, bench.train, LANGUAGE, batch_tokens, bench.refusal_tokens)

    def reference_extracts() -> Tensor:
        return mean_differences(loaded, harmful, harmless)

    extracted, differences, extraction = _in_turns(
        loaded.model, ours_extracts, reference_extracts, rounds
    )

    def ours_selects() -> Selection:
        tokens = bench.refusal_tokens
        candidates = extracted.candidates
        with packed_linears(loaded.model):
            return select_candidate(
                loaded, candidates, validation, tokens, batch_tokens, full_scores
            )

    def reference_selects() -> ReferenceSelection:
        return select_as_published(
            loaded, differences, validation.harmful, validation.harmless, bench.refusal_tokens
        )

    ours, reference, selection = _in_turns(loaded.model, ours_selects, reference_selects, rounds)
    gaps = score_gaps(ours, reference)
    layers = differences.shape[1]
    return SelectionComparison(
        model=loaded.name,
        extraction=extraction,
        selection=selection,
        winners=(
            _place(ours.winner if ours.rung == RUNGS[0].name else None),
            _place(reference.winner),
        ),
        passing=(
            sum(pick([row], layers) is not None for row in reference.scores),
            len(reference.scores),
        ),
        difference=float(torch.tensor(gaps, dtype=torch.float64).max()),  # NaN if one is
        compared=len(gaps),
    )


def score_gaps(ours: Selection, reference: ReferenceSelection) -> list[float]:
    """Return the absolute difference of every score that both computed."""
    published = {(row.position, row.layer): row for row in reference.scores}
    return [
        abs(getattr(row, kind) - getattr(published[row.position, row.layer], kind))
        for row in ours.scores
        for kind in KINDS
        if getattr(row, kind) is not None
    ]


def _place(scores: Any) -> tuple[int, int] | None:
    return (scores.position, scores.layer) if scores else None


def _in_turns(
    model: Any, first: Callable[[], Any], second: Callable[[], Any], rounds: int
) -> tuple[Any, Any, tuple[Cost, Cost]]:
    """Run both so many times in turns; return the last results and the fastest times."""
    results: list[Any] = [None, None]
    seconds: list[list[tuple[float, float]]] = [[], []]
    work = [0, 0]
    for _ in range(rounds):
        for index, run in enumerate((first, second)):
            with count_work(model) as done:
                started, cpu = time.perf_counter(), time.process_time()
                results[index] = run()
                _wait()
                spent = time.perf_counter() - started, time.process_time() - cpu
                seconds[index].append(spent)
            work[index] = done.token_layers
    fastest = [[min(column) for column in zip(*rows, strict=True)] for rows in seconds]
    costs = [Cost(w, *spent) for w, spent in zip(work, fastest, strict=True)]
    return results[0], results[1], (costs[0], costs[1])


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
