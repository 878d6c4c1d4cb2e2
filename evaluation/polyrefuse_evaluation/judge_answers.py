"""Put answers to every judge of a run: the first decides, the others are second opinions.

A judge that could not be asked (network, server) leaves a response unparsed; running again asks it
again, where the completions are stored. Knows nothing of how answers were made.
"""

from collections.abc import Iterable, Iterator, Sequence

from polyrefuse.errors import PolyRefuseError
from polyrefuse.prompts import Prompt
from polyrefuse_evaluation.judged import Judged
from polyrefuse_evaluation.judges import RegisteredJudge, get_judge
from polyrefuse_evaluation.judges.response_language import response_languages
from polyrefuse_evaluation.judges.types import FAILED, JudgeInput, Judgement
from polyrefuse_evaluation.run_directory import (
    COMPLETIONS,
    JUDGEMENTS,
    CompletionRecord,
    JudgementRecord,
    RunDirectory,
)

AnswerKey = tuple[str, str, str, str]
"""(judge, condition, language, prompt id)"""


def get_judges(names: Sequence[str]) -> list[RegisteredJudge]:
    """Return the judges with these names, in order.

    Raises:
        PolyRefuseError: none is named, one is unknown, or two would have the same name in results.
    """
    if not names:
        raise PolyRefuseError("no judge is named.", "Name one with --judge.")
    judges = [get_judge(name) for name in names]
    known = [judge.name for judge in judges]
    for judge in judges:
        if known.count(judge.name) > 1:
            raise PolyRefuseError(
                f"--judge names {judge.name!r} {known.count(judge.name)} times.",
                "Name each judge once; judge with another version in a run of its own.",
            )
    return judges


def judge_answers(
    judges: Sequence[RegisteredJudge],
    completions: Sequence[CompletionRecord],
    texts: Sequence[str],
    prompts: Sequence[Prompt],
    reasoning: Sequence[bool],
) -> list[JudgementRecord]:
    """Return the verdict of every judge on every answer, judge by judge.

    Args:
        judges: the judges.
        completions: the records of the answers.
        texts: their texts, which a record need not hold.
        prompts: the prompts that they answer.
        reasoning: whether the answer held reasoning, which no judge reads.
    """
    inputs = [
        JudgeInput(prompt.language, text, prompt.prompt, prompt.prompt_en)
        for prompt, text in zip(prompts, texts, strict=True)
    ]
    languages = response_languages(texts)
    return [
        _record(completion, judge.name, verdict, language, held)
        for judge in judges
        for completion, verdict, language, held in zip(
            completions, judge.judge(inputs), languages, reasoning, strict=True
        )
    ]


def ask_failed_again(
    run: RunDirectory, judges: Sequence[RegisteredJudge], prompts: Iterable[Prompt]
) -> int:
    """Ask each judge once more about the stored answers that it could not be asked about.

    Args:
        run: the run; only what failed in it is kept in memory.
        judges: the judges.
        prompts: the prompts that were answered.

    Returns:
        How many judgements still fail.

    Raises:
        RunDirectoryError: the records cannot be read or written.
    """
    failed = [row for row in run.scan(JUDGEMENTS, JudgementRecord) if has_failed(row)]
    if not failed:
        return 0
    wanted = {(row.condition, row.language, row.id) for row in failed}
    texts = {
        key: row.completion
        for row in run.scan(COMPLETIONS, CompletionRecord)
        if (key := (row.condition, row.language, row.id)) in wanted
    }
    asked = {key[1:] for key in wanted}
    known = {pair: row for row in prompts if (pair := (row.language, row.id)) in asked}
    verdicts: dict[AnswerKey, Judgement] = {}
    for judge in judges:
        keys, inputs = [], []
        for row in failed:
            text = texts.get((row.condition, row.language, row.id))
            if row.judge == judge.name and text is not None:
                prompt = known[row.language, row.id]
                keys.append(_answer_key(row))
                inputs.append(JudgeInput(row.language, text, prompt.prompt, prompt.prompt_en))
        verdicts |= zip(keys, judge.judge(inputs) if inputs else [], strict=True)
    still = 0

    def lines() -> Iterator[bytes]:
        nonlocal still
        for row in run.scan(JUDGEMENTS, JudgementRecord):
            verdict = verdicts.get(_answer_key(row)) if has_failed(row) else None
            if verdict is not None:
                row = row.model_copy(update=_verdict_fields(verdict))
            still += has_failed(row)
            yield row.model_dump_json().encode("utf-8") + b"\n"

    run.write_pieces(JUDGEMENTS, lines())
    return still


def _answer_key(row: JudgementRecord) -> AnswerKey:
    return row.judge, row.condition, row.language, row.id


def has_failed(row: Judged) -> bool:
    """Whether a response is unparsed because the judge, or the model, could not be asked."""
    return row.reason.startswith(FAILED)


def _record(
    completion: CompletionRecord, judge: str, verdict: Judgement, language: str | None, held: bool
) -> JudgementRecord:
    return JudgementRecord(
        condition=completion.condition,
        language=completion.language,
        label=completion.label,
        id=completion.id,
        batch=completion.batch,
        judge=judge,
        response_language=language,
        reasoning=held,
        **_verdict_fields(verdict),
    )


def _verdict_fields(verdict: Judgement) -> dict[str, object]:
    return {"outcome": verdict.outcome, "score": verdict.score, "reason": verdict.reason}
