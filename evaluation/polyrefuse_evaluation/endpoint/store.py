"""The answers of an endpoint on disk: each as soon as it is there, and what a rerun finds.

Each prompt is a batch of its own. An answer is there once its lines in ``replies.jsonl`` and
``completions.jsonl`` are whole; a prompt that failed has verdicts (``failed:...``) but no answer,
and is open again in the next run.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

from polyrefuse.observing import advance
from polyrefuse.outcomes import Outcome
from polyrefuse.prompts import Prompt
from polyrefuse.results import BASELINE
from polyrefuse_evaluation.answering import text_digest
from polyrefuse_evaluation.chat_api import Reply
from polyrefuse_evaluation.chat_api.replies import FAILED
from polyrefuse_evaluation.endpoint.records import (
    REPLIES,
    ReplyRecord,
    reply_record,
    split_reasoning,
)
from polyrefuse_evaluation.judge_answers import judge_answers
from polyrefuse_evaluation.judges import RegisteredJudge
from polyrefuse_evaluation.judges.response_language import response_language
from polyrefuse_evaluation.judges.types import PROVIDER_FILTER
from polyrefuse_evaluation.run_directory import (
    COMPLETIONS,
    JUDGEMENTS,
    CompletionRecord,
    JudgementRecord,
    RunDirectory,
)


@dataclass(frozen=True)
class Answered:
    """One answer: its records and its text, which the completion need not hold."""

    batch: int
    reply: ReplyRecord
    completion: CompletionRecord
    text: str


@dataclass
class AnswerStore:
    """The answers and verdicts of a run; answers may be added from several threads."""

    run: RunDirectory
    prompts: Sequence[Prompt]
    judges: Sequence[RegisteredJudge]
    keep_texts: bool
    replies: dict[int, ReplyRecord] = field(default_factory=dict)
    unjudged: list[Answered] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def recover(self) -> None:
        """Read what is there; drop torn lines, what is half there, and what failed.

        Answers without verdicts are in `unjudged` then; where texts are not kept such an answer is
        lost, since there is nothing to judge.

        Raises:
            RunDirectoryError: a file holds something else.
        """
        replies = {row.batch: row for row in self.run.read(REPLIES, ReplyRecord)}
        completions = {
            row.batch: row
            for row in self.run.read(COMPLETIONS, CompletionRecord)
            if row.batch in replies
        }
        verdicts = self.run.read(JUDGEMENTS, JudgementRecord)
        counts = Counter(row.batch for row in verdicts if row.batch in completions)
        judged = {batch for batch, n in counts.items() if n == len(self.judges)}
        kept = set(completions) if self.keep_texts else set(completions) & judged
        self.replies = {batch: row for batch, row in replies.items() if batch in kept}
        self.run.rewrite(REPLIES, list(self.replies.values()))
        self.run.rewrite(COMPLETIONS, [row for batch, row in completions.items() if batch in kept])
        self.run.rewrite(JUDGEMENTS, [row for row in verdicts if row.batch in kept & judged])
        self.unjudged = [
            Answered(batch, replies[batch], completions[batch], completions[batch].completion or "")
            for batch in sorted(kept - judged)
        ]

    @property
    def open(self) -> list[int]:
        """Numbers of the prompts without an answer, in order."""
        return [batch for batch in range(len(self.prompts)) if batch not in self.replies]

    def add(self, batch: int, reply: Reply) -> Answered:
        """Take an answer; with texts kept it is on disk when this returns."""
        prompt = self.prompts[batch]
        text, thoughts = split_reasoning(reply.text)
        record = reply_record(batch, prompt, reply, text, reply.reasoning + len(thoughts))
        completion = CompletionRecord(
            condition=BASELINE,
            language=prompt.language,
            label=prompt.label,
            id=prompt.id,
            batch=batch,
            completion=text if self.keep_texts else None,
            sha256=text_digest(text),
            tokens=record.completion_tokens or 0,
            finished=not record.truncated,
        )
        answered = Answered(batch, record, completion, text)
        if self.keep_texts:
            self._write(answered)
        return answered

    def judge(self, answers: Sequence[Answered]) -> None:
        """Have answers judged and keep the verdicts; what a filter withheld is refused as it is."""
        asked = [answer for answer in answers if not answer.reply.filtered]
        rows = judge_answers(
            self.judges,
            [answer.completion for answer in asked],
            [answer.text for answer in asked],
            [self.prompts[answer.batch] for answer in asked],
            [answer.reply.reasoning_characters > 0 for answer in asked],
        )
        for answer in answers:
            if answer.reply.filtered:
                rows += self._verdicts(answer.batch, Outcome.REFUSED, PROVIDER_FILTER, answer)
        if not self.keep_texts:
            for answer in answers:
                self._write(answer)
        with self._lock:
            self.run.append(JUDGEMENTS, rows)
        for code, number in Counter(self.prompts[x.batch].language for x in answers).items():
            advance(number, condition=BASELINE, language=code)

    def fail(self, batch: int, reply: Reply) -> str:
        """Record that a prompt has no answer; return the reason."""
        problem = reply.problem if reply.problem.startswith(FAILED) else FAILED + reply.problem
        reason = f"{problem}:{reply.code}" if reply.code else problem
        with self._lock:
            self.run.append(JUDGEMENTS, self._verdicts(batch, Outcome.UNPARSED, reason))
        return reason

    def _write(self, answer: Answered) -> None:
        with self._lock:
            self.run.append(REPLIES, [answer.reply])
            self.run.append(COMPLETIONS, [answer.completion])
            self.replies[answer.batch] = answer.reply

    def _verdicts(
        self, batch: int, outcome: Outcome, reason: str, answer: Answered | None = None
    ) -> list[JudgementRecord]:
        prompt = self.prompts[batch]
        return [
            JudgementRecord(
                condition=BASELINE,
                language=prompt.language,
                label=prompt.label,
                id=prompt.id,
                batch=batch,
                judge=judge.name,
                outcome=outcome,
                score=None,
                response_language=response_language(answer.text) if answer else None,
                reason=reason,
                reasoning=answer is not None and answer.reply.reasoning_characters > 0,
            )
            for judge in self.judges
        ]
