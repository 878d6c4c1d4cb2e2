"""What is kept of each reply beside its text, and how reasoning is told from an answer."""

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict

from polyrefuse.prompts import Prompt
from polyrefuse_evaluation.chat_api import Reply
from polyrefuse_evaluation.chat_api.filters import ERROR, FEEDBACK
from polyrefuse_evaluation.chat_api.replies import TRUNCATED

REPLIES = "replies.jsonl"
THINK, END_OF_THINK = "<think>", "</think>"


class ReplyRecord(BaseModel):
    """One line of ``replies.jsonl``: what the server said of one answer; no text is in it.

    Attributes:
        batch: number of the prompt in this run.
        language: of the prompt.
        id: of the prompt.
        filtered: how a provider's filter showed itself; empty where it did not.
        truncated: whether the answer reached the length limit.
        reasoning_characters: characters of reasoning, which is not kept.
        only_reasoning: whether the length limit was reached before an answer began.
        model: the model that answered, as the server names it.
        prompt_tokens: as the server counts them; None where it does not.
        completion_tokens: the same of the answer, reasoning included.
        reasoning_tokens: those of the reasoning.
        requests: requests that the answer took.
        at: when it arrived, UTC.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    batch: int
    language: str
    id: str
    filtered: str
    truncated: bool
    reasoning_characters: int
    only_reasoning: bool
    model: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    reasoning_tokens: int | None
    requests: int
    at: str

    @property
    def withheld_unasked(self) -> bool:
        """Whether the prompt was stopped before the model saw it, so that nothing was paid."""
        return self.filtered in (ERROR, FEEDBACK)


def split_reasoning(text: str) -> tuple[str, str]:
    """Return the answer and the reasoning of a text that may begin with a block of it.

    The opening tag may be in the prompt's template, and the closing one beyond the length limit.
    """
    start = text.lstrip()
    if END_OF_THINK in start and (start.startswith(THINK) or THINK not in start):
        thoughts, _, answer = start.partition(END_OF_THINK)
        return answer.lstrip(), thoughts.removeprefix(THINK).strip()
    if start.startswith(THINK):
        return "", start.removeprefix(THINK).strip()
    return text, ""


def reply_record(
    batch: int, prompt: Prompt, reply: Reply, answer: str, thoughts: int
) -> ReplyRecord:
    """Return what is kept of a reply beside its text.

    Args:
        batch: number of the prompt.
        prompt: the prompt.
        reply: the reply.
        answer: its text without reasoning.
        thoughts: characters of reasoning.
    """
    return ReplyRecord(
        batch=batch,
        language=prompt.language,
        id=prompt.id,
        filtered=reply.filtered,
        truncated=reply.problem == TRUNCATED,
        reasoning_characters=thoughts,
        only_reasoning=reply.problem == TRUNCATED and thoughts > 0 and not answer.strip(),
        model=reply.model,
        prompt_tokens=reply.usage.prompt,
        completion_tokens=reply.usage.completion,
        reasoning_tokens=reply.usage.reasoning,
        requests=reply.requests,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
