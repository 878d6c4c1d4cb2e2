"""What a result says that labels cannot show: whether it hangs together, and is possible at all.

The proof of ablation, the selected directions, settings, machine and manifest. None of it can be
recomputed without the model; `rescore` asks the model.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from polyrefuse.prompts import LABELS as PROMPT_LABELS
from polyrefuse.results import BASELINE, RANDOM, DirectionRecord, Result, ablation_condition
from polyrefuse_evaluation.leaderboard.labels import LabelRow
from polyrefuse_evaluation.leaderboard.names import folder_name, is_planted
from polyrefuse_evaluation.leaderboard.problems import Problem, shown
from polyrefuse_evaluation.leaderboard.schema import FILES, LABELS, MANIFEST, RESULT, Manifest
from polyrefuse_evaluation.selection import KL_LIMIT, NO_DIRECTION, RUNGS, WIDE_KL_LIMIT

PROOF_BOUNDS = {"float32": 1e-5, "float64": 1e-5, "bfloat16": 5e-3, "float16": 5e-3}
"""As `residual_stream.BOUNDS`, by name: that module needs torch. A test compares them."""

MOST_SCORE = 40.0
"""Largest log-odds of refusal: log(1e8) is 18.4, and a difference of two is twice that."""

NO_REFUSALS = "no_refusals"

Fault = tuple[str, str]
"""Field, and what is wrong with it."""


MOST_ENTRIES = 64
"""Languages, judges, directions or calibrations of one result: more would only cost time."""

MOST_PROMPTS = 5_000
"""Prompts of one label that figures are computed over; the bootstrap's memory grows with them."""


def oversized(result: Result, rows: Sequence[LabelRow]) -> list[Problem]:
    """Return what is too large to compute figures of."""
    lists: dict[str, Sequence[object]] = {
        "settings.languages": result.settings.languages,
        "settings.source_languages": result.settings.source_languages,
        "settings.judges": result.settings.judges,
        "directions": result.directions,
        "calibrations": result.calibrations,
    }
    problems = [
        Problem("size", f"{RESULT}: {where}", f"has {len(found)} entries, at most {MOST_ENTRIES}")
        for where, found in lists.items()
        if len(found) > MOST_ENTRIES
    ]
    for label in PROMPT_LABELS:
        prompts = len({row.id for row in rows if row.label == label})
        if prompts > MOST_PROMPTS:
            detail = f"has {prompts} {label} prompts, at most {MOST_PROMPTS}"
            problems.append(Problem("size", LABELS, detail))
    return problems


def expected_conditions(result: Result) -> list[str]:
    """Return the conditions that a run with these directions has."""
    if result.settings.ablation_method is None:
        return [BASELINE]
    found = [item.language for item in result.directions if item.layer is not None]
    return [BASELINE, *map(ablation_condition, found), RANDOM]


def record_problems(folder: str, manifest: Manifest, result: Result) -> list[Problem]:
    """Return what does not hang together in the manifest and the records of a result."""
    faults = [*_model(result), *_settings(result), *_proof(result), *_directions(result)]
    return [
        *(Problem("name", f"{MANIFEST}: {w}", d) for w, d in _manifest(folder, manifest, result)),
        *(Problem("number", f"{RESULT}: {where}", detail) for where, detail in faults),
    ]


def _manifest(folder: str, manifest: Manifest, result: Result) -> Iterator[Fault]:
    model = result.model
    for field, there, here in (
        ("model", manifest.model, model.name),
        ("revision", manifest.revision, model.revision),
        ("weights_digest", manifest.weights_digest, model.weights_digest),
        ("self_test", manifest.self_test, is_planted(model.name)),
    ):
        if there != here:
            yield field, f"is {shown(there, 80)}, the result says {shown(here, 80)}"
    if set(manifest.files) != set(FILES) - {MANIFEST}:
        yield "files", "does not name exactly the two other files"
    if is_planted(model.name) != (model.planted_variant is not None):
        yield "model", "the planted model and its name belong together, and these do not"
    named = folder_name(model.name, model.revision, model.weights_digest or result.labels_digest)
    if folder != named:
        yield "model", f"the folder is {shown(folder, 120)!r}, but this model's is {named!r}"


def _between(field: str, value: float | None, low: float, high: float) -> Iterator[Fault]:
    if value is not None and not low <= value <= high:
        yield field, f"is {shown(value, 40)}, not in [{low:g}, {high:g}]"


def _model(result: Result) -> Iterator[Fault]:
    model = result.model
    for name in ("parameters", "layers", "hidden_size"):
        yield from _between(f"model.{name}", getattr(model, name), 1, 1e14)
    if model.endpoint is not None:
        if any(x is not None for x in (model.weights_digest, model.revision, result.proof)):
            yield "model.endpoint", "a model behind an endpoint has no weights, revision or proof"
    elif None in (model.weights_digest, model.layers, model.dtype, model.chat_template_digest):
        yield "model", "lacks the digest of weights or template, its layers or its dtype"
    if (model.endpoint is None) != (result.endpoint is None):
        yield "endpoint", "says that there is an endpoint, or none, against model.endpoint"
    if result.endpoint is not None:
        yield from _numbers("endpoint", result.endpoint.model_dump(mode="json"))


def _numbers(where: str, value: Any) -> Iterator[Fault]:
    """Counts, tokens and prices are not negative, and not larger than anything."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from _numbers(f"{where}.{key}", item)
    elif isinstance(value, int | float):
        yield from _between(where, value, 0, 1e15)


def _settings(result: Result) -> Iterator[Fault]:
    settings, environment = result.settings, result.environment
    yield from _between("settings.max_new_tokens", settings.max_new_tokens, 1, 1e6)
    yield from _between("settings.limit", settings.limit, 1, 1e7)
    yield from _between("settings.train_prompts", settings.train_prompts, 1, 1e7)
    yield from _between("settings.batch_tokens", settings.batch_tokens, 1, 1e9)
    yield from _between("settings.seed", settings.seed, 0, 2**63)
    yield from _between("environment.threads", environment.threads, 1, 1e5)
    yield from _between("environment.processes", environment.processes, 1, 1e5)
    yield from _between("wall_seconds", result.wall_seconds, 0, 1e9)
    yield from _between("dataset.errata", result.dataset.errata, 0, 1e6)
    if result.dataset.limit != settings.limit:
        yield "dataset.limit", "differs from settings.limit"
    if not settings.languages:
        yield "settings.languages", "is empty"
    for name in ("languages", "source_languages"):
        codes = getattr(settings, name)
        if len(set(codes)) < len(codes):
            yield f"settings.{name}", "names a language twice"
    judges = [judge.name for judge in settings.judges]
    if len(set(judges)) < len(judges):
        yield "settings.judges", "names a judge twice"
    if settings.ablation_method not in (None, "hooks", "weights"):
        yield "settings.ablation_method", "is neither hooks nor weights"


def _proof(result: Result) -> Iterator[Fault]:
    proof, method = result.proof, result.settings.ablation_method
    if (proof is None) != (method is None) or (
        method is not None and result.model.endpoint is not None
    ):
        yield "proof", "an ablation without its proof, or a proof without ablation"
    if proof is None:
        return
    bound = PROOF_BOUNDS.get(result.model.dtype or "")
    if proof.bound != bound:
        yield "proof.bound", f"is {proof.bound}; for {result.model.dtype} it is {bound}"
    if not proof.verified or not 0 <= proof.max_projection <= proof.bound:
        yield "proof", "does not show that ablation is complete: its figures would be wrong"
    yield from _between("proof.sites", proof.sites, 1, 1e6)


def _directions(result: Result) -> Iterator[Fault]:
    languages = [item.language for item in result.directions]
    if languages != result.settings.source_languages:
        yield "directions", "are not those of settings.source_languages, in order"
    for at, item in enumerate(result.directions):
        for field, detail in _direction(item, result.model.layers or 0):
            yield f"directions.{at}{field}", detail


def _direction(item: DirectionRecord, layers: int) -> Iterator[Fault]:
    selected = (item.position, item.layer, item.norm, item.bypass, item.induce, item.kl)
    rungs = {rung.name: rung for rung in RUNGS}
    if item.rung not in (*rungs, NO_DIRECTION, NO_REFUSALS):
        yield ".rung", "is no filter of the selection"
    elif (item.rung in rungs) != all(x is not None for x in selected):
        yield "", "has scores without a direction, or a direction without scores"
    elif item.rung in rungs:
        rung, kl, induce = rungs[item.rung], item.kl or 0.0, item.induce or 0.0
        if not rung.passes(kl, induce):
            yield ".rung", f"says {item.rung}, which its scores do not pass"
    yield from _between(".position", item.position, -256, -1)
    yield from _between(".layer", item.layer, 0, int(0.8 * layers) - 1)
    yield from _between(".norm", item.norm, 0, 1e6)
    yield from _between(".bypass", item.bypass, -MOST_SCORE, MOST_SCORE)
    yield from _between(".induce", item.induce, -MOST_SCORE, MOST_SCORE)
    yield from _between(".kl", item.kl, -1e-6, max(KL_LIMIT, WIDE_KL_LIMIT))
    yield from _between(".planted_cosine", item.planted_cosine, -1.000001, 1.000001)
    yield from _between(".refusal_token_coverage", item.refusal_token_coverage, 0, 1)
    yield from _between(".candidates", item.candidates, 0, 1e7)
    if len(item.refusal_tokens) != len(item.refusal_token_texts):
        yield ".refusal_token_texts", "are not one a token"
    if any(not 0 <= token < 1e8 for token in item.refusal_tokens) or len(item.refusal_tokens) > 1e4:
        yield ".refusal_tokens", "are no token ids"
