"""Made-up activations with a known answer, for the tests of geometry."""

from dataclasses import dataclass

import numpy as np

from polyrefuse_evaluation.geometry.contrasts import LanguageSample
from polyrefuse_evaluation.geometry.groups import Groups, PromptKey, group_prompts


@dataclass(frozen=True)
class World:
    """How languages' activations are made.

    Attributes:
        differences: true differences in means, (languages, hidden).
        n: prompts of each label.
        twins: whether harmful prompts have harmless twins that share half of their noise.
        shared: share of the noise that a prompt has in common in all languages.
        decay: how unequal the variances of the dimensions are; 0 for equal.
    """

    differences: np.ndarray
    n: int
    twins: bool = False
    shared: float = 0.5
    decay: float = 1.0

    def groups(self) -> Groups:
        return group_prompts(
            PromptKey(f"{label}-{i}", label, f"{other}-{i}" if self.twins else None)
            for label, other in (("harmful", "harmless"), ("harmless", "harmful"))
            for i in range(self.n)
        )

    def draw(self, rng: np.random.Generator) -> tuple[list[LanguageSample], Groups]:
        groups = self.groups()
        members = [groups.of([f"{x}-{i}" for i in range(self.n)]) for x in ("harmful", "harmless")]
        languages, hidden = self.differences.shape
        scale = np.arange(1, hidden + 1) ** (-self.decay / 2)
        scale /= np.sqrt((scale**2).sum())
        twin = rng.normal(size=(self.n, hidden))
        values = []
        for _ in members:
            common = rng.normal(size=(self.n, hidden))
            if self.twins:
                common = np.sqrt(0.5) * twin + np.sqrt(0.5) * common
            own = rng.normal(size=(languages, self.n, hidden))
            values.append((np.sqrt(self.shared) * common + np.sqrt(1 - self.shared) * own) * scale)
        values[0] = values[0] + self.differences[:, None]
        return [
            LanguageSample(values[0][k], values[1][k], *members) for k in range(languages)
        ], groups


def two_differences(cosine: float, hidden: int, signal: float, n: int) -> np.ndarray:
    """Return two vectors at this cosine, `signal` times as long as their noise squared."""
    rng = np.random.default_rng(1)
    first, other = np.linalg.qr(rng.normal(size=(hidden, 2)))[0].T
    pair = np.stack([first, cosine * first + np.sqrt(1 - cosine**2) * other])
    return pair * np.sqrt(signal * 2 / n)
