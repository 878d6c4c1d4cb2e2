"""Score candidate directions on a model: bypass, induce and KL over validation prompts.

This is the only place where selection (selection.py) meets a model. Ablated candidates share
batches (ablated_scores.py); an added one resumes the base pass at its layer (base_pass.py). Each
shortcut is proven on the model at hand before it is used, else the plain pass runs.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from polyrefuse_evaluation.ablated_scores import AblatedScores, score_in_parts
from polyrefuse_evaluation.base_pass import Resumer, run_base_pass
from polyrefuse_evaluation.directions import CandidateDirections
from polyrefuse_evaluation.models import LoadedModel
from polyrefuse_evaluation.padding import prompt_batches
from polyrefuse_evaluation.refusal_score import kl_divergence, refusal_score
from polyrefuse_evaluation.selection import (
    Candidate,
    Scorer,
    Selection,
    select_full,
    select_lazy,
)


@dataclass(frozen=True)
class ValidationPrompts:
    """Rendered validation prompts of one language, token ids."""

    harmful: Sequence[Sequence[int]]
    harmless: Sequence[Sequence[int]]


def logits_of(loaded: LoadedModel, sequences: Sequence[Sequence[int]], batch_tokens: int) -> Tensor:
    """Return last-position logits (n, vocabulary) on the CPU, in the order of `sequences`."""
    rows: dict[int, Tensor] = {}
    for indices in prompt_batches(loaded, sequences, batch_tokens):
        logits = loaded.last_logits([sequences[index] for index in indices]).cpu()
        rows.update(zip(indices, logits, strict=True))
    return torch.stack([rows[index] for index in range(len(sequences))])


def select_candidate(
    loaded: LoadedModel,
    candidates: CandidateDirections,
    prompts: ValidationPrompts,
    refusal_tokens: Sequence[int],
    batch_tokens: int,
    full_scores: bool = False,
) -> Selection:
    """Score one language's candidates on one model and select one; `full_scores` scores all."""
    scorer = make_scorer(loaded, candidates, prompts, refusal_tokens, batch_tokens)
    positions, layers = candidates.differences.shape[:2]
    defined = [
        (position - positions, layer) for position, layer in candidates.defined.nonzero().tolist()
    ]
    select = select_full if full_scores else select_lazy
    return select(defined, layers, scorer)


def make_scorer(
    loaded: LoadedModel,
    candidates: CandidateDirections,
    prompts: ValidationPrompts,
    refusal_tokens: Sequence[int],
    batch_tokens: int,
) -> Scorer:
    """Return the scorer of one language's candidates on one model.

    One pass over the harmless prompts serves both the KL scores (its logits) and the induce scores
    (what its blocks were given).
    """
    base = run_base_pass(loaded, prompts.harmless, batch_tokens)
    resumer = Resumer(loaded, base)
    ablation = AblatedScores(loaded, [*prompts.harmful, *prompts.harmless], batch_tokens)

    def refusal(logits: Tensor, _: list[int]) -> Tensor:
        return refusal_score(logits, refusal_tokens)

    def divergence(logits: Tensor, rows: list[int]) -> Tensor:
        return kl_divergence(base.logits[rows].to(logits.device), logits)

    def bypass(chosen: Sequence[Candidate]) -> list[float]:
        return ablation.means(_units(candidates, chosen), prompts.harmful, refusal)

    def kl(chosen: Sequence[Candidate]) -> list[float]:
        return ablation.means(_units(candidates, chosen), prompts.harmless, divergence)

    def induce(chosen: Sequence[Candidate]) -> list[float]:
        by_layer: defaultdict[int, list[int]] = defaultdict(list)
        for number, (_, layer) in enumerate(chosen):
            by_layer[layer].append(number)
        scores = torch.empty(len(chosen), len(prompts.harmless), dtype=torch.float64)
        for layer, numbers in by_layer.items():
            raw = torch.stack([candidates.direction(*chosen[number]).raw for number in numbers])
            for which, rows, logits in resumer.added(layer, raw, batch_tokens):
                scores[numbers[which], rows] = score_in_parts(refusal, logits, rows)
        return list(scores.mean(dim=1).tolist())

    return Scorer(bypass, induce, kl)


def _units(candidates: CandidateDirections, chosen: Sequence[Candidate]) -> Tensor:
    """Return the unit vectors of some candidates, (k, hidden)."""
    vectors = [candidates.direction(*candidate).vector for candidate in chosen]
    return torch.stack(vectors) if vectors else torch.empty(0, candidates.differences.shape[-1])
