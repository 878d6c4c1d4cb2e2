"""How well a projection predicts refusal on prompts it was not fitted on, against two controls.

Knows only numbers. Direction, sign and threshold come from the rows the components were fitted on;
accuracy and AUROC are of held-out rows. The permutation null shuffles the answers among prompts
within each language, all translations of one prompt alike, so that neither a language that refuses
less nor the kinship of translations counts as evidence.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor

PERMUTATIONS = 1000


@dataclass(frozen=True)
class Probe:
    """One projection as a predictor of refusal, on held-out rows.

    Attributes:
        accuracy: share of rows on the right side of the threshold, fraction in [0, 1].
        auroc: chance that a refused row lies above a complied one, fraction in [0, 1].
        null_low: 2.5th percentile of the AUROC under permutation.
        null_high: 97.5th percentile.
        p_value: share of permutations that are as far from 0.5, (1 + count) / (1 + permutations).
        refused: held-out rows that were refused.
        rows: held-out rows.
    """

    accuracy: float
    auroc: float
    null_low: float
    null_high: float
    p_value: float
    refused: int
    rows: int

    @property
    def within_null(self) -> bool:
        """Whether the AUROC lies in the 95% band of the permutations."""
        return self.null_low <= self.auroc <= self.null_high


@dataclass(frozen=True)
class LabelledScores:
    """Projections of some rows and what the model did there.

    Attributes:
        scores: (n,).
        refused: boolean (n,).
        prompts: id of each row's prompt, the same in every language.
        languages: language of each row.
    """

    scores: NDArray[np.float64]
    refused: NDArray[np.bool_]
    prompts: Sequence[str]
    languages: Sequence[str]


def auroc(scores: NDArray[np.float64], refused: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve; ties count half.

    Raises:
        ValueError: only one kind of row.
    """
    positives = int(refused.sum())
    negatives = len(refused) - positives
    if not positives or not negatives:
        raise ValueError("AUROC needs rows that were refused and rows that were not")
    ranks = rankdata(scores)
    return float((ranks[refused].sum() - positives * (positives + 1) / 2) / positives / negatives)


def best_threshold(
    scores: NDArray[np.float64], refused: NDArray[np.bool_]
) -> tuple[float, bool, float]:
    """Return (threshold, whether refusal lies above, accuracy) of the best cut of these rows."""
    order = np.argsort(scores, kind="stable")
    values, labels = scores[order], refused[order].astype(float)
    total = labels.sum()
    below = np.concatenate([[0.0], np.cumsum(labels)])
    count = np.arange(len(values) + 1)
    above_right = (total - below) + (count - below)  # refused above the cut, the rest below
    usable = np.ones(len(values) + 1, dtype=bool)
    usable[1:-1] = values[1:] > values[:-1]
    above_right = np.where(usable, above_right, -1.0)
    below_right = np.where(usable, len(values) - above_right, -1.0)
    above = bool(above_right.max() >= below_right.max())
    cut = int((above_right if above else below_right).argmax())
    edges = np.concatenate([[values[0] - 1], (values[1:] + values[:-1]) / 2, [values[-1] + 1]])
    best = above_right if above else below_right
    return float(edges[cut]), above, float(best[cut] / len(values))


def probe(
    fitted: LabelledScores,
    held_out: LabelledScores,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Probe:
    """Return how well scores predict refusal on held-out rows; sign and cut come from `fitted`.

    Raises:
        ValueError: one of the two has only one kind of row.
    """
    sign = 1.0 if auroc(fitted.scores, fitted.refused) >= 0.5 else -1.0
    threshold, above, _ = best_threshold(fitted.scores, fitted.refused)
    said = held_out.scores > threshold
    accuracy = float(((said if above else ~said) == held_out.refused).mean())
    area = auroc(sign * held_out.scores, held_out.refused)
    null = _permuted_areas(sign, held_out, permutations, seed)
    low, high = np.percentile(null, [2.5, 97.5])
    extreme = int((np.abs(null - 0.5) >= abs(area - 0.5) - 1e-12).sum())
    return Probe(
        accuracy,
        area,
        float(low),
        float(high),
        (1 + extreme) / (1 + permutations),
        int(held_out.refused.sum()),
        len(held_out.refused),
    )


def _permuted_areas(
    sign: float, rows: LabelledScores, permutations: int, seed: int
) -> NDArray[np.float64]:
    positives = int(rows.refused.sum())
    negatives = len(rows.refused) - positives
    ranks = rankdata(sign * rows.scores)
    orders = _orders(tuple(rows.prompts), tuple(rows.languages), permutations, seed)
    sums = rows.refused[orders].astype(np.float64) @ ranks
    return np.asarray((sums - positives * (positives + 1) / 2) / positives / negatives)


@lru_cache(maxsize=4)
def _orders(
    prompts: tuple[str, ...], languages: tuple[str, ...], permutations: int, seed: int
) -> NDArray[np.int64]:
    """Return orders of the rows, (permutations, n); every component is held against the same."""
    shuffle, random = _Shuffle(prompts, languages), np.random.default_rng(seed)
    return np.stack([shuffle(random) for _ in range(permutations)])


class _Shuffle:
    """Draws orders of rows: one order of the prompts, used in every language that has them."""

    def __init__(self, prompts: Sequence[str], languages: Sequence[str]) -> None:
        names = {name: index for index, name in enumerate(sorted(set(prompts)))}
        self.count = len(names)
        self.places: list[NDArray[np.int64]] = []
        self.ids: list[NDArray[np.int64]] = []
        by_language: dict[str, list[int]] = defaultdict(list)
        for row, language in enumerate(languages):
            by_language[language].append(row)
        for rows in by_language.values():
            self.places.append(np.array(sorted(rows, key=lambda row: prompts[row])))
            self.ids.append(np.array([names[prompts[row]] for row in self.places[-1]]))
        self.rows = len(prompts)

    def __call__(self, random: np.random.Generator) -> NDArray[np.int64]:
        keys = random.permutation(self.count)
        order = np.empty(self.rows, dtype=np.int64)
        for places, ids in zip(self.places, self.ids, strict=True):
            order[places] = places[np.argsort(keys[ids], kind="stable")]
        return order


def orthogonal_direction(leading: Tensor, seed: int) -> Tensor:
    """Return a random unit vector (hidden,) orthogonal to the rows of `leading`: the control.

    A plain random direction already separates, as it is never quite orthogonal to refusal.

    Raises:
        ValueError: the rows of `leading` leave no room.
    """
    count, hidden = leading.shape
    if count >= hidden:
        raise ValueError(f"{count} directions leave no room in {hidden} dimensions")
    generator = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(leading.double().T).Q
    vector = torch.randn(hidden, generator=generator, dtype=torch.float64)
    vector = vector - basis @ (basis.T @ vector)
    unit: Tensor = vector / vector.norm()
    return unit
