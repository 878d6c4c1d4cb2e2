"""One generated answer, and the tokens that end it. Knows nothing of batches or engines."""

from dataclasses import dataclass

from polyrefuse_evaluation.models import LoadedModel


@dataclass(frozen=True)
class Completion:
    """One generated answer.

    Attributes:
        tokens: generated ids, up to and without the end-of-turn token.
        text: decoded text, special tokens removed; with the tag by which the template opened the
            assistant's reasoning, where it did.
        finished: whether the model ended its turn within the limit.
        failure: why there is no answer, or None.
    """

    tokens: tuple[int, ...]
    text: str
    finished: bool
    failure: str | None = None


@dataclass(frozen=True)
class Decoded:
    """What an engine made of one prompt: ids without the end token, and whether it came to one."""

    tokens: tuple[int, ...]
    finished: bool
    failure: str | None = None


def end_tokens(loaded: LoadedModel) -> frozenset[int]:
    """Return the token ids that end the model's turn: the checkpoint's and the tokenizer's."""
    ends: set[int] = set()
    for ids in (
        getattr(loaded.model.generation_config, "eos_token_id", None),
        loaded.tokenizer.eos_token_id,
    ):
        ends.update(ids if isinstance(ids, list) else [] if ids is None else [ids])
    return frozenset(ends)


def cut_at_end(row: list[int], ends: frozenset[int]) -> Decoded:
    """Return `row` up to its first end token."""
    stop = next((index for index, token in enumerate(row) if token in ends), None)
    return Decoded(tuple(row if stop is None else row[:stop]), stop is not None)


def completion_of(loaded: LoadedModel, decoded: Decoded) -> Completion:
    """Return `decoded` with its text.

    A template that opens the assistant's reasoning leaves only its end in the answer: the opening
    is put back, so that all of it is known as reasoning.
    """
    text = str(loaded.tokenizer.decode(list(decoded.tokens), skip_special_tokens=True))
    if text:
        text = loaded.chat.opened_reasoning + text
    return Completion(decoded.tokens, text, decoded.finished, decoded.failure)
