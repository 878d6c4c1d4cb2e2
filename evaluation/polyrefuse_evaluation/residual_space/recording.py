"""Both sides' activations and answers for the same prompts, on disk, one layer in memory at a time.

A side's activations lie in ``base/`` and ``tuned/`` of the run directory (geometry's memory-mapped
store, one file a language), its verdicts in ``tables/answers-<side>-<language>.parquet``: labels
only, never a completion. What is there is not done again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from polyrefuse.outcomes import Outcome
from polyrefuse.prompts import LABELS, Prompt
from polyrefuse_evaluation.activations import batches, record
from polyrefuse_evaluation.generation import Completion, generate, plan_batches
from polyrefuse_evaluation.geometry.store import ActivationStore, Batch
from polyrefuse_evaluation.geometry.tables import FOLDER, read_table, write_table
from polyrefuse_evaluation.judges import RegisteredJudge
from polyrefuse_evaluation.judges.types import JudgeInput
from polyrefuse_evaluation.models import LoadedModel
from polyrefuse_evaluation.packed_linear import packed_linears
from polyrefuse_evaluation.progress import progress_bar
from polyrefuse_evaluation.prompt_sets import PromptSets
from polyrefuse_evaluation.residual_space.kept_answers import KeptAnswer, KeptAnswers
from polyrefuse_evaluation.residual_space.pair import SIDES, CheckpointPair, Side
from polyrefuse_evaluation.run_directory import RunDirectory

WHOLE = "all"
TEMPLATE = "chat_template.jinja"
LAST = -1


@dataclass(frozen=True)
class AnswerRow:
    """The verdict on one answer; `refused` is null where the judge gave no verdict."""

    side: str
    language: str
    id: str
    label: str
    split: str
    outcome: str
    refused: bool | None
    tokens: int


def used_prompts(sets: PromptSets) -> list[Prompt]:
    """Return train and test prompts by language, split and label: rows of all tables, in order."""
    return [
        row
        for language in sets.languages
        for split in ("train", "test")
        for label in LABELS
        for row in sets.get(language, split, label)
    ]


@dataclass(frozen=True)
class Recording:
    """What both sides did with the same prompts.

    Attributes:
        rows: the prompts.
        stores: activations by side.
        refused: by side, boolean (n,): whether the answer was a refusal.
        judged: by side, boolean (n,): whether the judge gave a verdict.
        layers: number of block inputs.
    """

    rows: tuple[Prompt, ...]
    stores: dict[Side, ActivationStore]
    refused: dict[Side, NDArray[np.bool_]]
    judged: dict[Side, NDArray[np.bool_]]
    layers: int

    @property
    def languages(self) -> list[str]:
        """Languages in the order of the rows."""
        return list(dict.fromkeys(row.language for row in self.rows))

    def of(self, side: Side, layer: int) -> Tensor:
        """Return last-position activations (n, hidden) of one block input, float32."""
        store = self.stores[side]
        parts = [store.read(language, WHOLE, LAST, layer) for language in self.languages]
        return torch.from_numpy(np.concatenate(parts))

    def split(self, name: str) -> NDArray[np.bool_]:
        """Return boolean (n,): rows of one split."""
        return np.array([row.split == name for row in self.rows])


def record_pair(
    pair: CheckpointPair,
    sets: PromptSets,
    judge: RegisteredJudge,
    run: RunDirectory,
    *,
    batch_tokens: int,
    max_new_tokens: int,
) -> Recording:
    """Record both sides, the base first; a side that is whole on disk is not loaded.

    Raises:
        ModelError: a side cannot be loaded or gives activations that are not finite.
        RunDirectoryError: the run directory cannot be written.
    """
    template = run.path / TEMPLATE
    run.write_text(TEMPLATE, str(pair.tokenizer.chat_template))
    rows = used_prompts(sets)
    stores = {
        side: ActivationStore(run.path / side, [LAST], pair.layers, pair.hidden) for side in SIDES
    }
    answers: dict[Side, list[AnswerRow]] = {}
    known = KeptAnswers(run)
    for side in SIDES:
        missing = [
            language
            for language in sets.languages
            if not _whole(run, stores[side], side, language, _of_language(rows, language))
        ]
        if missing:
            with (
                pair.load(side, template) as loaded,
                progress_bar(
                    f"Recording the {side} model", sum(row.language in missing for row in rows)
                ) as advance,
            ):
                for language in missing:
                    chosen = _of_language(rows, language)
                    if not stores[side].has(language, WHOLE, len(chosen)):
                        _record(loaded, pair, chosen, stores[side], language, batch_tokens)
                        run.require_inputs()
                    verdicts = answer_rows(
                        loaded,
                        side,
                        chosen,
                        pair.render(chosen),
                        judge,
                        batch_tokens,
                        max_new_tokens,
                        known=known,
                        stage=f"{side} {language}",
                    )
                    write_table(run.path, _name(side, language), AnswerRow, verdicts)
                    advance(len(chosen))
        answers[side] = [
            row
            for language in sets.languages
            for row in read_table(run.path, _name(side, language), AnswerRow)
        ]
    return Recording(
        tuple(rows),
        stores,
        {side: np.array([bool(row.refused) for row in answers[side]]) for side in SIDES},
        {side: np.array([row.refused is not None for row in answers[side]]) for side in SIDES},
        pair.layers,
    )


def _of_language(rows: Sequence[Prompt], language: str) -> list[Prompt]:
    return [row for row in rows if row.language == language]


def _name(side: str, language: str) -> str:
    return f"answers-{side}-{language}"


def _whole(
    run: RunDirectory, store: ActivationStore, side: str, language: str, rows: Sequence[Prompt]
) -> bool:
    table = run.path / FOLDER / f"{_name(side, language)}.parquet"
    return store.has(language, WHOLE, len(rows)) and table.is_file()


def _record(
    loaded: LoadedModel,
    pair: CheckpointPair,
    rows: Sequence[Prompt],
    store: ActivationStore,
    language: str,
    batch_tokens: int,
) -> None:
    sequences = pair.render(rows)

    def recorded() -> Iterator[Batch]:
        for indices in batches(sequences, batch_tokens):
            activations, _ = record(loaded, [sequences[index] for index in indices])
            last = activations[:, LAST:].numpy()
            yield indices, np.ascontiguousarray(last, dtype=np.float32)

    store.write(language, WHOLE, len(rows), recorded())


def answer_rows(
    loaded: LoadedModel,
    side: str,
    rows: Sequence[Prompt],
    sequences: Sequence[Sequence[int]],
    judge: RegisteredJudge,
    batch_tokens: int,
    max_new_tokens: int,
    *,
    known: KeptAnswers,
    stage: str,
) -> list[AnswerRow]:
    """Return the verdicts on greedy answers to rendered prompts; the answers are not kept.

    Args:
        loaded: the model, under an intervention or not.
        side: name of the column `side`.
        rows: the prompts.
        sequences: their token ids, which may lack tokens that were deleted.
        judge: judge of the answers.
        batch_tokens: padded tokens a batch.
        max_new_tokens: limit on an answer.
        known: verdicts that are there already, and where new ones are kept.
        stage: name of these answers among those of the run.
    """
    verdicts: dict[int, AnswerRow] = {}
    with packed_linears(loaded.model):
        for indices in plan_batches(sequences, batch_tokens, max_new_tokens):
            found = known.get(stage, indices)
            if found is None:
                answers = generate(loaded, [sequences[index] for index in indices], max_new_tokens)
                found = _judged(stage, rows, indices, answers, judge)
                known.keep(found)
            for index, answer in zip(indices, found, strict=True):
                row, outcome = rows[index], answer.outcome or Outcome.UNPARSED
                refused = None if outcome is Outcome.UNPARSED else outcome is Outcome.REFUSED
                about = (side, row.language, row.id, row.label, row.split)
                verdicts[index] = AnswerRow(*about, str(outcome.value), refused, answer.length)
    return [verdicts[index] for index in range(len(rows))]


def _judged(
    stage: str,
    rows: Sequence[Prompt],
    indices: Sequence[int],
    answers: Sequence[Completion],
    judge: RegisteredJudge,
) -> list[KeptAnswer]:
    inputs = [
        JudgeInput(rows[index].language, answer.text, rows[index].prompt, rows[index].prompt_en)
        for index, answer in zip(indices, answers, strict=True)
    ]
    return [
        KeptAnswer(stage=stage, index=index, outcome=verdict.outcome, length=len(answer.tokens))
        for index, answer, verdict in zip(indices, answers, judge.judge(inputs), strict=True)
    ]
