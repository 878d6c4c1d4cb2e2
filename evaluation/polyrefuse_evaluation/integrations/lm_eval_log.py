"""Read what ``lm_eval run --log_samples --output_path DIR`` wrote. Needs no lm_eval."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polyrefuse.languages import LANGUAGES
from polyrefuse.outside_json import parse_json
from polyrefuse.plain_file import plain
from polyrefuse_evaluation.integrations.foreign_run import (
    Answer,
    ForeignLogError,
    ForeignRun,
    form_errors,
    only_value,
    require_greedy,
    whole_text,
)

PREFIX = "polyrefuse_"
LOADS_WEIGHTS = ("hf", "hf-auto", "huggingface", "vllm")
"""Model types of the harness that load a transformers checkpoint, and nothing but it."""

PLAIN_ARGUMENTS = {
    "pretrained", "revision", "dtype", "device", "tokenizer", "batch_size", "max_batch_size",
    "max_length", "max_model_len", "add_bos_token", "trust_remote_code", "parallelize",
    "device_map", "max_memory_per_gpu", "max_cpu_memory", "offload_folder", "use_fast_tokenizer",
    "truncation", "enable_thinking", "chat_template_args", "attn_implementation", "logits_cache",
    "backend", "tensor_parallel_size", "data_parallel_size", "gpu_memory_utilization", "seed",
    "swap_space",
}  # fmt: skip
"""Arguments that leave the weights as they are; an adapter or a quantization is another model."""

GREEDY = {
    "until": ([],),
    "do_sample": (False,),
    "temperature": (0, 0.0),
    "max_gen_toks": (),
}


def read_lm_eval_log(path: Path) -> ForeignRun:
    """Return the run of a results file, with the samples beside it.

    Args:
        path: ``results_<time>.json``, or a folder that holds exactly one.

    Raises:
        ForeignLogError: it cannot be read, its samples were not logged, or it is of another kind of
            run than results are made of; says why and what to do.
    """
    results_path = _find(path)
    with form_errors(results_path, f"the tasks {PREFIX}<language>"):
        return _run(results_path, _read_json(results_path))


def _run(results_path: Path, results: dict[str, Any]) -> ForeignRun:
    config = results.get("config")
    tasks = sorted(name for name in results.get("configs", {}) if name.startswith(PREFIX))
    if not isinstance(config, dict) or not tasks:
        raise ForeignLogError(
            f"{results_path}: holds no results of the tasks {PREFIX}<language>.",
            "Run the group polyrefuse with --include_path integrations/lm_eval.",
        )
    for task in tasks:  # it becomes part of a file's name
        if task.removeprefix(PREFIX) not in LANGUAGES:
            raise ForeignLogError(
                f"{results_path}: {task[:80]!r} is no task of this version.",
                "Run it again with the tasks of this version.",
            )
    arguments = _arguments(results_path, config)
    _require_template(results_path, results)
    answers: list[Answer] = []
    limits: list[Any] = []
    for task in tasks:
        for row in _samples(results_path, task):
            answers.append(_answer(results_path, row, limits))
    metadata = [results["configs"][task].get("metadata") or {} for task in tasks]
    bos = (results.get("tokenizer_bos_token") or [""])[0]
    rendered = answers[0].rendered or ""
    return ForeignRun(
        framework="lm-eval",
        model=str(arguments["pretrained"]),
        revision=config.get("model_sha") or arguments.get("revision"),
        dtype=str(config.get("model_dtype") or "auto").removeprefix("torch."),
        endpoint=None,
        max_new_tokens=int(only_value(str(results_path), "max_gen_toks", limits)),
        answers=answers,
        dataset=only_value(str(results_path), "dataset", [m.get("dataset") for m in metadata]),
        dataset_revision=only_value(
            str(results_path), "dataset_revision", [m.get("dataset_revision") for m in metadata]
        ),
        versions={
            "lm-eval": str(results.get("lm_eval_version")),
            "transformers": str(results.get("transformers_version")),
        },
        device=str(config.get("device") or "unknown").partition(":")[0],
        seconds=round(float(results.get("total_evaluation_time_seconds") or 0), 3),
        # The harness itself leaves them out where the text begins with the tokenizer's own.
        special_tokens=arguments.get("add_bos_token") is not False
        and not (bos and rendered.startswith(bos)),
        parameters=config.get("model_num_parameters"),
        name=str(results_path),
    )


def _find(path: Path) -> Path:
    if path.is_file():
        return path
    found = sorted(path.rglob("results_*.json")) if path.is_dir() else []
    if len(found) == 1:
        return found[0]
    what = f"holds {len(found)} files results_*.json" if path.exists() else "is not there"
    raise ForeignLogError(f"{path}: {what}.", "Name the results file of the run to import.")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = parse_json(plain(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ForeignLogError(f"{path}: is no JSON file that can be read ({error}).") from error
    if not isinstance(content, dict):
        raise ForeignLogError(f"{path}: is no results file of lm-eval.")
    return content


def _arguments(path: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    arguments = config.get("model_args")
    if config.get("model") not in LOADS_WEIGHTS or not isinstance(arguments, dict):
        raise ForeignLogError(
            f"{path}: the model was of type {config.get('model')!r}; those that can be imported "
            f"are {', '.join(LOADS_WEIGHTS)}.",
            "Evaluate a model behind an API with 'polyrefuse evaluate openai:MODEL', or with "
            "Inspect: the harness does not log what becomes of its requests.",
        )
    for name, value in arguments.items():
        if name not in PLAIN_ARGUMENTS and value not in (None, False):
            raise ForeignLogError(
                f"{path}: was run with the model argument {name}={value!r}, so its weights or its "
                "answers may not be those of the checkpoint alone.",
                "Run it again without that argument.",
            )
    if "pretrained" not in arguments:
        raise ForeignLogError(f"{path}: does not name the checkpoint (pretrained=...).")
    return arguments


def _require_template(path: Path, results: Mapping[str, Any]) -> None:
    if not results.get("chat_template"):
        raise ForeignLogError(
            f"{path}: was run without the model's chat template.",
            "Run it again with --apply_chat_template.",
        )
    if results.get("system_instruction"):
        raise ForeignLogError(
            f"{path}: was run with a system instruction.", "Run it again without one."
        )


def _samples(results_path: Path, task: str) -> list[dict[str, Any]]:
    time = results_path.name.removeprefix("results_").removesuffix(".json")
    path = results_path.with_name(f"samples_{task}_{time}.jsonl")
    if not path.is_file():
        raise ForeignLogError(
            f"{path}: is missing.", "Run it again with --log_samples; results alone do not do."
        )
    try:
        return [parse_json(line) for line in path.read_text("utf-8").split("\n") if line]
    except (OSError, ValueError) as error:
        raise ForeignLogError(f"{path}: is no JSON Lines file that can be read.") from error


def _answer(path: Path, row: Mapping[str, Any], limits: list[Any]) -> Answer:
    try:
        doc = row["doc"]
        where = f"{path}: prompt {doc['id']} ({doc['language']})"
        request = row["arguments"]["gen_args_0"]
        responses = row["resps"]
        if row["filter"] != "none" or len(responses) != 1 or len(responses[0]) != 1:
            raise ForeignLogError(f"{where} has filtered or several answers.", "Ask once, plainly.")
        require_greedy(where, request["arg_1"], GREEDY)
        limits.append(request["arg_1"]["max_gen_toks"])
        return Answer(
            language=str(doc["language"]),
            id=str(doc["id"]),
            prompt=whole_text(doc["prompt"]),
            text=whole_text(responses[0][0]),
            rendered=whole_text(request["arg_0"]),
        )
    except (KeyError, TypeError, IndexError) as error:
        raise ForeignLogError(
            f"{path}: a sample has not the form of a polyrefuse task ({error}).",
            "Run it again with the tasks of this version.",
        ) from error
