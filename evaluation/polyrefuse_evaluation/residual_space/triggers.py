"""Trigger tokens: does refusal hang on the few tokens that are most relevant for the dominant one?

A fixed number of them is deleted from each refused harmful prompt, once, against deleting as many
at random. This measures how robust the representation of refusal is: there is no search, nothing is
rewritten, no altered prompt is kept, and only rates and tests come out.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import wilcoxon
from torch import Tensor

from polyrefuse.prompts import Prompt
from polyrefuse_evaluation.activations import batches, record
from polyrefuse_evaluation.judges import RegisteredJudge
from polyrefuse_evaluation.models import LoadedModel
from polyrefuse_evaluation.residual_space.dynamics import PromptTokens
from polyrefuse_evaluation.residual_space.kept_answers import KeptAnswers
from polyrefuse_evaluation.residual_space.recording import LAST, answer_rows
from polyrefuse_evaluation.residual_space.rows import TriggerRow
from polyrefuse_evaluation.statistics import count_pairs, mcnemar_exact


@dataclass(frozen=True)
class Deletion:
    """The same prompt whole, without its most relevant tokens, and without as many at random."""

    whole: list[int]
    relevant: list[int]
    random: list[int]


def top_tokens(tokens: PromptTokens, count: int) -> list[int]:
    """Return the positions of the user's tokens with the highest relevance, highest first."""
    user = list(tokens.user)
    order = tokens.relevance[user].argsort(descending=True, stable=True).tolist()
    return [user[index] for index in order[:count]]


def plan_deletions(
    sequences: Sequence[Sequence[int]], tokens: Sequence[PromptTokens], count: int, seed: int
) -> list[Deletion | None]:
    """Return what to delete of each prompt; None where it has too few tokens to choose from.

    Args:
        sequences: rendered prompts.
        tokens: their relevance.
        count: tokens to delete of each.
        seed: of the random ones, which may be relevant ones too.
    """
    random = np.random.default_rng(seed)
    plans: list[Deletion | None] = []
    for sequence, prompt in zip(sequences, tokens, strict=True):
        user = list(prompt.user)
        if len(user) <= count:
            plans.append(None)
            continue
        drawn = set(random.choice(user, size=count, replace=False).tolist())
        relevant = set(top_tokens(prompt, count))
        plans.append(
            Deletion(
                list(sequence),
                [token for place, token in enumerate(sequence) if place not in relevant],
                [token for place, token in enumerate(sequence) if place not in drawn],
            )
        )
    return plans


@dataclass(frozen=True)
class _Measured:
    language: str
    projections: tuple[float, float, float]
    refused: tuple[bool, bool, bool]
    planted: bool | None


def measure_deletions(
    loaded: LoadedModel,
    rows: Sequence[Prompt],
    plans: Sequence[Deletion | None],
    planted: Sequence[bool | None],
    layer: int,
    direction: Tensor,
    judge: RegisteredJudge,
    *,
    deleted: int,
    batch_tokens: int,
    max_new_tokens: int,
    known: KeptAnswers,
) -> list[TriggerRow]:
    """Return what the deletions do, by language and for all.

    Args:
        loaded: the tuned model.
        rows: refused harmful prompts.
        plans: what is deleted of each.
        planted: whether the top token is the planted trigger word; None where nothing is planted.
        layer: block input of the dominant component.
        direction: the dominant component there, (hidden,).
        judge: judge of the answers.
        deleted: tokens deleted of each.
        batch_tokens: padded tokens a batch.
        max_new_tokens: limit on an answer.
        known: answers that are there already, and where new ones are kept.
    """
    chosen = [index for index, plan in enumerate(plans) if plan is not None]
    prompts = [rows[index] for index in chosen]
    versions: list[list[list[int]]] = [[], [], []]
    for index in chosen:
        plan = plans[index]
        assert plan is not None
        for version, tokens in zip(versions, (plan.whole, plan.relevant, plan.random), strict=True):
            version.append(tokens)
    projections = [
        _project(loaded, version, layer, direction, batch_tokens) for version in versions
    ]
    verdicts = [
        answer_rows(
            loaded,
            "tuned",
            prompts,
            version,
            judge,
            batch_tokens,
            max_new_tokens,
            known=known,
            stage=f"delete {name}",
        )
        for name, version in zip(("nothing", "relevant", "random"), versions, strict=True)
    ]
    groups: dict[str, list[_Measured]] = defaultdict(list)
    for place, index in enumerate(chosen):
        whole, relevant, drawn = (bool(answers[place].refused) for answers in verdicts)
        a, b, c = (float(values[place]) for values in projections)
        measured = _Measured(
            prompts[place].language, (a, b, c), (whole, relevant, drawn), planted[index]
        )
        groups["all"].append(measured)
        groups[measured.language].append(measured)
    return [_row(name, found, deleted) for name, found in groups.items()]


def _project(
    loaded: LoadedModel,
    sequences: Sequence[Sequence[int]],
    layer: int,
    direction: Tensor,
    batch_tokens: int,
) -> Tensor:
    values = torch.zeros(len(sequences), dtype=torch.float64)
    for indices in batches(sequences, batch_tokens):
        activations, _ = record(loaded, [sequences[index] for index in indices])
        values[indices] = activations[:, LAST, layer].double() @ direction.double().cpu()
    return values


def _row(language: str, found: Sequence[_Measured], deleted: int) -> TriggerRow:
    whole, relevant, drawn = np.array([item.projections for item in found]).T
    refused = np.array([item.refused for item in found])
    gaps = drawn - relevant
    p_projection = float(wilcoxon(gaps, alternative="greater").pvalue) if np.any(gaps != 0) else 1.0
    pairs = count_pairs(refused[:, 2].tolist(), refused[:, 1].tolist())
    planted = [item.planted for item in found if item.planted is not None]
    return TriggerRow(
        language,
        len(found),
        deleted,
        float(whole.mean()),
        float(relevant.mean()),
        float(drawn.mean()),
        p_projection,
        float(refused[:, 0].mean()),
        float(refused[:, 1].mean()),
        float(refused[:, 2].mean()),
        float(mcnemar_exact(pairs)),
        sum(planted) / len(planted) if planted else None,
    )
