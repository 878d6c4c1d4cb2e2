"""What an evaluation may cost, before it starts: counted in characters, so an estimate.

No tokenizer of a hosted model is at hand. The constants are chosen to be on the high side for the
tokenizers of current models, and output is counted as if every answer reached its length limit.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from polyrefuse.errors import AnswerIsNo
from polyrefuse.languages import get_language
from polyrefuse.prompts import Prompt
from polyrefuse_evaluation.endpoint.options import EndpointOptions
from polyrefuse_evaluation.endpoint.records import ReplyRecord

MILLION = 1_000_000
MESSAGE_TOKENS = 48
"""Tokens that a chat template adds to a prompt, at most, without a system prompt of its own."""

BYTES_PER_TOKEN = {"Latn": 2.5}
OTHER_BYTES_PER_TOKEN = 1.5
"""UTF-8 bytes that one token holds, at least on average. Other scripts take two or three bytes a
letter, so 1.5 means more than one token a letter; Yoruba's marked letters are counted like them."""


@dataclass(frozen=True)
class Estimate:
    """Tokens and cost of what is still to be asked.

    Attributes:
        prompts: prompts of the whole evaluation.
        remaining: prompts still to be asked.
        input_tokens: of the remaining prompts, estimated on the high side.
        output_tokens: of their answers, if each reached the length limit.
        cost: of the remaining prompts, retries aside; None without both prices.
        spent: cost of the answers that are there already, None without both prices.
    """

    prompts: int
    remaining: int
    input_tokens: int
    output_tokens: int
    cost: float | None
    spent: float | None

    def describe(self) -> str:
        """Return the estimate as one sentence or two."""
        text = (
            f"Estimate: {self.remaining:,} of {self.prompts:,} prompts to ask, about "
            f"{self.input_tokens:,} tokens in and at most {self.output_tokens:,} out "
            "(counted in characters, on the high side; retries not counted)"
        )
        if self.cost is None or self.spent is None:
            return f"{text}. Give --price-in and --price-out for a price."
        before = f", {self.spent:,.2f} spent before" if self.spent else ""
        return f"{text}: at most about {self.cost:,.2f}{before}. The judge's cost is not in it."


def estimate(
    prompts: Sequence[Prompt],
    remaining: Sequence[Prompt],
    replies: Iterable[ReplyRecord],
    options: EndpointOptions,
) -> Estimate:
    """Estimate what it takes to ask the remaining prompts.

    Args:
        prompts: all prompts of the evaluation.
        remaining: those still to be asked.
        replies: records of the answers that are there.
        options: length limit and prices.
    """
    tokens_in = sum(map(prompt_tokens, remaining))
    tokens_out = len(remaining) * options.max_new_tokens
    spent = [
        (
            MESSAGE_TOKENS if row.prompt_tokens is None else row.prompt_tokens,
            options.max_new_tokens if row.completion_tokens is None else row.completion_tokens,
        )
        for row in replies
        if not row.withheld_unasked
    ]
    return Estimate(
        prompts=len(prompts),
        remaining=len(remaining),
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        cost=price(tokens_in, tokens_out, options),
        spent=price(sum(x for x, _ in spent), sum(x for _, x in spent), options),
    )


def prompt_tokens(prompt: Prompt) -> int:
    """Return about how many tokens a prompt takes, rather too many than too few."""
    script = "" if prompt.language == "yo" else get_language(prompt.language).script
    each = BYTES_PER_TOKEN.get(script, OTHER_BYTES_PER_TOKEN)
    size = len(prompt.prompt.encode("utf-8", "replace"))
    return MESSAGE_TOKENS + int(size / each) + 1


def price(tokens_in: int, tokens_out: int, options: EndpointOptions) -> float | None:
    """Return what so many tokens cost, or None without both prices."""
    if options.price_in is None or options.price_out is None:
        return None
    return (tokens_in * options.price_in + tokens_out * options.price_out) / MILLION


def require_affordable(found: Estimate, options: EndpointOptions) -> None:
    """Check the estimate against ``--max-cost``.

    Raises:
        AnswerIsNo: it is above it.
    """
    if options.max_cost is None or found.cost is None or found.spent is None:
        return
    if found.cost + found.spent > options.max_cost:
        raise AnswerIsNo(
            f"the estimate is {found.cost + found.spent:,.2f}, above --max-cost "
            f"{options.max_cost:,.2f}; nothing was asked. {found.describe()}",
            "Lower --limit, --languages or --max-new-tokens, or raise --max-cost.",
        )
