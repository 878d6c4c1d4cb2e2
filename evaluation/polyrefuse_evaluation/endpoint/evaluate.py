"""Evaluate a model behind an endpoint: ask, judge, count; and say beforehand what it may cost.

Running it again resumes: what was answered is never asked, and so never paid for, again.
"""

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from polyrefuse.observing import Part, expect, stage
from polyrefuse.outside_json import parse_json
from polyrefuse.plain_file import plain
from polyrefuse.prompts import Prompt
from polyrefuse.results import BASELINE, Result
from polyrefuse_evaluation.answering import read_judgements
from polyrefuse_evaluation.chat_api import ChatClient
from polyrefuse_evaluation.compose_result import compose_result, finish, kept_result
from polyrefuse_evaluation.endpoint.asking import Asker
from polyrefuse_evaluation.endpoint.estimate import Estimate, estimate, require_affordable
from polyrefuse_evaluation.endpoint.options import (
    EndpointOptions,
    make_client,
    model_name,
    require_sane,
)
from polyrefuse_evaluation.endpoint.records import REPLIES, ReplyRecord
from polyrefuse_evaluation.endpoint.store import AnswerStore
from polyrefuse_evaluation.endpoint.summary import (
    endpoint_record,
    environment_record,
    model_record,
    settings_on_disk,
    settings_record,
)
from polyrefuse_evaluation.judge_answers import ask_failed_again, get_judges
from polyrefuse_evaluation.judges import RegisteredJudge
from polyrefuse_evaluation.progress import progress_bar
from polyrefuse_evaluation.prompt_sets import PromptSets, read_prompt_sets
from polyrefuse_evaluation.run_directory import RESULT, RunDirectory, open_run_directory

STATE = "endpoint.json"
STAGES = ("ask", "summarise")


def evaluate_endpoint(
    model: str,
    out: str | Path,
    *,
    base_url: str | None = None,
    dataset: str | Path | None = None,
    dataset_revision: str | None = None,
    options: EndpointOptions | None = None,
    announce: Callable[[Estimate], None] | None = None,
) -> Result:
    """Evaluate a model behind an OpenAI-compatible endpoint; running it again resumes.

    Measures refusal on harmful and over-refusal on harmless prompts. Nothing is ablated, since
    activations are out of reach: `Result.proof` is None and `Result.endpoint` says so.

    Args:
        model: what the server calls the model, with or without ``openai:``.
        out: run directory.
        base_url: base URL, e.g. ``http://127.0.0.1:8000/v1``; OpenAI's by default.
        dataset: folder or Hub id; the packaged sample by default.
        dataset_revision: commit or tag of a Hub dataset.
        options: choices.
        announce: called with the estimate before anything is asked.

    Returns:
        The result, also written to ``result.json``. Its `failed` counts the verdicts that are
        missing; running again asks only for those.

    Raises:
        PolyRefuseError: bad input; no key, a wrong key, address or model.
        AnswerIsNo: the estimate is above ``max_cost``, or too many requests in a row failed.
    """
    started = time.monotonic()
    options = options or EndpointOptions()
    require_sane(options)
    name = model_name(model)
    judges = get_judges(options.judges)
    sets = _read_prompts(dataset, dataset_revision, options)
    client = make_client(name, base_url, options)  # names a missing key before anything is written
    prompts = sets.test_prompts()
    found = _estimate(prompts, Path(out), options)
    if announce is not None and found.remaining:
        announce(found)
    require_affordable(found, options)
    settings = settings_on_disk(name, client.url, sets, options, judges)
    with open_run_directory(Path(out), settings, STAGES) as run:
        run.watch(sets.files)
        kept = kept_result(run)
        if kept is not None and not kept.failed:
            return finish(run, kept)
        with stage("ask"):
            form = _ask(run, client, prompts, judges, options)
        run.require_inputs()
        result = compose_result(
            read_judgements(run, judges),
            sets,
            options.seed,
            model=model_record(name, client.url),
            settings=settings_record(sets, options, judges),
            proof=None,
            directions=[],
            endpoint=endpoint_record(
                client.url, prompts, run.read(REPLIES, ReplyRecord), form, options
            ),
            environment=environment_record(options),
            wall_seconds=round(time.monotonic() - started, 3),
        )
        with stage("summarise"):
            run.write_text(RESULT, result.model_dump_json(indent=2) + "\n")
            return finish(run, result)


def _ask(
    run: RunDirectory,
    client: ChatClient,
    prompts: Sequence[Prompt],
    judges: Sequence[RegisteredJudge],
    options: EndpointOptions,
) -> dict[str, Any] | None:
    """Ask what is still open; return the parameters that the server took, if it ever answered."""
    store = AnswerStore(run, prompts, judges, options.store_completions)
    store.recover()
    state = _read_state(run)
    if state["parameters"] in client.forms:
        client.form = state["parameters"]

    def settled(form: Mapping[str, Any]) -> None:
        state["parameters"] = dict(form)
        _write_state(run, state)

    _write_state(run, state)
    expect(_parts(store))
    with progress_bar("Asking", len(prompts)) as advance:
        if store.unjudged:
            store.judge(store.unjudged)
        ask_failed_again(run, judges, prompts)
        advance(len(store.replies))
        Asker(client, store, options.concurrency, state["run"], settled, advance).ask_all()
    parameters: dict[str, Any] | None = state["parameters"]
    return parameters


def _parts(store: AnswerStore) -> dict[Part, tuple[int, int]]:
    """Return how many prompts of each language have a verdict, and how many there are."""
    total = Counter(row.language for row in store.prompts)
    open_ones = [*store.open, *(answer.batch for answer in store.unjudged)]
    left = Counter(store.prompts[batch].language for batch in open_ones)
    return {(BASELINE, code): (number - left[code], number) for code, number in total.items()}


def estimate_endpoint(
    model: str,
    *,
    dataset: str | Path | None = None,
    dataset_revision: str | None = None,
    options: EndpointOptions | None = None,
    out: str | Path | None = None,
) -> Estimate:
    """Say what an evaluation may cost; asks nothing, writes nothing, needs no key.

    Args:
        model: as for `evaluate_endpoint`.
        dataset: folder or Hub id; the packaged sample by default.
        dataset_revision: commit or tag of a Hub dataset.
        options: choices; the length limit and the prices decide.
        out: a run directory, whose answers are not counted again.

    Raises:
        PolyRefuseError: bad input.
    """
    options = options or EndpointOptions()
    require_sane(options)
    model_name(model)
    prompts = _read_prompts(dataset, dataset_revision, options).test_prompts()
    return _estimate(prompts, None if out is None else Path(out), options)


def _estimate(prompts: Sequence[Prompt], out: Path | None, options: EndpointOptions) -> Estimate:
    replies = [] if out is None else RunDirectory(out).read(REPLIES, ReplyRecord)
    answered = {(row.language, row.id) for row in replies}
    remaining = [row for row in prompts if (row.language, row.id) not in answered]
    return estimate(prompts, remaining, replies, options)


def _read_prompts(
    dataset: str | Path | None, revision: str | None, options: EndpointOptions
) -> PromptSets:
    return read_prompt_sets(
        dataset,
        revision=revision,
        languages=options.languages,
        source_languages=(),
        limit=options.limit,
    )


def _read_state(run: RunDirectory) -> dict[str, Any]:
    """Return the name of this run and the parameters that the server took, if they are known."""
    path = run.path / STATE
    try:
        state = parse_json(plain(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        state = None
    if isinstance(state, dict) and isinstance(state.get("run"), str) and "parameters" in state:
        return state
    return {"run": uuid.uuid4().hex, "parameters": None}


def _write_state(run: RunDirectory, state: dict[str, Any]) -> None:
    run.write_text(STATE, json.dumps(state, indent=2) + "\n")
