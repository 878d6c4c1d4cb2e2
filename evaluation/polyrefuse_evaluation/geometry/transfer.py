"""Answers under every intervention: one ablated generation a source over all target prompts.

Ablation is tried on harmful prompts and addition on harmless ones. Batches go through the run
directory like those of `evaluate`: whole or done again. This and extract.py meet the model.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from polyrefuse.observing import Part, expect
from polyrefuse.prompts import Prompt
from polyrefuse.results import BASELINE
from polyrefuse_evaluation.ablation import ablate, add
from polyrefuse_evaluation.answering import keep_batch, require_context
from polyrefuse_evaluation.decoding import keep_halvings
from polyrefuse_evaluation.generation import generate, plan_batches
from polyrefuse_evaluation.geometry.groups import HARMFUL, HARMLESS, Array
from polyrefuse_evaluation.geometry.options import GeometryOptions
from polyrefuse_evaluation.geometry.places import Places
from polyrefuse_evaluation.geometry.prompts import GeometryPrompts
from polyrefuse_evaluation.judges import RegisteredJudge
from polyrefuse_evaluation.models import LoadedModel
from polyrefuse_evaluation.packed_linear import packed_linears
from polyrefuse_evaluation.progress import progress_bar
from polyrefuse_evaluation.run_directory import JUDGEMENTS, JudgementRecord, RunDirectory
from polyrefuse_evaluation.select_directions import render_rows

ABLATE, ADD = "ablate", "add"
RANDOM, NO_HARM, SHARED = "random", "harmless", "shared"


@dataclass(frozen=True)
class Intervention:
    """One intervention and the prompts it is tried on.

    Attributes:
        name: ``baseline``, ``ablate:SOURCE`` or ``add:SOURCE``.
        label: ``harmful`` or ``harmless``.
        vector: (hidden,) or an orthonormal basis (k, hidden); None at baseline.
        layer: where it is added; None where it is ablated.
    """

    name: str
    label: str
    vector: Tensor | None = None
    layer: int | None = None

    def on(self, loaded: LoadedModel) -> AbstractContextManager[nn.Module]:
        """Return the context in which the model is under this intervention."""
        if self.vector is None:
            return nullcontext(loaded.model)
        if self.layer is None:
            return ablate(loaded.model, self.vector, stream=loaded.stream)
        return add(loaded.model, self.vector, self.layer, stream=loaded.stream)


def plan_interventions(
    differences: Mapping[str, Array],
    controls: Mapping[str, Array],
    shared: Mapping[str, Array],
    places: Places,
) -> list[Intervention]:
    """Return every intervention of a run, in order.

    What a control adds is as long as the reference language's difference, or as the first
    source's, so that induced refusal is compared at equal strength.

    Args:
        differences: by source language, its difference in means (hidden,) at its own place.
        controls: by name, unit vectors.
        shared: by name, orthonormal bases (k, hidden) of the shared directions.
        places: where each is added.
    """
    strength = float(np.linalg.norm(differences[places.leader or next(iter(differences))]))
    ablated = {**differences, **controls, **shared}
    added = {name: (vector, places.of[name].layer) for name, vector in differences.items()}
    for name, vector in controls.items():
        added[name] = (strength * vector, places.reference.layer)
    return [
        Intervention(BASELINE, HARMFUL),
        *(
            Intervention(f"{ABLATE}:{name}", HARMFUL, _tensor(vector))
            for name, vector in ablated.items()
            if np.linalg.norm(vector) > 0
        ),
        Intervention(BASELINE, HARMLESS),
        *(
            Intervention(f"{ADD}:{name}", HARMLESS, _tensor(vector), layer)
            for name, (vector, layer) in added.items()
        ),
    ]


def _tensor(vector: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(vector)).float()


@dataclass(frozen=True)
class _Batch:
    number: int
    rows: list[Prompt]
    sequences: list[list[int]]


def answer_interventions(
    loaded: LoadedModel,
    prompts: GeometryPrompts,
    interventions: Sequence[Intervention],
    judge: RegisteredJudge,
    run: RunDirectory,
    options: GeometryOptions,
) -> list[JudgementRecord]:
    """Answer the test prompts of every target under every intervention; return all judgements.

    Raises:
        ModelError: a prompt does not fit the model's context.
        RunDirectoryError: the records cannot be written.
    """
    plans = list(_plan(loaded, prompts, interventions, options))
    sizes = [len(batch.rows) for _, batches in plans for batch in batches]
    whole = run.recover(sizes, 1)
    missing = sum(size for number, size in enumerate(sizes) if number not in whole)
    expect(_parts(plans, whole))
    with progress_bar("Answering", missing) as advance:
        for intervention, batches in plans:
            left = [batch for batch in batches if batch.number not in whole]
            if not left:
                continue
            with intervention.on(loaded), packed_linears(loaded.model):
                for batch in left:
                    answers = generate(loaded, batch.sequences, options.max_new_tokens)
                    keep_halvings(run, loaded)
                    keep_batch(
                        run,
                        intervention.name,
                        batch.number,
                        batch.rows,
                        answers,
                        [judge],
                        options.store_completions,
                    )
                    advance(len(batch.rows))
    if whole != set(range(len(whole))):
        run.recover(sizes, 1)  # brings the records into the order of the plan
    return sorted(run.read(JUDGEMENTS, JudgementRecord), key=lambda row: row.batch)


def _parts(
    plans: Sequence[tuple[Intervention, list[_Batch]]], whole: Set[int]
) -> dict[Part, tuple[int, int]]:
    """Return how many answers of each intervention and language are made, and are to be made."""
    total: Counter[Part] = Counter()
    done: Counter[Part] = Counter()
    for intervention, batches in plans:
        for batch in batches:
            parts = Counter((intervention.name, row.language) for row in batch.rows)
            total.update(parts)
            done.update(parts if batch.number in whole else ())
    return {part: (done[part], number) for part, number in total.items()}


def _plan(
    loaded: LoadedModel,
    prompts: GeometryPrompts,
    interventions: Sequence[Intervention],
    options: GeometryOptions,
) -> Iterator[tuple[Intervention, list[_Batch]]]:
    """Yield each intervention with its batches, numbered through the run."""
    plans: dict[str, list[tuple[list[Prompt], list[list[int]]]]] = {}
    for label in (HARMFUL, HARMLESS):
        rows = [row for x in prompts.analysed for row in prompts.sets.get(x, "test", label)]
        sequences = render_rows(loaded, rows)
        require_context(loaded, rows, sequences, options.max_new_tokens)
        plans[label] = [
            ([rows[i] for i in indices], [sequences[i] for i in indices])
            for indices in plan_batches(sequences, options.batch_tokens, options.max_new_tokens)
        ]
    number = 0
    for intervention in interventions:
        batches = []
        for rows, sequences in plans[intervention.label]:
            batches.append(_Batch(number, rows, sequences))
            number += 1
        yield intervention, batches
