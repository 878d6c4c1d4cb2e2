"""Put answers to every judge of a run: the first decides, the others are second opinions.

A judge that could not be asked (network, server) leaves a response unparsed; running again asks it
again, where the completions are stored. Knows nothing of how answers were made.
"""

from collections.abc import Mapping, Sequence

from polyrefuse.errors import PolyRefuseError
from polyrefuse.prompts import Prompt
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

PromptKey = tuple[str, str]
"""(language, prompt id)"""


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
    run: RunDirectory,
    judges: Sequence[RegisteredJudge],
    prompts: Mapping[PromptKey, Prompt],
) -> int:
    """Ask each judge once more about the stored answers that it could not be asked about.

    Returns:
        How many judgements still fail.

    Raises:
        RunDirectoryError: the records cannot be read or written.
    """
    rows = run.read(JUDGEMENTS, JudgementRecord)
    failed = [at for at, row in enumerate(rows) if has_failed(row)]
    if not failed:
        return 0
    texts = {
        (row.condition, row.language, row.id): row.completion
        for row in run.read(COMPLETIONS, CompletionRecord)
    }
    for judge in judges:
        places, inputs = [], []
        for at in failed:
            row = rows[at]
            text = texts.get((row.condition, row.language, row.id))
            if row.judge == judge.name and text is not None:
                prompt = prompts[row.language, row.id]
                places.append(at)
                inputs.append(JudgeInput(row.language, text, prompt.prompt, prompt.prompt_en))
        for at, verdict in zip(places, judge.judge(inputs) if inputs else [], strict=True):
            rows[at] = rows[at].model_copy(update=_verdict_fields(verdict))
    run.write_text(JUDGEMENTS, "".join(row.model_dump_json() + "\n" for row in rows))
    return sum(map(has_failed, rows))


def has_failed(row: JudgementRecord) -> bool:
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
