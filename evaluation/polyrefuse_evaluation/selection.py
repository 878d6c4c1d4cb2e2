"""Select one refusal direction among the candidates (Arditi et al. 2024, section 2.3, appendix C).

bypass: mean refusal score on harmful prompts with the direction ablated (lower is better); induce:
mean score on harmless prompts with it added at its layer; kl: mean KL(base || ablated) at the last
position on harmless prompts. The rules here know only a scorer, so they can be tested on tables.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

Candidate = tuple[int, int]
"""(position, layer): position negative from the end, layer in [0, L)."""

KL_LIMIT = 0.1
WIDE_KL_LIMIT = 0.2
LATE_LAYERS = 0.8


@dataclass(frozen=True)
class Scores:
    """Scores of one candidate; None where lazy selection never needed them."""

    position: int
    layer: int
    bypass: float
    induce: float | None = None
    kl: float | None = None


Score = Callable[[Sequence[Candidate]], list[float]]


@dataclass(frozen=True)
class Scorer:
    """How to score candidates, several at a time; each runs the model over validation prompts."""

    bypass: Score
    induce: Score
    kl: Score


@dataclass(frozen=True)
class Rung:
    """One rung of the ladder of filters; the first is the published procedure."""

    name: str
    kl_limit: float
    needs_induce: bool

    def passes(self, kl: float, induce: float) -> bool:
        """Whether a candidate with these scores passes; NaN in either never does."""
        if math.isnan(induce):
            return False
        return kl <= self.kl_limit and (not self.needs_induce or induce >= 0)


RUNGS = (
    Rung("published", KL_LIMIT, True),
    Rung("kl_0.2", WIDE_KL_LIMIT, True),
    Rung("no_induce_filter", WIDE_KL_LIMIT, False),
)
NO_DIRECTION = "no_direction"


@dataclass(frozen=True)
class Selection:
    """The selected candidate, or none.

    Attributes:
        winner: its scores; None if nothing passed even the last rung.
        rung: name of the filters that it passed, or ``no_direction``.
        scores: every candidate scored, in the order of (layer, position).
        passes: number of scorer calls of each kind that were made.
    """

    winner: Scores | None
    rung: str
    scores: tuple[Scores, ...]
    passes: dict[str, int]


def eligible(candidates: list[Candidate], layers: int) -> list[Candidate]:
    """Drop the late layers: keep l < int(0.8 L). Sorted by (layer, position)."""
    limit = int(LATE_LAYERS * layers)
    return [candidate for candidate in _in_order(candidates) if candidate[1] < limit]


def select_full(candidates: list[Candidate], layers: int, scorer: Scorer) -> Selection:
    """Score every candidate in full, then filter: the published order, for plots and checks.

    Late layers are scored too, and never win.
    """
    everything = _in_order(candidates)
    columns = (f(everything) for f in (scorer.bypass, scorer.induce, scorer.kl))
    scores = {
        candidate: Scores(*candidate, *row)
        for candidate, *row in zip(everything, *columns, strict=True)
    }
    passes = dict.fromkeys(("bypass", "induce", "kl"), len(everything))
    ranked = _ranked([scores[candidate] for candidate in eligible(candidates, layers)])
    for rung in RUNGS:
        for score in ranked:
            assert score.kl is not None
            assert score.induce is not None
            if rung.passes(score.kl, score.induce):
                return Selection(score, rung.name, tuple(scores.values()), passes)
    return Selection(None, NO_DIRECTION, tuple(scores.values()), passes)


def select_lazy(candidates: list[Candidate], layers: int, scorer: Scorer) -> Selection:
    """Pick the same winner as `select_full` with fewer passes.

    Bypass is scored for all that can win; KL and induce only while walking down the ranking, until
    one passes.
    """
    possible = eligible(candidates, layers)
    scores = {
        candidate: Scores(*candidate, bypass)
        for candidate, bypass in zip(possible, scorer.bypass(possible), strict=True)
    }
    passes = {"bypass": len(scores), "induce": 0, "kl": 0}

    def kl(candidate: Candidate) -> float:
        known = scores[candidate].kl
        if known is None:
            [known] = scorer.kl([candidate])
            scores[candidate] = replace(scores[candidate], kl=known)
            passes["kl"] += 1
        return known

    def induce(candidate: Candidate) -> float:
        known = scores[candidate].induce
        if known is None:
            [known] = scorer.induce([candidate])
            scores[candidate] = replace(scores[candidate], induce=known)
            passes["induce"] += 1
        return known

    ranking = [(s.position, s.layer) for s in _ranked(list(scores.values()))]
    for rung in RUNGS:
        for candidate in ranking:
            if kl(candidate) <= rung.kl_limit and rung.passes(kl(candidate), induce(candidate)):
                return Selection(scores[candidate], rung.name, tuple(scores.values()), passes)
    return Selection(None, NO_DIRECTION, tuple(scores.values()), passes)


def _in_order(candidates: list[Candidate]) -> list[Candidate]:
    return sorted(candidates, key=lambda candidate: (candidate[1], candidate[0]))


def _ranked(scores: list[Scores]) -> list[Scores]:
    """Lowest bypass first, ties by (layer, position); NaN discarded."""
    finite = [s for s in scores if math.isfinite(s.bypass)]
    return sorted(finite, key=lambda s: (s.bypass, s.layer, s.position))
