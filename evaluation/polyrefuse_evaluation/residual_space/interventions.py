"""What a component does: refusal, over-refusal and perplexity with it removed, per language.

Conditions: nothing removed; each leading component; the space of those above the null without the
dominant one; a random direction orthogonal to them (the control); and the dominant one by dose.
Aggregate rates only: no answer is kept.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from polyrefuse.prompts import Prompt
from polyrefuse_evaluation.activations import batches
from polyrefuse_evaluation.generation import generate, plan_batches
from polyrefuse_evaluation.judges import RegisteredJudge
from polyrefuse_evaluation.models import LoadedModel
from polyrefuse_evaluation.progress import progress_bar
from polyrefuse_evaluation.residual_space.components import Components
from polyrefuse_evaluation.residual_space.kept_answers import KeptAnswer, KeptAnswers
from polyrefuse_evaluation.residual_space.probes import orthogonal_direction
from polyrefuse_evaluation.residual_space.recording import AnswerRow, answer_rows
from polyrefuse_evaluation.residual_space.removal import remove
from polyrefuse_evaluation.residual_space.rows import EffectRow
from polyrefuse_evaluation.statistics import wilson_interval

DOSES = (0.25, 0.5, 0.75)
OWN = "own answers"
REMOVED = 3
"""Leading components that are removed one at a time."""


@dataclass(frozen=True)
class Removal:
    """One condition: its name, what is removed at each block input, and how much of it."""

    name: str
    directions: Mapping[int, Tensor]
    dose: float = 1.0


def plan_removals(
    components: Mapping[int, Components], real: Mapping[int, int], seed: int
) -> list[Removal]:
    """Return all conditions, the untouched model first.

    Args:
        components: components of each block input where the shift varies.
        real: how many of them are above the null, by block input.
        seed: of the control.
    """
    least = min(len(found.directions) for found in components.values())
    removals = [Removal("none", {})]
    for k in range(min(REMOVED, least)):
        own = {layer: found.directions[k] for layer, found in components.items()}
        removals.append(Removal(f"component-{k}", own))
    if least > 1:
        rest = {
            layer: found.directions[1 : max(2, real.get(layer, 0))]
            for layer, found in components.items()
        }
        removals.append(Removal("all-but-dominant", rest))
    control = {
        layer: orthogonal_direction(found.directions, seed) for layer, found in components.items()
    }
    removals.append(Removal("control", control))
    dominant = {layer: found.directions[0] for layer, found in components.items()}
    removals += [Removal("component-0", dominant, dose) for dose in DOSES]
    return removals


def measure_removals(
    loaded: LoadedModel,
    rows: Sequence[Prompt],
    sequences: Sequence[Sequence[int]],
    removals: Sequence[Removal],
    judge: RegisteredJudge,
    *,
    batch_tokens: int,
    max_new_tokens: int,
    known: KeptAnswers,
) -> list[EffectRow]:
    """Answer test prompts under each condition and return its effects by language and framing.

    Args:
        loaded: the tuned model.
        rows: test prompts, harmful and harmless.
        sequences: their token ids.
        removals: conditions, the untouched model first.
        judge: judge of the answers.
        batch_tokens: padded tokens a batch.
        max_new_tokens: limit on an answer.
        known: answers that are there already, and where new ones are kept.
    """
    texts = _own_answers(loaded, rows, sequences, batch_tokens, max_new_tokens, known)
    effects: list[EffectRow] = []
    before: dict[str, float] = {}
    with progress_bar("Removing components", len(removals)) as advance:
        for removal in removals:
            with remove(loaded.model, removal.directions, removal.dose):
                answers = answer_rows(
                    loaded,
                    "tuned",
                    rows,
                    sequences,
                    judge,
                    batch_tokens,
                    max_new_tokens,
                    known=known,
                    stage=f"remove {removal.name} {removal.dose}",
                )
                perplexities = perplexity(loaded, texts, batch_tokens)
            before = before or perplexities
            effects += _effects(removal, rows, answers, perplexities, before)
            advance(1)
    return effects


@dataclass(frozen=True)
class HarmlessText:
    """A harmless prompt with the tuned model's own answer: token ids, and where that begins."""

    language: str
    tokens: tuple[int, ...]
    start: int


def _own_answers(
    loaded: LoadedModel,
    rows: Sequence[Prompt],
    sequences: Sequence[Sequence[int]],
    batch_tokens: int,
    max_new_tokens: int,
    known: KeptAnswers,
) -> list[HarmlessText]:
    chosen = [index for index, row in enumerate(rows) if row.label == "harmless"]
    prompts = [sequences[index] for index in chosen]
    texts = []
    for batch in plan_batches(prompts, batch_tokens, max_new_tokens):
        found = known.get(OWN, batch)
        if found is None:
            answers = generate(loaded, [prompts[index] for index in batch], max_new_tokens)
            found = [
                KeptAnswer(
                    stage=OWN,
                    index=index,
                    outcome=None,
                    length=len(answer.tokens),
                    tokens=list(answer.tokens),
                )
                for index, answer in zip(batch, answers, strict=True)
            ]
            known.keep(found)
        for index, answer in zip(batch, found, strict=True):
            if answer.tokens:
                whole = (*prompts[index], *answer.tokens)
                language = rows[chosen[index]].language
                texts.append(HarmlessText(language, whole, len(prompts[index])))
    return texts


@torch.no_grad()
def perplexity(
    loaded: LoadedModel, texts: Sequence[HarmlessText], batch_tokens: int
) -> dict[str, float]:
    """Return the perplexity of answers by language, and of ``all``: exp of the mean loss a token.

    Only the answers' tokens count; the prompts are read.
    """
    losses: dict[str, list[float]] = defaultdict(list)
    for indices in batches([text.tokens for text in texts], batch_tokens):
        chosen = [texts[index] for index in indices]
        inputs = loaded.inputs([text.tokens for text in chosen])
        most = max(len(text.tokens) - text.start for text in chosen)
        logits = loaded.model(**inputs, use_cache=False, logits_to_keep=most + 1).logits
        for row, text in enumerate(chosen):
            length = len(text.tokens) - text.start
            wanted = torch.tensor(text.tokens[text.start :], device=logits.device)
            found = logits[row, -length - 1 : -1].float()
            loss = nn.functional.cross_entropy(found, wanted, reduction="none").tolist()
            losses[text.language] += loss
            losses["all"] += loss
    return {
        name: float(torch.tensor(values).double().mean().exp()) for name, values in losses.items()
    }


def _effects(
    removal: Removal,
    rows: Sequence[Prompt],
    answers: Sequence[AnswerRow],
    perplexities: Mapping[str, float],
    before: Mapping[str, float],
) -> Iterator[EffectRow]:
    groups: dict[tuple[str, str, str], list[AnswerRow]] = defaultdict(list)
    for row, answer in zip(rows, answers, strict=True):
        framings = {"all", row.source_category or "all"}
        for language in ("all", row.language):
            for framing in framings:
                groups[language, row.label, framing].append(answer)
    for (language, label, framing), found in sorted(groups.items()):
        judged = [answer for answer in found if answer.refused is not None]
        refused = sum(bool(answer.refused) for answer in judged)
        low, high = wilson_interval(refused, len(judged)) if judged else (None, None)
        own = perplexities.get(language) if label == "harmless" and framing == "all" else None
        yield EffectRow(
            removal.name,
            removal.dose,
            language,
            label,
            framing,
            refused,
            len(judged),
            refused / len(judged) if judged else None,
            low,
            high,
            own,
            None if own is None else own / before[language],
        )
