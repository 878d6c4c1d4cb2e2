"""Difference in means of each language at one place, with what every group of prompts adds to it.

A place is a (position, layer). D = mean_harmful x - mean_harmless x (Arditi et al. 2024, section
2.3). Kept beside D is its influence Y: row g is what group g adds, so that a resample with weights
w has the difference D + w Y, and the noise in D has the covariance sum_g c y_g y_g^T. Knows arrays.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyrefuse_evaluation.geometry.groups import Array, Groups

Matrix = NDArray[np.floating]


@dataclass(frozen=True)
class LanguageSample:
    """Activations of one language at one place.

    Attributes:
        harmful: (n, hidden).
        harmless: (m, hidden).
        harmful_groups: (n,) group numbers.
        harmless_groups: (m,) group numbers.
    """

    harmful: Matrix
    harmless: Matrix
    harmful_groups: NDArray[np.intp]
    harmless_groups: NDArray[np.intp]

    @property
    def stacked(self) -> Matrix:
        """All activations, harmful first: (n + m, hidden)."""
        return np.concatenate([self.harmful, self.harmless])

    @property
    def is_harmful(self) -> NDArray[np.bool_]:
        """Boolean (n + m,), in the order of `stacked`."""
        return np.arange(len(self.harmful) + len(self.harmless)) < len(self.harmful)

    @property
    def groups(self) -> NDArray[np.intp]:
        """Group numbers (n + m,), in the order of `stacked`."""
        return np.concatenate([self.harmful_groups, self.harmless_groups])


@dataclass(frozen=True)
class Contrasts:
    """Differences in means of several languages at one place each.

    Attributes:
        differences: (languages, hidden), float64.
        influence: (languages, groups, hidden), float32; 0 where a language lacks a group.
        groups: what the rows of `influence` are.
    """

    differences: Array
    influence: NDArray[np.float32]
    groups: Groups

    def select(self, rows: Sequence[int]) -> "Contrasts":
        """Return the contrasts of some languages."""
        picked = list(rows)
        return Contrasts(self.differences[picked], self.influence[picked], self.groups)


def difference_in_means(sample: LanguageSample) -> Array:
    """Return mean_harmful - mean_harmless, shape (hidden,), float64."""
    harmful, harmless = sample.harmful, sample.harmless
    means = [np.asarray(x.mean(axis=0, dtype=np.float64)) for x in (harmful, harmless)]
    return np.asarray(means[0] - means[1])


def contrast(samples: Sequence[LanguageSample], groups: Groups) -> Contrasts:
    """Return the contrasts of languages at one place.

    Raises:
        ValueError: a language has fewer than two prompts of a label: nothing tells its noise.
    """
    hidden = samples[0].harmful.shape[1]
    influence = np.zeros((len(samples), groups.n, hidden), dtype=np.float32)
    for row, sample in enumerate(samples):
        for sign, values, members in (
            (1.0, sample.harmful, sample.harmful_groups),
            (-1.0, sample.harmless, sample.harmless_groups),
        ):
            if len(values) < 2:
                raise ValueError(f"a contrast needs 2 prompts of each label, not {len(values)}")
            centred = values - values.mean(axis=0, dtype=np.float64)
            influence[row, members] += (sign / len(values) * centred).astype(np.float32)
    differences = np.stack([difference_in_means(sample) for sample in samples])
    return Contrasts(differences, influence, groups)


def concatenate(parts: Sequence[Contrasts]) -> Contrasts:
    """Return contrasts at different places, side by side."""
    return Contrasts(
        np.concatenate([part.differences for part in parts]),
        np.concatenate([part.influence for part in parts]),
        parts[0].groups,
    )
