"""Evaluate a model: prove ablation, select directions, answer with and without them, judge, report.

`evaluate` reads like the method section of arXiv 2505.17306; each step is a module of its own.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from polyrefuse.errors import AnswerIsNo, PolyRefuseError
from polyrefuse.observing import stage
from polyrefuse.reproducibility import require_seed
from polyrefuse.results import (
    BASELINE,
    RANDOM,
    Proof,
    Result,
    ablation_condition,
)
from polyrefuse_evaluation.ablation import Method, ablate
from polyrefuse_evaluation.ablation_proof import AblationProof, check_ablation
from polyrefuse_evaluation.answering import Condition, answer_all, read_judgements
from polyrefuse_evaluation.candidate_scores import logits_of
from polyrefuse_evaluation.compose_result import compose_result, finish, kept_result
from polyrefuse_evaluation.directions import random_direction
from polyrefuse_evaluation.generation import memory_limit
from polyrefuse_evaluation.judge_answers import get_judges
from polyrefuse_evaluation.judges import RegisteredJudge
from polyrefuse_evaluation.memory import in_smaller_batches
from polyrefuse_evaluation.models import LoadedModel, load_model
from polyrefuse_evaluation.prompt_sets import PromptSets, read_prompt_sets
from polyrefuse_evaluation.records import (
    Options,
    environment_record,
    model_record,
    settings_on_disk,
    settings_record,
)
from polyrefuse_evaluation.residual_stream import text_config
from polyrefuse_evaluation.run_directory import RESULT, RunDirectory
from polyrefuse_evaluation.select_directions import (
    SelectedDirection,
    render_rows,
    select_directions,
)
from polyrefuse_evaluation.workers import Workers, join_workers, open_shared_run

STAGES = ("prove", "select", "answer", "summarise")


def evaluate(
    model: str | LoadedModel,
    out: str | Path,
    *,
    dataset: str | Path | None = None,
    dataset_revision: str | None = None,
    options: Options | None = None,
    **load_options: Any,
) -> Result:
    """Evaluate one model and write a run directory; running it again resumes.

    Started in several processes (``accelerate launch``, ``torchrun``), they share the prompts.

    Args:
        model: name for `load_model`, or a model already loaded.
        out: run directory.
        dataset: folder or Hub id; the packaged sample by default.
        dataset_revision: commit or tag of a Hub dataset.
        options: choices of the evaluation.
        **load_options: passed to `load_model`.

    Returns:
        The result, also written to ``result.json`` with figures and ``report.html``.

    Raises:
        PolyRefuseError: bad input, a model that cannot be evaluated, a directory that cannot be
            used; `AnswerIsNo` if ablation cannot be proven on this model.
    """
    started = time.monotonic()
    options = options or Options()
    _require_sane(options)
    judges = get_judges(options.judges)
    sets = read_prompt_sets(
        dataset,
        revision=dataset_revision,
        languages=options.languages,
        source_languages=options.source_languages,
        limit=options.limit,
        train_prompts=options.train_prompts,
    )
    with join_workers() as workers:
        if isinstance(model, str):
            if not load_options.get("device") and not load_options.get("device_map"):
                load_options["device"] = workers.device()
            model = load_model(model, seed=options.seed, **load_options)
        _require_known_tokens(model, options)
        settings = settings_on_disk(model, sets, options, judges)
        with open_shared_run(Path(out), settings, workers, STAGES) as run:
            run.watch(model.files, sets.files)
            return _run(model, sets, judges, run, options, workers, started)


def _run(
    loaded: LoadedModel,
    sets: PromptSets,
    judges: Sequence[RegisteredJudge],
    run: RunDirectory,
    options: Options,
    workers: Workers,
    started: float,
) -> Result:
    done = workers.on_lead(lambda: _finished(run, options))
    if done is not None:
        return done
    with stage("prove"):
        proof = require_proven_ablation(loaded)
    with stage("select"):
        selected = workers.on_lead(lambda: _select(loaded, sets, judges[0], run, options))
    conditions = _conditions(loaded, selected, options.seed)
    prompts = sets.test_prompts()
    with stage("answer"):
        method = _choose_method(loaded, sets, options)
        answer_all(
            loaded,
            prompts,
            conditions,
            judges,
            run,
            batch_tokens=options.batch_tokens,
            max_new_tokens=options.max_new_tokens,
            method=method,
            store_completions=options.store_completions,
            workers=workers,
        )

    def summarise() -> Result:
        run.require_inputs()
        result = compose_result(
            read_judgements(run, judges),
            sets,
            options.seed,
            model=model_record(loaded),
            settings=settings_record(sets, options, judges, method),
            proof=_proof_record(proof),
            directions=[item.record for item in selected],
            environment=environment_record(loaded, workers.world),
            wall_seconds=round(time.monotonic() - started, 3),
        )
        run.write_text(RESULT, result.model_dump_json(indent=2) + "\n")
        return finish(run, result)

    with stage("summarise"):
        return workers.on_lead(summarise)


def _finished(run: RunDirectory, options: Options) -> Result | None:
    """Return the result of a run that is done; None where verdicts are missing that can be had."""
    result = kept_result(run)
    if result is None or (result.failed and options.store_completions):
        return None
    return finish(run, result)


def _select(
    loaded: LoadedModel,
    sets: PromptSets,
    judge: RegisteredJudge,
    run: RunDirectory,
    options: Options,
) -> list[SelectedDirection]:
    return select_directions(
        loaded,
        sets,
        judge,
        run,
        batch_tokens=options.batch_tokens,
        full_scores=options.full_scores,
        refusal_tokens=options.refusal_tokens,
    )


def require_proven_ablation(loaded: LoadedModel) -> AblationProof:
    """Return the proof that ablation works on this model.

    Raises:
        AnswerIsNo: it does not; names the module that leaks.
    """
    proof = check_ablation(loaded.model, loaded.tokenizer)
    if not proof.verified:
        raise AnswerIsNo(
            f"{loaded.name}: ablation could not be verified: a component survives at "
            f"{proof.suspect}; the bound is {proof.bound:.0e}.",
            "Figures from this model would be wrong; run 'polyrefuse check' and report it.",
        )
    return proof


def _proof_record(proof: AblationProof) -> Proof:
    return Proof(
        verified=proof.verified,
        max_projection=proof.max_projection,
        bound=proof.bound,
        sites=proof.sites,
    )


def _conditions(
    loaded: LoadedModel, selected: list[SelectedDirection], seed: int
) -> list[Condition]:
    ablations = [
        Condition(ablation_condition(item.record.language), item.direction)
        for item in selected
        if item.direction is not None
    ]
    control = random_direction(loaded.stream.hidden_size, seed)
    return [Condition(BASELINE, None), *ablations, Condition(RANDOM, control)]


def _choose_method(loaded: LoadedModel, sets: PromptSets, options: Options) -> Method:
    """Return ``weights`` where projected weights give the logits of the hooks, else ``hooks``."""
    if options.method == "hooks":
        return "hooks"
    rows = sets.get(sets.source_languages[0], "validation", "harmful")[:4]
    sequences = render_rows(loaded, rows)
    direction = random_direction(loaded.stream.hidden_size, options.seed + 1)
    logits = {}
    methods: tuple[Method, Method] = ("hooks", "weights")
    for method in methods:
        with ablate(loaded.model, direction, method=method, stream=loaded.stream):
            logits[method] = in_smaller_batches(
                "compare methods",
                lambda budget: logits_of(loaded, sequences, budget),
                options.batch_tokens,
                memory_limit(loaded),
            )
    exact = logits["hooks"].dtype == loaded.model.dtype
    tolerance = (1e-4 if exact else 2e-2) * float(logits["hooks"].abs().max())
    if float((logits["hooks"] - logits["weights"]).abs().max()) <= tolerance:
        return "weights"
    if options.method == "weights":
        raise AnswerIsNo(
            f"{loaded.name}: projected weights do not give the logits of the hooks.",
            "Use --ablation-method hooks.",
        )
    return "hooks"


def _require_sane(options: Options) -> None:
    for name, value in (
        ("max-new-tokens", options.max_new_tokens),
        ("batch-tokens", options.batch_tokens),
    ):
        if value < 1:
            raise PolyRefuseError(f"--{name} is {value}.", "It must be at least 1.")
    require_seed(options.seed)
    if options.method not in ("auto", "hooks", "weights"):
        raise PolyRefuseError(
            f"unknown ablation method {options.method!r}.", "Known: auto, hooks, weights."
        )


def _require_known_tokens(loaded: LoadedModel, options: Options) -> None:
    vocabulary = int(text_config(loaded.model).vocab_size)
    unknown = [token for token in options.refusal_tokens or () if not 0 <= token < vocabulary]
    if unknown:
        raise PolyRefuseError(
            f"{loaded.name}: refusal token {unknown[0]} is not in its vocabulary of {vocabulary}.",
            "Give token ids of this model with --refusal-tokens, or leave it out.",
        )
