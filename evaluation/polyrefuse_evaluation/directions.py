"""From activations to candidate refusal directions: difference in means.

A mutable fitter (streaming float64 means) yields frozen results. Knows only tensors.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class RefusalDirection:
    """One refusal direction.

    Attributes:
        vector: unit vector, shape (hidden,), float32.
        norm: length of the raw difference in means, in units of the residual stream.
        position: token position it was read at, negative, from the end of the templated prompt.
        layer: block at whose input it was read, in [0, L).
        language: ISO 639-1 code of the prompts it was fitted on.
    """

    vector: Tensor
    norm: float
    position: int
    layer: int
    language: str

    @property
    def raw(self) -> Tensor:
        """The difference in means itself, shape (hidden,)."""
        return self.vector.mul(self.norm)

    def to(self, device: torch.device | str) -> "RefusalDirection":
        """Return a copy on another device."""
        return RefusalDirection(
            self.vector.to(device), self.norm, self.position, self.layer, self.language
        )


@dataclass(frozen=True)
class CandidateDirections:
    """Difference in means at every post-instruction position and block input.

    Arditi et al. 2024, section 2.3: r[i, l] = mean_harmful x[i, l] - mean_harmless x[i, l].

    Attributes:
        differences: shape (positions, layers, hidden), float64; position index i stands for token
            position i - positions.
        language: ISO 639-1 code of the prompts.
        n_harmful: prompts behind the harmful mean.
        n_harmless: prompts behind the harmless mean.
    """

    differences: Tensor
    language: str
    n_harmful: int
    n_harmless: int

    @property
    def defined(self) -> Tensor:
        """Boolean (positions, layers): False where the difference is zero or not finite."""
        norms = self.differences.norm(dim=-1)
        usable: Tensor = torch.isfinite(norms) & (norms > 1e-9)
        return usable

    def direction(self, position: int, layer: int) -> RefusalDirection:
        """Return one candidate; `position` is negative, from the end.

        Raises:
            ValueError: the candidate is zero or not finite.
        """
        raw = self.differences[position, layer]
        norm = float(raw.norm())
        if not bool(self.defined[position, layer]):
            raise ValueError(f"candidate at position {position}, layer {layer} is undefined")
        return RefusalDirection((raw / norm).float(), norm, position, layer, self.language)


class DifferenceInMeansFitter:
    """Streams activations of harmful and harmless prompts into their means.

    Memory is O(positions * layers * hidden), whatever the number of prompts.
    """

    def __init__(self, language: str) -> None:
        self.language = language
        self._sums: dict[str, Tensor] = {}
        self._counts = {"harmful": 0, "harmless": 0}

    def update(self, label: str, activations: Tensor) -> None:
        """Add a batch of shape (n, positions, layers, hidden) of prompts with this label.

        Raises:
            ValueError: the label is neither ``harmful`` nor ``harmless``.
        """
        self.update_sum(label, activations.double().sum(dim=0), len(activations))

    def update_sum(self, label: str, total: Tensor, count: int) -> None:
        """Add `count` prompts with this label by their sum, (positions, layers, hidden), float64.

        Raises:
            ValueError: the label is neither ``harmful`` nor ``harmless``.
        """
        if label not in self._counts:
            raise ValueError(f"unknown label {label!r}: harmful or harmless")
        self._sums[label] = self._sums[label] + total if label in self._sums else total
        self._counts[label] += count

    def fit(self) -> CandidateDirections:
        """Return the differences of the means so far.

        Raises:
            ValueError: one of the two labels has no prompts.
        """
        for label, count in self._counts.items():
            if count == 0:
                raise ValueError(f"no {label} prompts for {self.language}")
        means = {label: self._sums[label] / self._counts[label] for label in self._counts}
        return CandidateDirections(
            means["harmful"] - means["harmless"],
            self.language,
            self._counts["harmful"],
            self._counts["harmless"],
        )


def random_direction(hidden_size: int, seed: int) -> Tensor:
    """Return a seeded random unit vector of shape (hidden,): the control for ablation."""
    generator = torch.Generator().manual_seed(seed)
    vector = torch.randn(hidden_size, generator=generator)
    unit: Tensor = vector / vector.norm()
    return unit
