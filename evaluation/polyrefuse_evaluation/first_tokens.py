"""How a model's own refusals begin: short answers to validation prompts, kept batch by batch.

``first_tokens.jsonl`` in the run directory holds token ids only. Knows nothing of what becomes of
them (refusal_score.py).
"""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from polyrefuse.outcomes import Outcome
from polyrefuse.prompts import Prompt
from polyrefuse_evaluation.generation import Completion, generate, plan_batches
from polyrefuse_evaluation.judges import RegisteredJudge
from polyrefuse_evaluation.judges.types import JudgeInput
from polyrefuse_evaluation.models import LoadedModel
from polyrefuse_evaluation.progress import progress_bar
from polyrefuse_evaluation.run_directory import RunDirectory

FIRST_TOKENS = "first_tokens.jsonl"
DISCOVERY_TOKENS = 32

Key = tuple[str, str]
"""(language, id) of a prompt."""


class FirstToken(BaseModel):
    """One line of ``first_tokens.jsonl``: how the refusal of one validation prompt begins.

    `token` is None where the answer was no refusal.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    language: str
    id: str
    token: int | None


def find_first_tokens(
    loaded: LoadedModel,
    rows: Sequence[Prompt],
    sequences: Sequence[Sequence[int]],
    judge: RegisteredJudge,
    run: RunDirectory,
    batch_tokens: int,
) -> dict[Key, int | None]:
    """Return by (language, prompt id) the first token of each refusal, None where it is none.

    Args:
        loaded: the model.
        rows: the prompts.
        sequences: their token ids.
        judge: says what is a refusal.
        run: batches already done there are read back.
        batch_tokens: padded tokens a batch.
    """
    batches = plan_batches(sequences, batch_tokens, DISCOVERY_TOKENS)
    first = _recover([[rows[i] for i in indices] for indices in batches], run)
    with progress_bar("Finding refusal tokens", len(rows)) as advance:
        for indices in batches:
            chosen = [rows[i] for i in indices]
            if not all((row.language, row.id) in first for row in chosen):
                answers = generate(loaded, [sequences[i] for i in indices], DISCOVERY_TOKENS)
                found = _first_tokens(chosen, answers, judge)
                run.require_inputs()
                run.append(FIRST_TOKENS, found)
                first |= {(row.language, row.id): row.token for row in found}
            advance(len(indices))
    return first


def _recover(batches: Sequence[Sequence[Prompt]], run: RunDirectory) -> dict[Key, int | None]:
    """Return what is there of whole batches; the lines of others are dropped from the file."""
    found = {(row.language, row.id): row for row in run.read(FIRST_TOKENS, FirstToken)}
    kept: list[FirstToken] = []
    for batch in batches:
        keys = [(row.language, row.id) for row in batch]
        if all(key in found for key in keys):
            kept += [found[key] for key in keys]
    run.rewrite(FIRST_TOKENS, kept)
    return {(row.language, row.id): row.token for row in kept}


def _first_tokens(
    rows: Sequence[Prompt], answers: Sequence[Completion], judge: RegisteredJudge
) -> list[FirstToken]:
    inputs = [
        JudgeInput(row.language, answer.text, row.prompt, row.prompt_en)
        for row, answer in zip(rows, answers, strict=True)
    ]
    verdicts = judge.judge(inputs)
    return [
        FirstToken(
            language=row.language,
            id=row.id,
            token=answer.tokens[0]
            if verdict.outcome is Outcome.REFUSED and answer.tokens
            else None,
        )
        for row, answer, verdict in zip(rows, answers, verdicts, strict=True)
    ]
