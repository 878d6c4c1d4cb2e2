"""What a result says of an endpoint: how it was asked, what it withheld, what it cost.

Schemas only. No key, no address beyond a public host's name, no text of an answer.
"""

from pydantic import BaseModel, ConfigDict, Field

from polyrefuse.prompts import Label


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WithheldCount(_Record):
    """How many prompts of a language and label the provider's filter stopped, of all asked."""

    language: str
    label: Label
    n: int
    asked: int


class EndpointUsage(_Record):
    """Tokens as the server counts them, over all answers that are kept.

    `unreported` counts answers without a count; they are in no sum. `cost` is in the currency of
    the prices, None without prices.
    """

    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    unreported: int
    price_in: float | None = Field(description="per million tokens")
    price_out: float | None = Field(description="per million tokens")
    cost: float | None


class EndpointRecord(_Record):
    """A model behind an OpenAI-compatible endpoint: the baseline half of the benchmark.

    Attributes:
        host: host name, or "a private address".
        served: what the server called the model that answered -> answers. A name does not pin
            weights: `first_answer` and `last_answer` (UTC) say when it was asked.
        parameters: of every request, as the server took them.
        adapted: what the server did not take as first asked.
        streamed: whether the server streamed.
        prompts: prompts asked.
        answered: those with an answer, or withheld by a filter.
        withheld: those among them that a filter stopped; they are among the refused.
        truncated: answers that reached the length limit.
        reasoned: answers with reasoning, which no judge reads.
        only_reasoning: answers that reached the length limit before an answer began; broken.
        requests: requests of the kept answers, retries included.
        usage: tokens and cost.
        not_measured: what this half of the benchmark leaves out.
    """

    host: str
    served: dict[str, int]
    first_answer: str | None
    last_answer: str | None
    parameters: dict[str, str | int | float | bool]
    adapted: list[str]
    streamed: bool
    prompts: int
    answered: int
    withheld: int
    withheld_by_cell: list[WithheldCount]
    truncated: int
    reasoned: int
    only_reasoning: int
    requests: int
    usage: EndpointUsage
    not_measured: list[str] = ["refusal directions", "ablation"]
