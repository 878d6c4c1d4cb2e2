"""Answer every test prompt under every condition, have it judged, keep each batch as it is done.

Batches are planned once from the prompts alone; a resumed run skips those that are whole on disk.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from torch import Tensor

from polyrefuse.errors import ModelError, RunDirectoryError
from polyrefuse.observing import Part, advance, expect
from polyrefuse.outcomes import Outcome
from polyrefuse.prompts import Prompt
from polyrefuse_evaluation.ablation import Method, ablate
from polyrefuse_evaluation.decoding import keep_halvings, plan_of_run
from polyrefuse_evaluation.directions import RefusalDirection
from polyrefuse_evaluation.generation import Completion, DecodingPlan, generate
from polyrefuse_evaluation.judge_answers import ask_failed_again, judge_answers
from polyrefuse_evaluation.judged import JudgedRow, small_rows
from polyrefuse_evaluation.judges import RegisteredJudge
from polyrefuse_evaluation.judges.broken import has_reasoning
from polyrefuse_evaluation.models import LoadedModel
from polyrefuse_evaluation.packed_linear import packed_linears
from polyrefuse_evaluation.progress import progress_bar
from polyrefuse_evaluation.run_directory import (
    COMPLETIONS,
    JUDGEMENTS,
    CompletionRecord,
    JudgementRecord,
    RunDirectory,
)
from polyrefuse_evaluation.select_directions import render_rows
from polyrefuse_evaluation.token_rows import TokenRows
from polyrefuse_evaluation.workers import Workers


@dataclass(frozen=True)
class Condition:
    """One condition: its name, and the direction that is ablated (None at baseline)."""

    name: str
    direction: Tensor | RefusalDirection | None


@dataclass(frozen=True)
class WorkItem:
    """One batch: its number in the run, its condition, and the prompts it answers."""

    batch: int
    condition: Condition
    indices: tuple[int, ...]


def plan_work(
    sequences: Sequence[Sequence[int]],
    conditions: Iterable[Condition],
    batch_tokens: int,
    max_new_tokens: int,
    plan: DecodingPlan,
) -> list[WorkItem]:
    """Return every batch of the run, condition by condition."""
    batches = plan.batches(sequences, batch_tokens, max_new_tokens)
    pairs = [(condition, indices) for condition in conditions for indices in batches]
    return [
        WorkItem(batch, condition, tuple(indices))
        for batch, (condition, indices) in enumerate(pairs)
    ]


def answer_all(
    loaded: LoadedModel,
    rows: Sequence[Prompt],
    conditions: Sequence[Condition],
    judges: Sequence[RegisteredJudge],
    run: RunDirectory,
    *,
    batch_tokens: int,
    max_new_tokens: int,
    method: Method,
    store_completions: bool,
    workers: Workers = Workers(),  # noqa: B008 - frozen
) -> None:
    """Answer `rows` under each condition and have the answers judged; all of it goes into `run`.

    Several processes each take every n-th batch. A batch is the same whoever answers it, so their
    number changes nothing but the time.

    Raises:
        ModelError: a prompt does not fit the model's context.
        RunDirectoryError: the records cannot be written.
    """
    sequences = TokenRows(render_rows(loaded, [row])[0] for row in rows)
    require_context(loaded, rows, sequences, max_new_tokens)
    plan = plan_of_run(run, loaded, sequences, max_new_tokens, len(conditions), workers)
    work = plan_work(sequences, conditions, batch_tokens, max_new_tokens, plan)
    sizes = [len(item.indices) for item in work]

    def resume() -> set[int]:
        whole = run.recover(sizes, len(judges))
        ask_failed_again(run, judges, rows)
        return whole

    whole = workers.on_lead(resume)
    expect(_parts(work, rows, whole) if workers.leads else {})
    mine = workers.share([item for item in work if item.batch not in whole])
    with progress_bar("Answering", sum(len(item.indices) for item in mine)) as step:
        for condition in conditions:
            items = [item for item in mine if item.condition is condition]
            if not items:
                continue
            with intervention(loaded, condition, method):
                for item in items:
                    chosen = [sequences[index] for index in item.indices]
                    answers = generate(loaded, chosen, max_new_tokens)
                    keep_halvings(run, loaded)
                    prompts = [rows[index] for index in item.indices]
                    keep_batch(
                        run,
                        condition.name,
                        item.batch,
                        prompts,
                        answers,
                        judges,
                        store_completions,
                    )
                    step(len(item.indices))
    workers.wait()
    if workers.world > 1 or whole != set(range(len(whole))):  # not in the order of the plan
        workers.on_lead(lambda: run.recover(sizes, len(judges)))


def _parts(
    work: Sequence[WorkItem], rows: Sequence[Prompt], whole: Set[int]
) -> dict[Part, tuple[int, int]]:
    """Return how many answers of each condition and language are made, and are to be made."""
    total: Counter[Part] = Counter()
    done: Counter[Part] = Counter()
    for item in work:
        parts = Counter((item.condition.name, rows[index].language) for index in item.indices)
        total.update(parts)
        done.update(parts if item.batch in whole else ())
    return {part: (done[part], number) for part, number in total.items()}


def read_judgements(run: RunDirectory, judges: Sequence[RegisteredJudge]) -> list[JudgedRow]:
    """Return all judgements of a run, by judge in their order, then by batch, in a small form.

    Raises:
        RunDirectoryError: one is of a judge that is none of `judges`.
    """
    order = [judge.name for judge in judges]
    batches: list[int] = []

    def noted() -> Iterator[JudgementRecord]:
        for row in run.scan(JUDGEMENTS, JudgementRecord):
            if row.judge not in order:
                raise RunDirectoryError(
                    f"{run.path / JUDGEMENTS}: holds a verdict of {row.judge!r}, which is no judge "
                    "of this run.",
                    "Start a new run directory with --out.",
                )
            batches.append(row.batch)
            yield row

    rows = list(small_rows(noted()))
    places = sorted(range(len(rows)), key=lambda at: (order.index(rows[at].judge), batches[at]))
    return [rows[at] for at in places]


@contextmanager
def intervention(loaded: LoadedModel, condition: Condition, method: Method) -> Iterator[None]:
    """Put the model under a condition, and what it computes into packed linear maps."""
    with ExitStack() as stack:
        if condition.direction is not None:
            ablated = ablate(loaded.model, condition.direction, method=method, stream=loaded.stream)
            stack.enter_context(ablated)
        stack.enter_context(packed_linears(loaded.model))  # after weights were projected
        yield


def require_context(
    loaded: LoadedModel,
    rows: Sequence[Prompt],
    sequences: Sequence[Sequence[int]],
    max_new_tokens: int,
) -> None:
    """Refuse a prompt that does not fit the model's context together with its answer.

    Raises:
        ModelError: names the prompt and how many new tokens would fit.
    """
    limit = loaded.context_length
    for row, sequence in zip(rows, sequences, strict=True):
        if limit is not None and len(sequence) + max_new_tokens > limit:
            room = limit - len(sequence)
            raise ModelError(
                f"{loaded.name}: prompt {row.id} ({row.language}) has {len(sequence)} tokens; with "
                f"{max_new_tokens} new ones that exceeds the model's context of {limit}.",
                f"Lower --max-new-tokens to {room}."
                if room > 0
                else "The prompt alone is too long: use a dataset without it, or --languages "
                "whose prompts fit.",
            )


def keep_batch(
    run: RunDirectory,
    condition: str,
    batch: int,
    prompts: Sequence[Prompt],
    answers: Sequence[Completion],
    judges: Sequence[RegisteredJudge],
    store_completions: bool,
) -> None:
    """Have the answers of a batch judged, and append them and the verdicts to the run.

    Raises:
        RunDirectoryError: they cannot be written, or model or prompts are no longer the run's.
    """
    completions = [
        CompletionRecord(
            condition=condition,
            language=row.language,
            label=row.label,
            id=row.id,
            batch=batch,
            completion=answer.text if store_completions else None,
            sha256=text_digest(answer.text),
            tokens=len(answer.tokens),
            finished=answer.finished,
        )
        for row, answer in zip(prompts, answers, strict=True)
    ]
    texts = [answer.text for answer in answers]
    judgements = judge_answers(
        judges, completions, texts, prompts, [has_reasoning(text) for text in texts]
    )
    failures = {
        (c.language, c.id): a.failure
        for c, a in zip(completions, answers, strict=True)
        if a.failure
    }
    run.require_inputs()
    run.append(COMPLETIONS, completions)
    run.append(JUDGEMENTS, [_unless_failed(row, failures) for row in judgements])
    for language, number in Counter(row.language for row in prompts).items():
        advance(number, condition=condition, language=language)


def _unless_failed(
    row: JudgementRecord, failures: Mapping[tuple[str, str], str]
) -> JudgementRecord:
    """Return the verdict, or where the model gave no answer at all, that there is none."""
    if (row.language, row.id) not in failures:
        return row
    missing = {"outcome": Outcome.UNPARSED, "score": None, "reason": failures[row.language, row.id]}
    return row.model_copy(update=missing)


def text_digest(text: str) -> str:
    """Return the sha256 of a completion's UTF-8 text (lone surrogates are replaced)."""
    return "sha256:" + hashlib.sha256(text.encode("utf-8", errors="replace")).hexdigest()
