"""What another framework's log says of a run, in one form for all of them.

Schemas and what holds for every log; how a log is read is in `lm_eval_log` and `inspect_log`.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, field
from pathlib import Path
from typing import Any

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from polyrefuse.errors import PolyRefuseError
from polyrefuse.outcomes import Outcome
from polyrefuse.results import JudgeRecord

STRICT = ConfigDict(strict=True)
"""Logs are what strangers wrote: a value of another type is an error, not a surprise later."""


class ForeignLogError(PolyRefuseError):
    """A log cannot be read, or is of a run that a result cannot be made of."""


@contextmanager
def form_errors(path: Path, form: str) -> Iterator[None]:
    """Turn whatever a log of another shape raises into a `ForeignLogError`; its values are data."""
    try:
        yield
    except PolyRefuseError:
        raise
    except (TypeError, AttributeError, LookupError, ValueError, ArithmeticError) as error:
        reason = str(error).splitlines()[:1]
        raise ForeignLogError(
            f"{path}: has not the form of a log of {form} ({' '.join(reason)[:200]}).",
            "Run it again with the versions that docs/integrations.md names.",
        ) from error


@dataclass(frozen=True, config=STRICT)
class LoggedVerdict:
    """One judge's verdict, as the log has it."""

    judge: str
    version: str
    outcome: Outcome
    score: float | None
    reason: str


@dataclass(frozen=True, config=STRICT)
class Answer:
    """One answer of the model.

    Attributes:
        language: of the prompt.
        id: of the prompt.
        prompt: its text, as the framework had it.
        text: the answer.
        rendered: the text that the model read, where the framework logs it.
        reasoning: whether the log holds reasoning beside the answer.
        filtered: how a provider's filter showed itself; empty where it did not.
        truncated: whether the answer reached the length limit; None where the log does not say.
        input_tokens: tokens of the prompt, where the log says.
        output_tokens: tokens of the answer, where the log says.
        at: when it was there, UTC, where the log says.
        served: the model that answered, as its server names it.
        verdicts: of the judges that the framework asked, the deciding one first.
        response_language: language of the answer, where verdicts are logged.
    """

    language: str
    id: str
    prompt: str
    text: str
    rendered: str | None = None
    reasoning: bool = False
    filtered: str = ""
    truncated: bool | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    at: str | None = None
    served: str | None = None
    verdicts: tuple[LoggedVerdict, ...] = ()
    response_language: str | None = None


@dataclass(frozen=True, config=STRICT)
class ForeignRun:
    """One run of another framework, greedy, one answer a prompt.

    Attributes:
        framework: as it is named among library versions.
        model: Hub id or folder of the weights, or what an endpoint calls the model.
        revision: commit of a Hub model, where the log says.
        dtype: dtype of the weights, ``auto`` where the log does not say.
        endpoint: host that answered; None where the framework loaded weights.
        max_new_tokens: limit on an answer.
        answers: all of them.
        dataset: folder or Hub id of the prompts; None for the packaged sample.
        dataset_revision: its commit or tag.
        versions: of the framework and other libraries, where the log says.
        device: kind of device.
        seconds: wall time.
        special_tokens: whether the tokenizer added its own tokens to templated text.
        switches: variables that the framework passes to the template; None where `rendered` shows.
        parameters: number of the model's parameters, where the log says.
    """

    framework: str
    model: str
    revision: str | None
    dtype: str
    endpoint: str | None
    max_new_tokens: int
    answers: Sequence[Answer]
    dataset: str | None
    dataset_revision: str | None
    versions: Mapping[str, str]
    device: str
    seconds: float
    special_tokens: bool = False
    switches: Mapping[str, Any] | None = None
    parameters: int | None = None
    name: str = field(default="log")

    @property
    def languages(self) -> list[str]:
        """Languages in the order of the answers."""
        return list(dict.fromkeys(answer.language for answer in self.answers))

    @property
    def judges(self) -> list[JudgeRecord]:
        """Judges whose verdicts are logged, the deciding one first; often none.

        Raises:
            ForeignLogError: not the same judges for every answer.
        """
        named = [tuple((v.judge, v.version) for v in answer.verdicts) for answer in self.answers]
        if len(set(named)) > 1:
            raise ForeignLogError(
                f"{self.name}: not every answer was judged by the same judges.",
                "Have all of them judged anew with --judge.",
            )
        return [JudgeRecord(name=judge, version=version) for judge, version in named[0]]

    @property
    def digest(self) -> str:
        """sha256 of all answers: whether two logs are of the same run."""
        text = json.dumps([asdict(answer) for answer in self.answers], sort_keys=True)
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def require_greedy(name: str, settings: Mapping[str, Any], allowed: Mapping[str, Any]) -> None:
    """Check that decoding was greedy and that nothing else changed it.

    Args:
        name: of the log.
        settings: decoding settings of the log; None stands for not set.
        allowed: the settings that may be there, each with the values it may have; () for any.

    Raises:
        ForeignLogError: a setting is another; names it.
    """
    for key, value in settings.items():
        if value is None or (key in allowed and (allowed[key] == () or value in allowed[key])):
            continue
        raise ForeignLogError(
            f"{name}: was decoded with {key} = {value!r}; results are of plain greedy decoding.",
            "Run it again as docs/integrations.md says.",
        )


def whole_text(text: Any) -> str:
    """Return text whose lone surrogates, which no file can hold, are replaced."""
    return str(text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def only_value(name: str, what: str, values: Sequence[Any]) -> Any:
    """Return the value that all have.

    Raises:
        ForeignLogError: they differ, or there is none.
    """
    found = list(dict.fromkeys(values))
    if len(found) != 1:
        there = ", ".join(map(repr, found)) or "none"
        raise ForeignLogError(
            f"{name}: {what} differs between its prompts ({there}).",
            "Import one run at a time.",
        )
    return found[0]
