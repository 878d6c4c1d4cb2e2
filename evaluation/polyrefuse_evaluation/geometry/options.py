"""Choices of a geometry run, and what of them decides its figures."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from polyrefuse.errors import PolyRefuseError
from polyrefuse.reproducibility import require_seed

if TYPE_CHECKING:
    from polyrefuse_evaluation.models import LoadedModel

MINIMUM_PROMPTS = 8
"""Fewer train prompts of a label than this, and a language is reported instead of analysed."""


@dataclass(frozen=True)
class GeometryOptions:
    """Choices of a geometry run.

    Attributes:
        languages: languages to compare; all that the dataset has by default.
        sources: languages whose direction is selected and ablated; all of `languages` by default.
        judge: judge of the answers.
        max_new_tokens: limit on an answer, in tokens.
        limit: most test prompts of each label and language in the transfer matrix.
        train_prompts: most train prompts of each label and language.
        resamples: bootstrap samples, and shuffles of the null.
        seed: of everything that is drawn.
        batch_tokens: padded tokens a batch.
        transfer: whether answers are generated; without, the transfer matrix is left out.
        store_completions: False keeps labels and hashes only.
    """

    languages: str | None = None
    sources: str | None = None
    judge: str = "keyword"
    max_new_tokens: int = 512
    limit: int | None = None
    train_prompts: int = 128
    resamples: int = 1000
    seed: int = 0
    batch_tokens: int = 16_384
    transfer: bool = True
    store_completions: bool = True


def require_sane(options: GeometryOptions) -> None:
    """Raise `PolyRefuseError` for a number that cannot be used."""
    require_seed(options.seed)
    for name, value, least in (
        ("resamples", options.resamples, 100),
        ("max-new-tokens", options.max_new_tokens, 1),
        ("batch-tokens", options.batch_tokens, 1),
        ("train-prompts", options.train_prompts, MINIMUM_PROMPTS),
    ):
        if value < least:
            raise PolyRefuseError(f"--{name} is {value}.", f"It must be at least {least}.")


def settings_on_disk(
    loaded: "LoadedModel",
    options: GeometryOptions,
    languages: Sequence[str],
    sources: Sequence[str],
    dataset: tuple[str, str],
    judge_version: str,
) -> dict[str, Any]:
    """Return what decides the figures: a resumed run must agree with all of it.

    ``transfer`` is not in it: a run without the transfer matrix can be run again with it.

    Args:
        loaded: the model.
        options: the choices.
        languages: languages of the run, in order.
        sources: source languages, in order.
        dataset: its name and content digest.
        judge_version: version of the judge.
    """
    chosen = asdict(options)
    del chosen["transfer"]
    return {
        **chosen,
        "analysis": "geometry",
        "languages": ",".join(languages),
        "sources": ",".join(sources),
        "judge_version": judge_version,
        "model": loaded.name,
        "weights_digest": loaded.weights_digest,
        "chat_template_digest": loaded.chat.digest,
        "dataset": dataset[0],
        "dataset_digest": dataset[1],
        "polyrefuse": version("polyrefuse"),
    }
