"""Which prompts vary together, and how they are resampled.

One prompt in 14 languages is one thing drawn from the world, and so are a harmful prompt and its
harmless twin: they are drawn together or not at all. A group is a prompt id in all languages, or
two ids that name each other as twins. Knows ids only, no activations.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

HARMFUL, HARMLESS = "harmful", "harmless"


@dataclass(frozen=True)
class PromptKey:
    """What resampling needs to know of one prompt."""

    id: str
    label: str
    pair_id: str | None = None


@dataclass(frozen=True)
class Groups:
    """Groups of prompt ids, in strata of the same kind: twins, harmful alone, harmless alone.

    Attributes:
        index: prompt id -> number of its group.
        strata: numbers of the groups of each stratum; empty strata are left out.
    """

    index: Mapping[str, int]
    strata: tuple[Indices, ...]

    @property
    def n(self) -> int:
        """Number of groups."""
        return sum(len(stratum) for stratum in self.strata)

    def of(self, ids: Sequence[str]) -> Indices:
        """Return the group number of each id."""
        return np.array([self.index[key] for key in ids], dtype=np.intp)

    def draw(self, resamples: int, seed: int) -> Array:
        """Return how often each group is drawn: (resamples, groups), with replacement."""
        rng = np.random.default_rng([seed, 1])
        weights = np.zeros((resamples, self.n))
        for stratum in self.strata:
            share = np.full(len(stratum), 1 / len(stratum))
            weights[:, stratum] = rng.multinomial(len(stratum), share, size=resamples)
        return weights

    def draw_halves(self, resamples: int, seed: int) -> NDArray[np.bool_]:
        """Return which groups are in a random half: (resamples, groups), without duplicates.

        Each stratum is halved, the odd group left out.
        """
        rng = np.random.default_rng([seed, 2])
        chosen = np.zeros((resamples, self.n), dtype=bool)
        for stratum in self.strata:
            order = np.argsort(rng.random((resamples, len(stratum))), axis=1)
            picked = stratum[order[:, : len(stratum) // 2]]
            np.put_along_axis(chosen, picked, True, axis=1)
        return chosen


def group_prompts(prompts: Iterable[PromptKey]) -> Groups:
    """Group prompts of all languages by id, and twins with each other.

    Args:
        prompts: every prompt of every language; ids repeat across languages.
    """
    known = {row.id: row for row in prompts}
    twins = {
        row.id: row.pair_id
        for row in known.values()
        if row.label == HARMFUL
        and row.pair_id in known
        and known[row.pair_id].label == HARMLESS
        and known[row.pair_id].pair_id == row.id
    }
    index: dict[str, int] = {}
    kinds: dict[str, list[int]] = {"twins": [], HARMFUL: [], HARMLESS: []}
    number = 0
    for key in sorted(known):
        if key in index:
            continue
        harmful_twin = known[key].pair_id if known[key].label == HARMLESS else key
        kind = "twins" if harmful_twin in twins and _is_twin(key, twins) else known[key].label
        kinds[kind].append(number)
        index[key] = number
        if kind == "twins":
            index[str(known[key].pair_id)] = number
        number += 1
    strata = tuple(np.array(groups, dtype=np.intp) for groups in kinds.values() if groups)
    return Groups(index, strata)


def _is_twin(key: str, twins: Mapping[str, str | None]) -> bool:
    return key in twins or key in twins.values()
