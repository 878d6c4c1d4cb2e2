"""Read a log of ``inspect eval polyrefuse/refusal``. Needs inspect-ai."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from polyrefuse.errors import MissingExtraError
from polyrefuse.outcomes import Outcome
from polyrefuse.plain_file import plain
from polyrefuse_evaluation.integrations.foreign_run import (
    Answer,
    ForeignLogError,
    ForeignRun,
    LoggedVerdict,
    form_errors,
    require_greedy,
)

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalSample

TASK, SCORER = "polyrefuse/refusal", "judged"
LOADS_WEIGHTS = ("hf", "vllm")
"""Providers that load a checkpoint; the others are endpoints."""

PLAIN_ARGUMENTS = {
    "model_path", "device", "batch_size", "tokenizer_call_args", "enable_thinking", "do_sample",
    "torch_dtype", "dtype", "revision", "trust_remote_code", "attn_implementation",
    "tensor_parallel_size", "gpu_memory_utilization", "max_model_len", "port",
}  # fmt: skip
"""Arguments that leave weights and template as they are."""

GREEDY = {
    "temperature": (0, 0.0), "max_tokens": (), "seed": (), "max_connections": (), "timeout": (),
    "max_retries": (), "attempt_timeout": (), "stream_idle_timeout": (), "cache": (), "batch": (),
    "adaptive_connections": (), "reasoning_history": (), "num_choices": (1,), "best_of": (1,),
    "top_p": (1, 1.0), "logprobs": (False,), "parallel_tool_calls": (), "max_tool_output": (),
    "internal_tools": (), "cache_prompt": (),
}  # fmt: skip
SUFFIXES = (".eval", ".json")
MOST_BYTES = 4 * 1024**3
"""Most bytes of a log, unpacked; one of 100,000 answers takes about a tenth."""


def read_inspect_log(path: Path) -> ForeignRun:
    """Return the run of a log.

    Args:
        path: the log (``.eval`` or ``.json``), or a folder that holds exactly one.

    Raises:
        ForeignLogError: it cannot be read, is unfinished, or is of another kind of run than results
            are made of; says why and what to do.
        MissingExtraError: inspect-ai is not installed.
    """
    found = _find(path)
    with form_errors(found, TASK):
        return _run(_read(found))


def _run(log: "EvalLog") -> ForeignRun:
    name = log.location
    spec = log.eval
    if spec.task_registry_name != TASK:
        raise ForeignLogError(f"{name}: is of task {spec.task!r}.", f"Run {TASK}.")
    if log.status != "success" or not log.samples:
        raise ForeignLogError(
            f"{name}: the run did not finish, or logged no samples (status {log.status!r}).",
            "Finish it with 'inspect eval-retry LOG'.",
        )
    provider, _, served = spec.model.partition("/")
    weights = provider in LOADS_WEIGHTS
    settings = _settings(log)
    _require_plain(name, log, settings)
    if weights:
        _require_weights_alone(name, provider, spec.model_args)
    answers = [_answer(name, sample) for sample in log.samples]
    if not settings.get("max_tokens"):
        raise ForeignLogError(f"{name}: does not say how long answers may be.", "Set --max-tokens.")
    stats = log.stats
    call = spec.model_args.get("tokenizer_call_args") or {}
    return ForeignRun(
        framework="inspect-ai",
        model=str(spec.model_args.get("model_path") or served) if weights else served,
        revision=spec.model_args.get("revision"),
        dtype=_dtype(spec.model_args),
        endpoint=None if weights else _host(spec.model_base_url, provider),
        max_new_tokens=int(settings["max_tokens"]),
        answers=answers,
        dataset=spec.task_args.get("dataset"),
        dataset_revision=spec.task_args.get("dataset_revision"),
        versions={"inspect-ai": spec.packages.get("inspect_ai", "")},
        device=str(spec.model_args.get("device") or "unknown").partition(":")[0],
        seconds=_seconds(stats.started_at, stats.completed_at),
        special_tokens=provider == "hf" and call.get("add_special_tokens") is not False,
        switches={"enable_thinking": spec.model_args.get("enable_thinking")},
        name=name,
    )


def _find(path: Path) -> Path:
    if path.is_file():
        return path
    found = [p for suffix in SUFFIXES for p in path.rglob(f"*{suffix}")] if path.is_dir() else []
    if len(found) == 1:
        return found[0]
    what = f"holds {len(found)} logs" if path.exists() else "is not there"
    raise ForeignLogError(f"{path}: {what}.", "Name the log of the run to import.")


def _read(path: Path) -> "EvalLog":
    try:
        from inspect_ai.log import read_eval_log
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "reading this log needs the package 'inspect_ai', which is not installed.",
            "Run: pip install inspect-ai",
        ) from error
    _require_modest(path)
    try:
        return read_eval_log(str(path))
    except Exception as error:  # zip, JSON, schema, compression: each has errors of its own
        reason = str(error).strip().splitlines()[:1]
        raise ForeignLogError(
            f"{path}: is no log of Inspect that can be read ({' '.join(reason)[:200]})."
        ) from error


def _require_modest(path: Path) -> None:
    """Refuse a log that is, or says that it unpacks to, more than any run logs."""
    try:
        size = plain(path).stat().st_size
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                size = max(size, sum(entry.file_size for entry in archive.infolist()))
    except (OSError, ValueError, LookupError, zipfile.BadZipFile, NotImplementedError) as error:
        raise ForeignLogError(f"{path}: is no log of Inspect ({error}).") from error
    if size > MOST_BYTES:
        raise ForeignLogError(f"{path}: unpacks to {size} bytes; at most {MOST_BYTES} are read.")


def _settings(log: "EvalLog") -> dict[str, Any]:
    """Return the decoding settings in force: the task's, and over them the command line's."""
    own, given = (x.model_dump() for x in (log.plan.config, log.eval.model_generate_config))
    return {**own, **{key: value for key, value in given.items() if value is not None}}


def _require_plain(name: str, log: "EvalLog", settings: Mapping[str, Any]) -> None:
    steps = [step.solver for step in log.plan.steps]
    if steps != ["generate"]:
        raise ForeignLogError(f"{name}: the solver was {steps}.", "Run the task with its own.")
    if log.eval.config.epochs not in (None, 1):
        raise ForeignLogError(f"{name}: asked each prompt several times.", "Use --epochs 1.")
    require_greedy(name, settings, GREEDY)


def _require_weights_alone(name: str, provider: str, arguments: Mapping[str, Any]) -> None:
    for key, value in arguments.items():
        if key not in PLAIN_ARGUMENTS and value not in (None, False):
            raise ForeignLogError(
                f"{name}: was run with -M {key}={value!r}, so its weights or its template may not "
                "be those of the checkpoint alone.",
                "Run it again without that argument.",
            )
    if provider == "hf" and arguments.get("do_sample") is not False:
        raise ForeignLogError(
            f"{name}: was not decoded greedily: the provider hf samples unless told not to.",
            "Run it again with -M do_sample=false.",
        )


def _answer(name: str, sample: "EvalSample") -> Answer:
    row = sample.metadata
    score = (sample.scores or {}).get(SCORER)
    where = f"{name}: sample {sample.id}"
    if sample.error is not None or score is None or sample.output.empty:
        raise ForeignLogError(f"{where} has no answer.", "Finish it with 'inspect eval-retry LOG'.")
    try:
        found = score.metadata or {}
        verdicts = tuple(
            LoggedVerdict(
                judge=item["judge"],
                version=item["version"],
                outcome=Outcome(item["outcome"]),
                score=item["score"],
                reason=item["reason"],
            )
            for item in found["verdicts"]
        )
        usage, reason = sample.output.usage, sample.output.stop_reason
        return Answer(
            language=row["language"],
            id=row["id"],
            prompt=row["prompt"],
            text=sample.output.completion,
            reasoning=found["reasoning"],
            filtered="content_filter" if reason == "content_filter" else "",
            truncated=None if reason == "unknown" else reason in ("max_tokens", "model_length"),
            input_tokens=usage.input_tokens if usage else None,
            output_tokens=usage.output_tokens if usage else None,
            at=str(sample.completed_at)[:19] + "+00:00" if sample.completed_at else None,
            served=sample.output.model or None,
            verdicts=verdicts,
            response_language=found["response_language"],
        )
    except (KeyError, ValueError, TypeError) as error:
        raise ForeignLogError(
            f"{where} has not the form of {TASK} ({error}).", "Score it again: inspect score LOG."
        ) from error


def _dtype(arguments: Mapping[str, Any]) -> str:
    named = arguments.get("dtype") or arguments.get("torch_dtype") or "auto"
    return str(named).removeprefix("torch.")


def _host(url: str | None, provider: str) -> str:
    from polyrefuse_evaluation.endpoint.summary import public_host

    return public_host(url) if url and urlsplit(url).hostname else provider


def _seconds(started: Any, completed: Any) -> float:
    from datetime import datetime

    try:
        times = [datetime.fromisoformat(str(at)) for at in (started, completed)]
        return round((times[1] - times[0]).total_seconds(), 3)
    except (ValueError, TypeError):
        return 0.0
