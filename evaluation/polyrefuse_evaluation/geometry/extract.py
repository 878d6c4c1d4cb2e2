"""One forward pass per prompt, at all layers and the needed positions, into the activation store.

Every analysis reads what this wrote; nothing is recorded twice. This and transfer.py are the only
modules here that meet a model.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from polyrefuse.errors import ModelError
from polyrefuse.prompts import LABELS, Prompt
from polyrefuse_evaluation.activations import batches, record
from polyrefuse_evaluation.geometry.contrasts import LanguageSample
from polyrefuse_evaluation.geometry.groups import (
    HARMFUL,
    HARMLESS,
    Groups,
    PromptKey,
    group_prompts,
)
from polyrefuse_evaluation.geometry.prompts import SPLIT
from polyrefuse_evaluation.geometry.store import ActivationStore, Batch
from polyrefuse_evaluation.models import LoadedModel
from polyrefuse_evaluation.packed_linear import packed_linears
from polyrefuse_evaluation.progress import progress_bar
from polyrefuse_evaluation.prompt_sets import PromptSets
from polyrefuse_evaluation.select_directions import render_rows

BATCH_BYTES = 2**28
"""Most bytes that one batch's recorded activations may take."""


def extract(
    loaded: LoadedModel,
    sets: PromptSets,
    languages: Sequence[str],
    store: ActivationStore,
    batch_tokens: int,
) -> None:
    """Record the train prompts of `languages` into `store`; what is there is not done again.

    Raises:
        ModelError: an activation is not finite; names the layer and the prompt.
        RunDirectoryError: the store cannot be written.
    """
    work = [
        (language, label, rows)
        for language in languages
        for label in LABELS
        if not store.has(language, label, len(rows := sets.get(language, SPLIT, label)))
    ]
    if not work:
        return
    total = sum(len(rows) for _, _, rows in work)
    with packed_linears(loaded.model), progress_bar("Recording activations", total) as advance:
        for language, label, rows in work:
            done = _record_rows(loaded, rows, store, batch_tokens)
            store.write(language, label, len(rows), done)
            advance(len(rows))


def _record_rows(
    loaded: LoadedModel, rows: Sequence[Prompt], store: ActivationStore, batch_tokens: int
) -> Iterator[Batch]:
    sequences = render_rows(loaded, rows)
    span = len(loaded.chat.post_instruction)
    most = max(1, BATCH_BYTES // (8 * span * store.layers * store.hidden))
    kept = [position + span for position in store.positions]
    for planned in batches(sequences, batch_tokens):
        for start in range(0, len(planned), most):
            indices = planned[start : start + most]
            activations = _record(loaded, rows, sequences, indices)
            yield indices, np.ascontiguousarray(activations[:, kept].numpy(), dtype=np.float32)


def _record(
    loaded: LoadedModel,
    rows: Sequence[Prompt],
    sequences: Sequence[Sequence[int]],
    indices: Sequence[int],
) -> Tensor:
    """Record one batch; if it fails, find the prompt by which it does."""
    try:
        return record(loaded, [sequences[index] for index in indices])[0]
    except ModelError as error:
        for index in indices:
            try:
                record(loaded, [sequences[index]])
            except ModelError as alone:
                row = rows[index]
                raise ModelError(
                    f"prompt {row.id} ({row.language}): {alone.problem}", alone.remedy
                ) from error
        row = rows[indices[0]]
        raise ModelError(
            f"one of {len(indices)} prompts from {row.id} ({row.language}) on, and only in one "
            f"batch: {error.problem}",
            error.remedy,
        ) from error


@dataclass(frozen=True)
class Samples:
    """Reads the activations of a run, one place at a time.

    Attributes:
        store: the activations.
        languages: languages that are there.
        groups: groups of their prompts.
        members: (language, label) -> group number of each prompt.
        ids: (language, label) -> id of each prompt.
    """

    store: ActivationStore
    languages: tuple[str, ...]
    groups: Groups
    members: dict[tuple[str, str], np.ndarray]
    ids: dict[tuple[str, str], list[str]]

    def at(self, position: int, layer: int) -> list[LanguageSample]:
        """Return every language's activations at one place, in the order of `languages`."""
        return [
            LanguageSample(
                self.store.read(language, HARMFUL, position, layer),
                self.store.read(language, HARMLESS, position, layer),
                self.members[language, HARMFUL],
                self.members[language, HARMLESS],
            )
            for language in self.languages
        ]


def read_samples(sets: PromptSets, languages: Sequence[str], store: ActivationStore) -> Samples:
    """Return a reader of what `extract` wrote for these languages."""
    rows = {
        (language, str(label)): sets.get(language, SPLIT, label)
        for language in languages
        for label in LABELS
    }
    groups = group_prompts(
        PromptKey(row.id, row.label, row.pair_id) for found in rows.values() for row in found
    )
    ids = {key: [row.id for row in found] for key, found in rows.items()}
    members = {key: groups.of(found) for key, found in ids.items()}
    return Samples(store, tuple(languages), groups, members, ids)
