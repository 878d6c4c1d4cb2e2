"""What settings and result say of an evaluation by endpoint: model, choices, replies, cost."""

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from polyrefuse.endpoint_schema import EndpointRecord, EndpointUsage, WithheldCount
from polyrefuse.prompts import Prompt
from polyrefuse.results import Environment, ModelRecord, Settings
from polyrefuse_evaluation.endpoint.estimate import price
from polyrefuse_evaluation.endpoint.options import EndpointOptions, adaptations, request_forms
from polyrefuse_evaluation.endpoint.records import ReplyRecord
from polyrefuse_evaluation.judges import RegisteredJudge
from polyrefuse_evaluation.prompt_sets import PromptSets
from polyrefuse_evaluation.records import judge_records

LIBRARIES = ("polyrefuse", "datasets", "huggingface-hub", "httpx2")
PRIVATE = "a private address"
_LOCAL_NAMES = (".local", ".internal", ".lan", ".home", ".localhost")


def public_host(url: str) -> str:
    """Return the host of a URL; names and numbers that mean something only inside are not told."""
    host = urlsplit(url).hostname or ""
    try:
        return host if ip_address(host).is_global else PRIVATE
    except ValueError:
        return PRIVATE if "." not in host or host.endswith(_LOCAL_NAMES) else host


def model_record(name: str, url: str) -> ModelRecord:
    """Return what a result says of the model: its name, and where it was asked."""
    return ModelRecord(
        name=name,
        revision=None,
        weights_digest=None,
        architecture=None,
        parameters=None,
        layers=None,
        hidden_size=None,
        dtype=None,
        chat_template_digest=None,
        thinking_disabled=None,
        endpoint=public_host(url),
    )


def settings_on_disk(
    name: str,
    url: str,
    sets: PromptSets,
    options: EndpointOptions,
    judges: Sequence[RegisteredJudge],
) -> dict[str, Any]:
    """Return what decides the figures: a resumed run must agree with all of it."""
    return {
        "model": name,
        "base_url": url,
        "languages": ",".join(sets.languages),
        "judges": [f"{judge.name} {judge.version}" for judge in judges],
        "max_new_tokens": options.max_new_tokens,
        "limit": options.limit,
        "seed": options.seed,
        "store_completions": options.store_completions,
        "dataset": sets.record.name,
        "dataset_digest": sets.record.content_digest,
        "polyrefuse": version("polyrefuse"),
    }


def settings_record(
    sets: PromptSets, options: EndpointOptions, judges: Sequence[RegisteredJudge]
) -> Settings:
    """Return the settings as the result states them: nothing is ablated."""
    return Settings(
        languages=sets.languages,
        source_languages=[],
        judges=judge_records(judges),
        max_new_tokens=options.max_new_tokens,
        limit=options.limit,
        seed=options.seed,
        train_prompts=None,
        full_scores=None,
        batch_tokens=None,
        store_completions=options.store_completions,
        ablation_method=None,
    )


def environment_record(options: EndpointOptions) -> Environment:
    """Return what asked: libraries and this machine; of the endpoint's nothing is known."""
    return Environment(
        versions={library: version(library) for library in LIBRARIES},
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        device="endpoint",
        threads=options.concurrency,
    )


def endpoint_record(
    url: str,
    prompts: Sequence[Prompt],
    replies: Sequence[ReplyRecord],
    form: Mapping[str, Any] | None,
    options: EndpointOptions,
) -> EndpointRecord:
    """Return what a result says of the endpoint.

    Args:
        url: base URL.
        prompts: all prompts of the evaluation.
        replies: records of all answers.
        form: the parameters that the server took; None where it never answered.
        options: choices.
    """
    first = request_forms(options)[0]
    taken = first if form is None else form
    times = sorted(row.at for row in replies)
    flat = {name: value for name, value in taken.items() if not isinstance(value, dict)}
    return EndpointRecord(
        host=public_host(url),
        served=dict(Counter(row.model for row in replies if row.model is not None)),
        first_answer=times[0] if times else None,
        last_answer=times[-1] if times else None,
        parameters=flat,
        adapted=adaptations(first, taken),
        streamed=bool(taken.get("stream")),
        prompts=len(prompts),
        answered=len(replies),
        withheld=sum(bool(row.filtered) for row in replies),
        withheld_by_cell=_withheld(prompts, replies),
        truncated=sum(row.truncated for row in replies),
        reasoned=sum(row.reasoning_characters > 0 for row in replies),
        only_reasoning=sum(row.only_reasoning for row in replies),
        requests=sum(row.requests for row in replies),
        usage=_usage(replies, options),
    )


def _withheld(prompts: Sequence[Prompt], replies: Sequence[ReplyRecord]) -> list[WithheldCount]:
    labels = {(row.language, row.id): row.label for row in prompts}
    asked = Counter((row.language, row.label) for row in prompts)
    found = Counter((row.language, labels[row.language, row.id]) for row in replies if row.filtered)
    return [
        WithheldCount(language=language, label=label, n=found[language, label], asked=n)
        for (language, label), n in asked.items()
        if found[language, label]
    ]


def _usage(replies: Sequence[ReplyRecord], options: EndpointOptions) -> EndpointUsage:
    paid = [row for row in replies if not row.withheld_unasked]
    tokens_in = sum(row.prompt_tokens or 0 for row in paid)
    tokens_out = sum(row.completion_tokens or 0 for row in paid)
    return EndpointUsage(
        prompt_tokens=tokens_in,
        completion_tokens=tokens_out,
        reasoning_tokens=sum(row.reasoning_tokens or 0 for row in paid),
        unreported=sum(None in (row.prompt_tokens, row.completion_tokens) for row in paid),
        price_in=options.price_in,
        price_out=options.price_out,
        cost=price(tokens_in, tokens_out, options),
    )
