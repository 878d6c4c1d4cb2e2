"""Choices of a residual-space run, and what of them decides its figures."""

from dataclasses import asdict, dataclass
from typing import Any

from polyrefuse.errors import PolyRefuseError
from polyrefuse.reproducibility import require_seed
from polyrefuse_evaluation.residual_space.relevance_rules import RULES, Rule
from polyrefuse_evaluation.residual_space.shift import SHIFT_KINDS, ShiftKind


@dataclass(frozen=True)
class ResidualOptions:
    """Choices of a residual-space run.

    Attributes:
        languages: languages to use; all that the dataset has by default.
        shift: ``identity`` or ``ridge``.
        components: how many leading components are described.
        judge: judge of the answers.
        max_new_tokens: limit on an answer, in tokens; refusals show early.
        limit: most test prompts of each label and language.
        train_prompts: most train prompts of each label and language; components are fitted on them.
        seed: of everything that is drawn.
        batch_tokens: padded tokens a batch.
        resamples: bootstrap draws behind the bands of the effective rank.
        permutations: shuffles behind the null of a probe.
        relevance: whether relevance is propagated (components, tokens).
        rule: ``attnlrp`` or ``cp-lrp``.
        interventions: whether components are removed and the effect is measured.
        deletions: tokens deleted of each harmful prompt that is refused.
    """

    languages: str | None = None
    shift: ShiftKind = "identity"
    components: int = 6
    judge: str = "keyword"
    max_new_tokens: int = 64
    limit: int | None = None
    train_prompts: int = 128
    seed: int = 0
    batch_tokens: int = 16_384
    resamples: int = 100
    permutations: int = 1000
    relevance: bool = True
    rule: Rule = "attnlrp"
    interventions: bool = True
    deletions: int = 1

    def settings(self) -> dict[str, Any]:
        """Return what decides the figures; the steps that are left out can be done later."""
        return {
            name: value
            for name, value in asdict(self).items()
            if name not in ("batch_tokens", "relevance", "interventions")
        }


def require_sane(options: ResidualOptions) -> None:
    """Raise `PolyRefuseError` for a choice that cannot be used."""
    require_seed(options.seed)
    for name, value, least in (
        ("components", options.components, 1),
        ("max-new-tokens", options.max_new_tokens, 1),
        ("train-prompts", options.train_prompts, 1),
        ("batch-tokens", options.batch_tokens, 1),
        ("resamples", options.resamples, 2),
        ("permutations", options.permutations, 20),
        ("deletions", options.deletions, 1),
    ):
        if value < least:
            raise PolyRefuseError(f"--{name} is {value}.", f"It must be at least {least}.")
    for name, text, known in (
        ("shift", options.shift, SHIFT_KINDS),
        ("rule", options.rule, RULES),
    ):
        if text not in known:
            raise PolyRefuseError(f"--{name} is {text!r}.", f"Known: {', '.join(known)}.")
