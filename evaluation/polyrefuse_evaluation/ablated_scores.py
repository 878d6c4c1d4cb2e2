"""Mean scores of prompts with candidate directions ablated, many candidates a batch.

Three ways give the same figures: sharing what all prompts begin with (shared_opening.py), a
direction for each row (row_ablation.py), and one direction at a time. The first that is proven on
the model at hand, by comparison with the last, is used.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Literal

import torch
from torch import Tensor

from polyrefuse_evaluation.ablation import ablate
from polyrefuse_evaluation.activations import batches, wide
from polyrefuse_evaluation.models import LoadedModel
from polyrefuse_evaluation.padding import ignores_padding, prompt_batches
from polyrefuse_evaluation.row_ablation import (
    ablate_rows,
    ablated_alone,
    ablated_by_rows,
    close_logits,
)
from polyrefuse_evaluation.shared_opening import logits_after, opening_length, run_openings

RowScore = Callable[[Tensor, list[int]], Tensor]
"""Logits (rows, vocabulary) of the prompts with these numbers -> a score for each row, float64."""

Way = Literal["openings", "rows", "alone"]

WIDE_ROWS = 64
"""Rows scored at a time: float64 over a large vocabulary takes more memory than the pass."""

OPENINGS_SHARE = 4
"""Openings are kept for as many directions as fill this part of a batch: they stay in memory."""


class AblatedScores:
    """Scores prompts under ablation of candidate directions.

    Attributes:
        way: how several directions are scored; None until it is proven.
    """

    def __init__(
        self, loaded: LoadedModel, prompts: Sequence[Sequence[int]], batch_tokens: int
    ) -> None:
        """Prepare for scoring any of `prompts`: they say what is shared, and serve the proof."""
        self.loaded = loaded
        self.batch_tokens = batch_tokens
        self.way: Way | None = None
        self._opening = prompts[0][: opening_length(prompts)]
        by_length = sorted(prompts, key=len)
        # Windows and sparse attention show in the longest only, padding in the shortest.
        same = len(by_length[0]) == len(by_length[-1]) or not ignores_padding(loaded)
        self._probes = by_length[-1:] if same else [by_length[0], by_length[-1]]

    def means(
        self, units: Tensor, sequences: Sequence[Sequence[int]], score: RowScore
    ) -> list[float]:
        """Return the mean score over `sequences` with each of `units` (k, hidden) ablated."""
        scores = torch.empty(len(units), len(sequences), dtype=torch.float64)
        if len(units) > 1 and self.way is None:
            self.way = self._proven(units[[0, -1]])
        if len(units) < 2 or self.way == "alone":
            for number, unit in enumerate(units):
                self._alone(unit, sequences, score, scores[number])
        elif self.way == "rows":
            self._rows(units, sequences, score, scores)
        else:
            most = max(1, self.batch_tokens // OPENINGS_SHARE // len(self._opening))
            for start in range(0, len(units), most):
                end = start + most
                self._openings(units[start:end], sequences, score, scores[start:end])
        return list(scores.mean(dim=1).tolist())

    def _proven(self, units: Tensor) -> Way:
        """Return the fastest way that gives the logits of one direction at a time."""
        expected = ablated_alone(self.loaded, units, self._probes)
        ways: tuple[tuple[Way, Callable[[], Tensor]], ...] = (
            ("openings", lambda: self._after_opening(units)),
            ("rows", lambda: ablated_by_rows(self.loaded, units, self._probes)),
        )
        for way, run in ways if self._opening else ways[1:]:
            # Whatever a model's own cache or writers raise, and running out of memory.
            with suppress(Exception):
                if close_logits(self.loaded, run(), expected):
                    return way
        return "alone"

    def _after_opening(self, units: Tensor) -> Tensor:
        openings = run_openings(self.loaded, units, self._opening)
        which = range(len(units))
        logits = [
            logits_after(self.loaded, openings, which, [probe] * len(units))
            for probe in self._probes
        ]
        return torch.stack(logits, dim=1)

    def _openings(
        self, units: Tensor, sequences: Sequence[Sequence[int]], score: RowScore, scores: Tensor
    ) -> None:
        openings = run_openings(self.loaded, units, self._opening)
        pairs = _pairs(units, sequences)
        whole = [sequences[row] for _, row in pairs]
        for indices in batches(whole, self.batch_tokens, one_length=True):
            which, rows = (list(part) for part in zip(*(pairs[i] for i in indices), strict=True))
            logits = logits_after(self.loaded, openings, which, [whole[i] for i in indices])
            scores[which, rows] = score_in_parts(score, logits, rows)

    def _rows(
        self, units: Tensor, sequences: Sequence[Sequence[int]], score: RowScore, scores: Tensor
    ) -> None:
        pairs = _pairs(units, sequences)
        whole = [sequences[row] for _, row in pairs]
        for indices in prompt_batches(self.loaded, whole, self.batch_tokens):
            which, rows = (list(part) for part in zip(*(pairs[i] for i in indices), strict=True))
            with ablate_rows(self.loaded.model, units[which], stream=self.loaded.stream):
                logits = self.loaded.last_logits([whole[i] for i in indices])
            scores[which, rows] = score_in_parts(score, logits, rows)

    def _alone(
        self, unit: Tensor, sequences: Sequence[Sequence[int]], score: RowScore, scores: Tensor
    ) -> None:
        with ablate(self.loaded.model, unit, stream=self.loaded.stream):
            for rows in prompt_batches(self.loaded, sequences, self.batch_tokens):
                logits = self.loaded.last_logits([sequences[row] for row in rows])
                scores[rows] = score_in_parts(score, logits, rows)


def _pairs(units: Tensor, sequences: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Return every (number of a direction, number of a prompt)."""
    return [(unit, row) for unit in range(len(units)) for row in range(len(sequences))]


def score_in_parts(score: RowScore, logits: Tensor, rows: list[int]) -> Tensor:
    """Score the rows of one batch a few at a time, so that float64 logits take little memory.

    Returns:
        (rows,) on the CPU, in the order of `rows`.
    """
    parts = [
        score(wide(logits[start : start + WIDE_ROWS]), rows[start : start + WIDE_ROWS]).cpu()
        for start in range(0, len(rows), WIDE_ROWS)
    ]
    return torch.cat(parts)
