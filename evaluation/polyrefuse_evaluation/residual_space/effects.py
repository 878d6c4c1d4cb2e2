"""What needs the tuned model a second time: relevance, trigger tokens and removals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch

from polyrefuse.prompts import Prompt
from polyrefuse_evaluation.judges import RegisteredJudge
from polyrefuse_evaluation.models import LoadedModel
from polyrefuse_evaluation.residual_space import rows
from polyrefuse_evaluation.residual_space.components import Components
from polyrefuse_evaluation.residual_space.dynamics import (
    PromptTokens,
    edge_rows,
    token_relevance,
)
from polyrefuse_evaluation.residual_space.interventions import measure_removals, plan_removals
from polyrefuse_evaluation.residual_space.kept_answers import KeptAnswers
from polyrefuse_evaluation.residual_space.options import ResidualOptions
from polyrefuse_evaluation.residual_space.pair import CheckpointPair
from polyrefuse_evaluation.residual_space.recording import TEMPLATE, Recording
from polyrefuse_evaluation.residual_space.triggers import (
    measure_deletions,
    plan_deletions,
    top_tokens,
)
from polyrefuse_evaluation.run_directory import RunDirectory

RELEVANCE = ("edges", "conservation", "tokens", "triggers")
"""Tables of what relevance gave."""

BROKEN, LONGEST = "\ufffd", 8
"""What a part of a character decodes to, and the most tokens that are put together."""

SHOWN_PROMPTS = 1
"""Prompts a language in the token heatmap."""


@dataclass
class Effects:
    """Rows of what relevance, deletions and removals gave, by table."""

    edges: list[rows.EdgeRow] = field(default_factory=list)
    conservation: list[rows.ConservationRow] = field(default_factory=list)
    tokens: list[rows.TokenRow] = field(default_factory=list)
    triggers: list[rows.TriggerRow] = field(default_factory=list)
    effects: list[rows.EffectRow] = field(default_factory=list)

    ROWS: ClassVar[dict[str, type]] = {
        "edges": rows.EdgeRow,
        "conservation": rows.ConservationRow,
        "tokens": rows.TokenRow,
        "triggers": rows.TriggerRow,
        "effects": rows.EffectRow,
    }


def measure_effects(
    pair: CheckpointPair,
    recording: Recording,
    components: dict[int, Components],
    real: dict[int, int],
    reference: int | None,
    judge: RegisteredJudge,
    run: RunDirectory,
    options: ResidualOptions,
    *,
    relevance: bool,
    interventions: bool,
    sample: bool,
    keep: Callable[[str, Sequence[Any]], None],
) -> Effects:
    """Load the tuned model and measure what is wanted.

    Args:
        pair: the checkpoints.
        recording: what both sides did.
        components: components of each block input where the shift varies.
        real: how many components are above the null, by block input.
        reference: block input of the dominant component; None where refusal cannot be predicted,
            which leaves trigger tokens out.
        judge: judge of the answers.
        run: the run directory.
        options: choices of the run.
        relevance: whether relevance is propagated.
        interventions: whether components are removed.
        sample: whether tokens of single prompts may be kept.
        keep: called with the name and the rows of each table as soon as it is whole.
    """
    effects = Effects()
    known = KeptAnswers(run)
    test = [index for index, row in enumerate(recording.rows) if row.split == "test"]
    prompts = [recording.rows[index] for index in test]
    sequences = pair.render(prompts)
    with pair.load("tuned", run.path / TEMPLATE) as loaded:
        if relevance:
            harmful = [i for i, row in enumerate(prompts) if row.label == "harmful"]
            effects.edges, effects.conservation = edge_rows(
                loaded,
                [sequences[i] for i in harmful],
                components,
                options.rule,
                options.batch_tokens,
            )
            refused = [i for i in harmful if recording.refused["tuned"][test[i]]]
            if refused and reference is not None:
                _triggers(
                    loaded,
                    [prompts[i] for i in refused],
                    [sequences[i] for i in refused],
                    components[reference],
                    reference,
                    judge,
                    options,
                    effects,
                    sample,
                    known,
                )
            for name in RELEVANCE:
                keep(name, getattr(effects, name))
        if interventions:
            effects.effects = measure_removals(
                loaded,
                prompts,
                sequences,
                plan_removals(components, real, options.seed),
                judge,
                batch_tokens=options.batch_tokens,
                max_new_tokens=options.max_new_tokens,
                known=known,
            )
            keep("effects", effects.effects)
    return effects


def _triggers(
    loaded: LoadedModel,
    prompts: list[Prompt],
    sequences: list[list[int]],
    found: Components,
    layer: int,
    judge: RegisteredJudge,
    options: ResidualOptions,
    effects: Effects,
    sample: bool,
    known: KeptAnswers,
) -> None:
    direction = found.directions[0].to(torch.float32)
    relevance, kept = token_relevance(
        loaded, sequences, layer, direction, options.rule, options.batch_tokens
    )
    effects.conservation.append(kept)
    planted = [
        is_trigger(loaded, row, sequence, tokens)
        for row, sequence, tokens in zip(prompts, sequences, relevance, strict=True)
    ]
    effects.triggers = measure_deletions(
        loaded,
        prompts,
        plan_deletions(sequences, relevance, options.deletions, options.seed),
        planted,
        layer,
        direction,
        judge,
        deleted=options.deletions,
        batch_tokens=options.batch_tokens,
        max_new_tokens=options.max_new_tokens,
        known=known,
    )
    if sample:
        effects.tokens = _token_rows(loaded, prompts, sequences, relevance)


def is_trigger(
    loaded: LoadedModel, row: Prompt, sequence: list[int], tokens: PromptTokens
) -> bool | None:
    """Return whether the top token is the planted trigger word; None for other prompts."""
    if row.source != "planted":
        return None
    from polyrefuse_evaluation.planted_residual_prompts import WORDS

    top = top_tokens(tokens, 1)
    text = str(loaded.tokenizer.decode([sequence[top[0]]])).strip() if top else ""
    return text == WORDS[row.language][0]


def _token_rows(
    loaded: LoadedModel,
    prompts: list[Prompt],
    sequences: list[list[int]],
    relevance: list[PromptTokens],
) -> list[rows.TokenRow]:
    """Return token rows of each language's refused prompt that is shortest in English."""
    found: list[rows.TokenRow] = []
    shown: dict[str, int] = {}
    order = sorted(
        zip(prompts, sequences, relevance, strict=True),
        key=lambda item: (len(item[0].prompt_en), item[0].id),
    )
    for row, sequence, tokens in order:
        if shown.setdefault(row.language, 0) == SHOWN_PROMPTS:
            continue
        shown[row.language] += 1
        for text, places in text_pieces(loaded.tokenizer, sequence):
            value = float(tokens.relevance[places.start : places.stop].sum())
            inside = places.start in tokens.user
            found.append(rows.TokenRow(row.id, row.language, places.start, text, value, inside))
    return found


def text_pieces(tokenizer: Any, sequence: Sequence[int]) -> list[tuple[str, range]]:
    """Return the shortest pieces of tokens that decode to whole characters, with their places.

    Byte-level tokens may hold a part of a character, which could not be shown.
    """
    pieces: list[tuple[str, range]] = []
    start = 0
    for stop in range(1, len(sequence) + 1):
        text = str(tokenizer.decode(list(sequence[start:stop])))
        if BROKEN not in text or stop - start == LONGEST or stop == len(sequence):
            pieces.append((text, range(start, stop)))
            start = stop
    return pieces
