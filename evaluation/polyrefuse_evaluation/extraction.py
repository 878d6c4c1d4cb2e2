"""One pass over train prompts: means at every layer and position, and each prompt's refusal score.

Prompts stream through in windows, so memory is O(positions * layers * hidden) and one batch,
whatever their number; a score is one number a prompt.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from polyrefuse.prompts import LABELS, Label, Prompt
from polyrefuse_evaluation.ablated_scores import score_in_parts
from polyrefuse_evaluation.activations import record_sum
from polyrefuse_evaluation.chat import prompt_name, render
from polyrefuse_evaluation.directions import CandidateDirections, DifferenceInMeansFitter
from polyrefuse_evaluation.models import LoadedModel
from polyrefuse_evaluation.padding import prompt_batches
from polyrefuse_evaluation.refusal_score import refusal_score

WINDOW = 512
"""Prompts rendered at a time and sorted by length among themselves."""


@dataclass(frozen=True)
class Extraction:
    """What one pass over the train prompts of one language gives.

    Attributes:
        candidates: the difference in means at every position and layer.
        scores: per label the refusal score of each prompt, (n,) float64, in the order of the
            prompts; empty where no refusal tokens are known.
    """

    candidates: CandidateDirections
    scores: dict[str, Tensor]


def extract(
    loaded: LoadedModel,
    prompts: Mapping[Label, Iterable[Prompt]],
    language: str,
    batch_tokens: int,
    refusal_tokens: Sequence[int] = (),
) -> Extraction:
    """Return means and refusal scores of one language's train prompts, in one pass over them.

    Args:
        loaded: the model.
        prompts: by label, ``harmful`` and ``harmless``; each is gone through once.
        language: ISO 639-1 code of the prompts.
        batch_tokens: padded tokens a batch.
        refusal_tokens: token ids whose probability makes the score.

    Raises:
        ModelError: an activation is not finite; names the layer.
        ValueError: a label has no prompts.
    """

    def score(logits: Tensor, _: list[int]) -> Tensor:
        return refusal_score(logits, refusal_tokens)

    fitter = DifferenceInMeansFitter(language)
    scores: dict[str, Tensor] = {}
    for label in LABELS:
        found = [torch.empty(0, dtype=torch.float64)]
        for window in _windows(prompts[label]):
            names = [prompt_name(row) for row in window]
            texts = [row.prompt for row in window]
            sequences = render(loaded.tokenizer, texts, loaded.chat, names)
            these = torch.empty(len(sequences), dtype=torch.float64)
            for indices in prompt_batches(loaded, sequences, batch_tokens):
                total, logits = record_sum(loaded, [sequences[i] for i in indices])
                fitter.update_sum(label, total, len(indices))
                if refusal_tokens:
                    these[indices] = score_in_parts(score, logits, indices)
            found += [these] if refusal_tokens else []
        scores[label] = torch.cat(found)
    return Extraction(fitter.fit(), scores)


def _windows(rows: Iterable[Prompt]) -> Iterable[list[Prompt]]:
    remaining = iter(rows)
    while window := list(islice(remaining, WINDOW)):
        yield window
