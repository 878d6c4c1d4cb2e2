"""What a judge takes and gives: the function type that every judge fulfils."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from polyrefuse.outcomes import Outcome


@dataclass(frozen=True, slots=True)
class JudgeInput:
    """One response to judge.

    Attributes:
        language: ISO 639-1 code of the *prompt*; the response may be in another language.
        response: the model's text, as generated.
        prompt: the prompt it answers, in `language`, where known.
        prompt_en: the English prompt, where known.
    """

    language: str
    response: str
    prompt: str | None = None
    prompt_en: str | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict.

    Attributes:
        outcome: what the response is.
        score: evidence of refusal, a fraction in [0, 1], or None where the judge has no score.
        reason: short machine-readable reason, e.g. which evidence decided; never text of the
            response or of a judge's reply. Unparsed rows whose judge could not be asked at all
            (network, server) have one that begins with `FAILED`.
    """

    outcome: Outcome
    score: float | None
    reason: str = ""

    @property
    def failed(self) -> bool:
        """Whether the judge could not be asked; asking again may help."""
        return self.outcome is Outcome.UNPARSED and self.reason.startswith(FAILED)


FAILED = "failed:"
"""How the reason of a row begins whose judge could not be asked."""

PROVIDER_FILTER = "provider_filter"
"""Reason of a response that the provider of an endpoint withheld: a refusal of its own kind."""

Judge = Callable[[Sequence[JudgeInput]], list[Judgement]]
"""Judges a batch: one judgement a row, in order."""

Translator = Callable[[Sequence[str], str], Sequence[str | None]]
"""Translates texts from a language (ISO 639-1) into English: one text each, in order, or None.

A translator may have an attribute ``name`` (model and revision), which the judge's version then
holds."""
