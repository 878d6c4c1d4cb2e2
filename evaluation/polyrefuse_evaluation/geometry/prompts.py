"""Which languages a geometry run compares, and why one cannot be: reported, not dropped."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from polyrefuse.dataset import resolve_folder
from polyrefuse.errors import DatasetError, UnknownLanguageError
from polyrefuse.folder import folder_languages, read_prompts
from polyrefuse.languages import parse_languages
from polyrefuse.prompts import LABELS, SPLITS
from polyrefuse_evaluation.geometry.options import MINIMUM_PROMPTS, GeometryOptions
from polyrefuse_evaluation.prompt_sets import PromptSets, read_prompt_sets

OK = "ok"
SPLIT = "train"
"""What directions are fitted on, and all activations come from."""


Counts = Mapping[tuple[str, str, str], int]
"""(language, split, label) -> number of prompts."""


@dataclass(frozen=True)
class GeometryPrompts:
    """The prompts of a run.

    Attributes:
        sets: train, validation and test prompts of the languages that can be analysed.
        languages: all languages of the run, in order, analysed or not.
        status: by language, ``ok`` or why it cannot be analysed.
        sources: languages to select a direction in, all of them analysed.
        counts: prompts by language, split and label, before any limit.
    """

    sets: PromptSets
    languages: list[str]
    status: dict[str, str]
    sources: list[str]
    counts: Counts

    @property
    def analysed(self) -> list[str]:
        """Languages with prompts enough, in order."""
        return [language for language in self.languages if self.status[language] == OK]


def read_geometry_prompts(
    dataset: str | Path | None, revision: str | None, options: GeometryOptions
) -> GeometryPrompts:
    """Read and check the prompts of a run.

    Raises:
        DatasetError: the folder cannot be used, or fewer than two languages can be compared.
        UnknownLanguageError: a source is none of the languages.
    """
    folder = resolve_folder(dataset, revision)
    given = options.languages
    languages = folder_languages(folder) if given is None else parse_languages(given)
    asked = languages if options.sources is None else parse_languages(options.sources)
    stray = [source for source in asked if source not in languages]
    if stray:
        raise UnknownLanguageError(
            f"--sources names {stray[0]!r}, which is not among the languages of the run.",
            "Add it to --languages.",
        )
    rows = read_prompts(folder, languages, SPLITS)
    counts: Counts = Counter((row.language, str(row.split), str(row.label)) for row in rows)
    status = {language: _status(counts, language) for language in languages}
    analysed = [language for language in languages if status[language] == OK]
    sources = [x for x in asked if x in analysed and _has_validation(counts, x)]
    _require_languages(folder, status, analysed, sources)
    sets = read_prompt_sets(
        dataset,
        revision=revision,
        languages=analysed,
        source_languages=sources,
        limit=options.limit,
        train_prompts=options.train_prompts,
    )
    return GeometryPrompts(sets, languages, status, sources, counts)


def _status(counts: Counts, language: str) -> str:
    for label in reversed(LABELS):
        found = counts.get((language, SPLIT, label), 0)
        if found < MINIMUM_PROMPTS:
            return f"{found} {label} {SPLIT} prompts, needs {MINIMUM_PROMPTS}"
    if not counts.get((language, "test", "harmful"), 0):
        return "no harmful test prompts"
    return OK


def _has_validation(counts: Counts, language: str) -> bool:
    return all(counts.get((language, "validation", label), 0) for label in LABELS)


def _require_languages(
    folder: Path, status: Mapping[str, str], analysed: Sequence[str], sources: Sequence[str]
) -> None:
    if len(analysed) < 2:
        short = "; ".join(f"{x}: {why}" for x, why in status.items() if why != OK)
        raise DatasetError(
            f"{folder}: fewer than two languages can be compared ({short or 'only one named'}).",
            "Choose other --languages, or add prompts.",
        )
    if not sources:
        raise DatasetError(
            f"{folder}: no source language has prompts enough and validation prompts of both "
            "labels.",
            "Choose other --sources, or add prompts.",
        )
