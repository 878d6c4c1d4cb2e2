"""``polyrefuse evaluate openai:MODEL``: the options of an endpoint, and which go together."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polyrefuse.errors import PolyRefuseError

if TYPE_CHECKING:
    from polyrefuse.endpoint_schema import EndpointRecord
    from polyrefuse.results import Result
    from polyrefuse_evaluation.endpoint import EndpointOptions

PREFIX = "openai:"
_PANEL = "For openai:MODEL"

BaseUrl = Annotated[
    str | None,
    typer.Option(help="Base URL, e.g. http://HOST:8000/v1; OpenAI's.", rich_help_panel=_PANEL),
]
KeyVariable = Annotated[
    str | None,
    typer.Option(
        "--api-key-env",
        help="Environment variable of the key; default: OPENAI_API_KEY.",
        rich_help_panel=_PANEL,
    ),
]
Concurrency = Annotated[int, typer.Option(help="Requests at once.", rich_help_panel=_PANEL)]
Timeout = Annotated[float, typer.Option(help="Seconds for a request.", rich_help_panel=_PANEL)]
Attempts = Annotated[int, typer.Option(help="Requests for a prompt.", rich_help_panel=_PANEL)]
Stream = Annotated[
    bool, typer.Option("--stream", help="Ask for streamed answers.", rich_help_panel=_PANEL)
]
PriceIn = Annotated[
    float | None, typer.Option(help="Price of a million tokens in.", rich_help_panel=_PANEL)
]
PriceOut = Annotated[
    float | None, typer.Option(help="Price of a million tokens out.", rich_help_panel=_PANEL)
]
MaxCost = Annotated[
    float | None,
    typer.Option(help="Do not start if the estimate is above this.", rich_help_panel=_PANEL),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the estimate and stop.", rich_help_panel=_PANEL)
]

ENDPOINT_ONLY = (
    "base_url", "api_key_env", "concurrency", "timeout", "attempts", "stream", "price_in",
    "price_out", "max_cost", "dry_run",
)  # fmt: skip
BOTH = (
    "model", "dataset", "dataset_revision", "languages", "judge", "max_new_tokens", "limit", "out",
    "seed", "store_completions", "show_completions",
)  # fmt: skip


def is_endpoint(model: str) -> bool:
    """Say whether a model is one behind an endpoint."""
    return model.startswith(PREFIX)


def require_fitting_options(command: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Refuse options that would be ignored: those of an endpoint for a local model, or the reverse.

    Args:
        command: the command's function, whose defaults tell what was given.
        given: the values of its parameters.

    Raises:
        PolyRefuseError: names the options.
    """
    defaults = {key: value.default for key, value in inspect.signature(command).parameters.items()}
    changed = [name for name, default in defaults.items() if given[name] != default]
    behind = is_endpoint(given["model"])
    wrong = [
        name
        for name in changed
        if name not in BOTH and (name in ENDPOINT_ONLY) is not behind and name in given
    ]
    if wrong:
        flags = ", ".join("--" + name.replace("_", "-") for name in wrong)
        what = "a model behind an endpoint" if behind else "a model that is not openai:MODEL"
        raise PolyRefuseError(
            f"{flags}: not for {what}.",
            "Behind an endpoint nothing is loaded and nothing is ablated."
            if behind
            else f"Name the endpoint's model as {PREFIX}MODEL.",
        )


def evaluate_by_endpoint(given: Mapping[str, Any], out: Path) -> "Result | None":
    """Evaluate with the values of the command's parameters; None after ``--dry-run``."""
    from polyrefuse_evaluation.endpoint import estimate_endpoint, evaluate_endpoint

    options = _options(given)
    data = {"dataset": given["dataset"], "dataset_revision": given["dataset_revision"]}
    if given["dry_run"]:
        found = estimate_endpoint(given["model"], options=options, out=out, **data)
        typer.echo(found.describe())
        return None
    return evaluate_endpoint(
        given["model"],
        out,
        base_url=given["base_url"],
        options=options,
        announce=lambda found: typer.echo(found.describe(), err=True),
        **data,
    )


def describe(record: "EndpointRecord") -> str:
    """Return what it took, and what of it is no answer, as a few lines."""
    usage = record.usage
    lines = [
        f"Endpoint: {record.answered:,} of {record.prompts:,} prompts answered in "
        f"{record.requests:,} requests, {usage.prompt_tokens:,} tokens in, "
        f"{usage.completion_tokens:,} out"
        + (f" ({usage.reasoning_tokens:,} of them reasoning)" if usage.reasoning_tokens else "")
        + (f"; cost {usage.cost:,.2f}" if usage.cost is not None else "")
        + "."
    ]
    if usage.unreported:
        lines.append(f"{usage.unreported:,} answers came without a count and are in no sum.")
    if record.withheld:
        lines.append(
            f"The provider's filter withheld {record.withheld:,} answers; they count as refused."
        )
    if record.only_reasoning:
        lines.append(
            f"{record.only_reasoning:,} answers are reasoning only and count as broken: raise "
            "--max-new-tokens."
        )
    if record.adapted:
        lines.append(f"The server did not take every parameter: {'; '.join(record.adapted)}.")
    return "\n".join(lines)


def _options(given: Mapping[str, Any]) -> "EndpointOptions":
    from polyrefuse_evaluation.endpoint import EndpointOptions

    names = (
        "languages", "max_new_tokens", "limit", "seed", "store_completions", "api_key_env",
        "concurrency", "timeout", "attempts", "stream", "price_in", "price_out", "max_cost",
    )  # fmt: skip
    return EndpointOptions(judges=tuple(given["judge"]), **{name: given[name] for name in names})
