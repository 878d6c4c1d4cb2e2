"""Ask the model again: the answers to some prompts of a submission, under their conditions.

The one module of the leaderboard that needs torch. Directions are not submitted: they are fitted
again, at the position and layer that the result names.
"""

from collections import defaultdict
from collections.abc import Sequence

from polyrefuse.errors import PolyRefuseError
from polyrefuse.results import BASELINE, RANDOM, Result, ablation_condition
from polyrefuse_evaluation.ablation import Method
from polyrefuse_evaluation.answering import Condition, intervention
from polyrefuse_evaluation.directions import random_direction
from polyrefuse_evaluation.generation import generate, plan_batches
from polyrefuse_evaluation.leaderboard.rescore import CompletionKey
from polyrefuse_evaluation.models import LoadedModel, load_model
from polyrefuse_evaluation.progress import progress_bar
from polyrefuse_evaluation.prompt_sets import PromptSets
from polyrefuse_evaluation.select_directions import fit_candidates, render_rows


def load_submitted(result: Result, name: str | None = None) -> LoadedModel:
    """Load the model that a result is of.

    Args:
        result: the result.
        name: Hub id or folder to load instead of the model's own name.

    Raises:
        ModelError: it cannot be loaded.
    """
    return load_model(
        name or result.model.name,
        revision=None if name else result.model.revision,
        dtype=result.model.dtype or "auto",
        seed=result.settings.seed,
    )


def identity_faults(loaded: LoadedModel, result: Result) -> list[str]:
    """Return where a loaded model is not the one that the result names."""
    model, faults = result.model, []
    for what, there, here in (
        ("weights", model.weights_digest, loaded.weights_digest),
        ("chat template", model.chat_template_digest, loaded.chat.digest),
        ("architecture", model.architecture, type(loaded.model).__name__),
        ("number of layers", model.layers, len(loaded.stream.blocks)),
    ):
        if there != here:
            faults.append(f"{what}: submitted {there}, the model has {here}")
    return faults


def regenerate(
    loaded: LoadedModel, sets: PromptSets, result: Result, wanted: Sequence[CompletionKey]
) -> dict[CompletionKey, str]:
    """Return the text of each wanted completion, generated with the result's settings.

    Raises:
        PolyRefuseError: a condition is none that can be generated again.
    """
    prompts = {(row.language, row.id): row for row in sets.test_prompts()}
    by_condition: dict[str, list[CompletionKey]] = defaultdict(list)
    for key in wanted:
        by_condition[key[0]].append(key)
    settings = result.settings
    method: Method = "weights" if settings.ablation_method == "weights" else "hooks"
    texts: dict[CompletionKey, str] = {}
    with progress_bar("Asking again", len(wanted)) as advance:
        for name, keys in by_condition.items():
            sequences = render_rows(loaded, [prompts[language, id_] for _, language, id_ in keys])
            with intervention(loaded, _condition(loaded, sets, result, name), method):
                for batch in plan_batches(
                    sequences, settings.batch_tokens or 16_384, settings.max_new_tokens
                ):
                    chosen = [sequences[at] for at in batch]
                    answers = generate(loaded, chosen, settings.max_new_tokens)
                    texts |= {keys[at]: one.text for at, one in zip(batch, answers, strict=True)}
                    advance(len(batch))
    return texts


def _condition(loaded: LoadedModel, sets: PromptSets, result: Result, name: str) -> Condition:
    if name == BASELINE:
        return Condition(name, None)
    settings = result.settings
    if name == RANDOM:
        return Condition(name, random_direction(loaded.stream.hidden_size, settings.seed))
    for item in result.directions:
        if ablation_condition(item.language) == name:
            assert item.position is not None
            assert item.layer is not None
            fitted = fit_candidates(loaded, sets, item.language, settings.batch_tokens or 16_384)
            return Condition(name, fitted.direction(item.position, item.layer))
    raise PolyRefuseError(f"condition {name!r} cannot be generated again.")
