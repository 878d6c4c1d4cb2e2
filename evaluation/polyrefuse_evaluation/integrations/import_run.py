"""Make a run directory of another framework's log: completions, judgements, result.

Baseline only: nothing was ablated. The result says what the same model would have given under
`polyrefuse evaluate`, so everything that could make a difference is checked first: the prompts, all
of them and no others; the rendered text; the decoding (by the readers of the logs).
"""

from collections import Counter
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from pydantic import BaseModel

from polyrefuse.prompts import Prompt
from polyrefuse.results import BASELINE, JudgeRecord, Result, Settings
from polyrefuse_evaluation.answering import text_digest
from polyrefuse_evaluation.compose_result import compose_result, finish
from polyrefuse_evaluation.integrations.foreign_run import Answer, ForeignLogError, ForeignRun
from polyrefuse_evaluation.integrations.inspect_log import SUFFIXES, read_inspect_log
from polyrefuse_evaluation.integrations.lm_eval_log import read_lm_eval_log
from polyrefuse_evaluation.integrations.origin import Origin, endpoint_origin, weights_origin
from polyrefuse_evaluation.integrations.rows import read_test_prompts
from polyrefuse_evaluation.judge_answers import get_judges, judge_answers
from polyrefuse_evaluation.prompt_sets import PromptSets
from polyrefuse_evaluation.reasoning import has_reasoning
from polyrefuse_evaluation.records import judge_records
from polyrefuse_evaluation.run_directory import (
    COMPLETIONS,
    JUDGEMENTS,
    RESULT,
    CompletionRecord,
    JudgementRecord,
    RunDirectory,
    open_run_directory,
)

READERS: dict[str, Callable[[Path], ForeignRun]] = {
    "lm-eval": read_lm_eval_log,
    "inspect": read_inspect_log,
}


def import_run(
    log: str | Path,
    out: str | Path,
    *,
    source: str | None = None,
    dataset: str | Path | None = None,
    dataset_revision: str | None = None,
    model: str | None = None,
    judges: Sequence[str] = (),
    store_completions: bool = True,
    seed: int = 0,
) -> Result:
    """Make a run directory of a log of lm-evaluation-harness or Inspect.

    Args:
        log: results file of the harness, log of Inspect, or a folder that holds exactly one.
        out: run directory; importing the same log again writes the same.
        source: ``lm-eval`` or ``inspect``; told from the log's name by default.
        dataset: folder or Hub id of the prompts; the one that the log names by default.
        dataset_revision: its commit or tag.
        model: Hub id or folder to load in place of the one that the log names. The checkpoint is
            loaded to take its digest and to compare the rendered prompts; it answers nothing.
        judges: names of the judges; by default those that Inspect asked, or the keyword judge.
        store_completions: False keeps labels and hashes only.
        seed: of the bootstrap.

    Returns:
        The result, also written to ``result.json``.

    Raises:
        ForeignLogError: the log cannot be read, or is of a run that no result can be made of.
        PolyRefuseError: dataset, model or judge cannot be had; the directory is another run's.
    """
    run = _reader(Path(log), source)(Path(log))
    sets = _prompts_of(run, dataset, dataset_revision)
    origin = endpoint_origin(run, sets) if run.endpoint else weights_origin(run, sets, model)
    completions = _completions(run, sets, origin, store_completions)
    asked, judgements = _judgements(run, sets, completions, judges)
    settings = Settings(
        languages=sets.languages,
        source_languages=[],
        judges=asked,
        max_new_tokens=run.max_new_tokens,
        limit=sets.record.limit,
        seed=seed,
        train_prompts=None,
        full_scores=None,
        batch_tokens=None,
        store_completions=store_completions,
        ablation_method=None,
    )
    decides = {
        "imported_from": run.framework,
        "answers_digest": run.digest,
        "model": origin.model.name,
        "dataset_digest": sets.record.content_digest,
        "judges": [f"{judge.name} {judge.version}" for judge in asked],
        "store_completions": store_completions,
        "seed": seed,
        "polyrefuse": version("polyrefuse"),
    }
    with open_run_directory(Path(out), decides) as directory:
        _write(directory, COMPLETIONS, completions)
        _write(directory, JUDGEMENTS, judgements)
        result = compose_result(
            judgements,
            sets,
            seed,
            model=origin.model,
            settings=settings,
            proof=None,
            directions=[],
            endpoint=origin.endpoint,
            environment=origin.environment,
            wall_seconds=run.seconds,
        )
        directory.write_text(RESULT, result.model_dump_json(indent=2) + "\n")
        return finish(directory, result)


def _reader(log: Path, source: str | None) -> Callable[[Path], ForeignRun]:
    if source is None:
        folder = log.is_dir()
        harness = any(log.rglob("results_*.json")) if folder else log.name.startswith("results_")
        known = folder or log.suffix in SUFFIXES
        source = "lm-eval" if harness else "inspect" if known else None
    if source not in READERS:
        raise ForeignLogError(
            f"{log}: cannot be told to be a log of {' or '.join(READERS)}.",
            "Say which with --from.",
        )
    return READERS[source]


def _prompts_of(run: ForeignRun, dataset: str | Path | None, revision: str | None) -> PromptSets:
    """Return the prompts that were asked, as `polyrefuse evaluate` would have read them.

    Raises:
        ForeignLogError: prompts are missing, there twice, unknown, or of another text.
    """
    if dataset is None:
        dataset, revision = run.dataset, revision or run.dataset_revision
    full = read_test_prompts(dataset, revision=revision, languages=run.languages)
    known = {(row.language, row.id): row for row in full.test_prompts()}
    asked = Counter((answer.language, answer.id) for answer in run.answers)
    per_cell: Counter[tuple[str, str]] = Counter()
    for answer in run.answers:
        row = known.get((answer.language, answer.id))
        if row is None or row.prompt != answer.prompt:
            raise ForeignLogError(
                f"{run.name}: prompt {answer.id} ({answer.language}) is not in the dataset "
                f"{full.record.name}, or reads otherwise there.",
                "Name the dataset that was asked with --dataset.",
            )
        per_cell[answer.language, row.label] += 1
    limit = None if len(asked) == len(known) else max(per_cell.values())
    sets = read_test_prompts(dataset, revision=revision, languages=run.languages, limit=limit)
    wanted = Counter((row.language, row.id) for row in sets.test_prompts())
    wrong = sorted(((wanted - asked) + (asked - wanted)).keys())
    if wrong:
        language, id_ = wrong[0]
        raise ForeignLogError(
            f"{run.name}: is not of all prompts, or of the first of each label, once each: prompt "
            f"{id_} ({language}) is missing or should not be there ({len(wrong)} such).",
            "Run it again, limited as docs/integrations.md says or not at all.",
        )
    return sets


def _completions(
    run: ForeignRun, sets: PromptSets, origin: Origin, keep: bool
) -> list[CompletionRecord]:
    labels = {(row.language, row.id): row.label for row in sets.test_prompts()}
    records = []
    for batch, answer in enumerate(_ordered(run, sets)):
        tokens = origin.count_tokens(answer)
        cut = tokens >= run.max_new_tokens if answer.truncated is None else answer.truncated
        records.append(
            CompletionRecord(
                condition=BASELINE,
                language=answer.language,
                label=labels[answer.language, answer.id],
                id=answer.id,
                batch=batch,
                completion=answer.text if keep else None,
                sha256=text_digest(answer.text),
                tokens=tokens,
                finished=not cut,
            )
        )
    return records


def _judgements(
    run: ForeignRun,
    sets: PromptSets,
    completions: Sequence[CompletionRecord],
    names: Sequence[str],
) -> tuple[list[JudgeRecord], list[JudgementRecord]]:
    """Return judges and verdicts: those of the log, or of judges that are asked now."""
    answers = _ordered(run, sets)
    if not names and run.judges:
        return run.judges, [
            _logged(completion, answer, judge)
            for judge in run.judges
            for completion, answer in zip(completions, answers, strict=True)
        ]
    judges = get_judges(names or ("keyword",))
    prompts = {(row.language, row.id): row for row in sets.test_prompts()}
    rows = judge_answers(
        judges,
        completions,
        [answer.text for answer in answers],
        [prompts[answer.language, answer.id] for answer in answers],
        [answer.reasoning or has_reasoning(answer.text) for answer in answers],
    )
    return judge_records(judges), rows


def _logged(completion: CompletionRecord, answer: Answer, judge: JudgeRecord) -> JudgementRecord:
    verdict = next(
        v for v in answer.verdicts if (v.judge, v.version) == (judge.name, judge.version)
    )
    return JudgementRecord(
        condition=completion.condition,
        language=completion.language,
        label=completion.label,
        id=completion.id,
        batch=completion.batch,
        judge=judge.name,
        outcome=verdict.outcome,
        score=verdict.score,
        response_language=answer.response_language,
        reason=verdict.reason,
        reasoning=answer.reasoning,
    )


def _ordered(run: ForeignRun, sets: PromptSets) -> list[Answer]:
    by_prompt = {(answer.language, answer.id): answer for answer in run.answers}
    rows: list[Prompt] = sets.test_prompts()
    return [by_prompt[row.language, row.id] for row in rows]


def _write(run: RunDirectory, name: str, rows: Sequence[BaseModel]) -> None:
    run.write_text(name, "".join(row.model_dump_json() + "\n" for row in rows))
