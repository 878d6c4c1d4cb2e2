"""Build a dataset folder from its sources: the whole recipe, top to bottom.

sources -> duplicates and splits -> translation -> validation -> errata -> folder with card.

What a build must remember stands in a *state folder* beside the dataset folder: downloads and their
digests, frozen splits, the translation cache. A build that is killed at any moment is resumed by
running it again; nothing that was translated is asked for twice, and the same state always gives
the same folder.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from polyrefuse.errors import DatasetError
from polyrefuse.invariants import Erratum, Violation, find_violations, unlisted
from polyrefuse.languages import parse_languages
from polyrefuse.observing import observed, stage
from polyrefuse.prompts import SPLITS, Prompt
from polyrefuse_builders.build_documents import build_card, build_errata, write_build_record
from polyrefuse_builders.build_translation import choose_engine, translate_english
from polyrefuse_builders.sources.manifest import Source
from polyrefuse_builders.sources.prepare import Prepared, prepare
from polyrefuse_builders.sources.recipe import Recipe, read_recipe
from polyrefuse_builders.state_folder import open_state
from polyrefuse_builders.translation import Engine, TranslationCache, TranslationOutcome
from polyrefuse_builders.validation import (
    ValidationReport,
    apply_report,
    validate_prompts,
    write_report,
)
from polyrefuse_builders.write_folder import write_dataset_folder

CANARY: Final = "polyrefuse:canary:0b3f6c1e-9d27-4c55-8a64-6f2f7e9c1d48"
"""Stands in every row of a built dataset, unless its recipe names another."""

STAGES: Final = ("sources", "translate", "validate", "write")


@dataclass(frozen=True)
class BuildReport:
    """What a build made.

    Attributes:
        out: the dataset folder.
        state: the folder with what the build remembers.
        prompts: all rows of the folder, in its order.
        errata: every known fault.
        prepared: what became of the rows of the sources.
        outcome: what the translation took, with every failure and its reason.
        validation: a verdict for every row.
        unlisted: broken invariants that no erratum lists; empty means that `data check` says yes.
    """

    out: Path
    state: Path
    prompts: list[Prompt]
    errata: list[Erratum]
    prepared: Prepared
    outcome: TranslationOutcome
    validation: ValidationReport
    unlisted: list[Violation]

    @property
    def ok(self) -> bool:
        """Whether every row was translated and passed, and every invariant holds or is listed."""
        return self.outcome.ok and self.validation.ok and not self.unlisted


def run_build(
    manifest: Path,
    out: Path,
    *,
    engine: Engine | str | None = None,
    languages: str | Iterable[str] | None = None,
    mirror: Path | None = None,
    cache: Path | None = None,
    state: Path | None = None,
    limit: int | None = None,
    retry_failed: bool = False,
    progress: bool = False,
) -> BuildReport:
    """Build the dataset folder `out`; run it again to resume.

    Args:
        manifest: a recipe, or a manifest of sources (then all that are on by default).
        out: dataset folder to write; an existing one is replaced.
        engine: translation engine or its name; the recipe's by default.
        languages: languages besides English, as ISO 639-1 codes; the recipe's by default.
        mirror: folder with ``<source>/<file>``, used before any download.
        cache: translation cache; ``translations.sqlite`` in the state folder by default.
        state: what the build remembers; ``<out>.build`` by default.
        limit: most prompts of each source.
        retry_failed: ask again for texts whose translation failed before, and no others.
        progress: show stages and bars on stderr.

    Raises:
        ManifestError: recipe or manifest has a typo or a wrong value; names the key.
        EngineError: no engine is named, it does not exist, or it lacks a language.
        DatasetError: a source cannot be had, checked or read, or the folder cannot be written.
        CacheError: the translation cache cannot be used.
    """
    if limit is not None and limit < 1:
        raise DatasetError(f"a limit of {limit} prompts leaves none.", "Use at least 1.")
    recipe, sources = read_recipe(manifest)
    targets = _targets(recipe, languages)
    translator = _engine(recipe, engine, targets)
    state = state or out.expanduser().absolute().with_name(f"{out.name}.build")
    with open_state(state), observed(state, STAGES):
        say = _announce if progress else _be_silent
        say(f"reading {len(sources)} sources")
        canary = recipe.canary or CANARY
        with stage("sources"):
            prepared = prepare(recipe, sources, state, mirror=mirror, limit=limit, canary=canary)
        into = ", ".join(targets) or "no language"
        say(f"translating {len(prepared.prompts)} prompts into {into}")
        store = TranslationCache(cache or state / "translations.sqlite")
        with stage("translate"), store as kept:
            outcome = translate_english(
                prepared.prompts, targets, translator, kept, retry=retry_failed, progress=progress
            )
        say("validating")
        report = _finish(recipe, sources, prepared, outcome, out, state)
        say(f"wrote {len(report.prompts)} rows to {out}")
        return report


def _finish(
    recipe: Recipe,
    sources: dict[str, Source],
    prepared: Prepared,
    outcome: TranslationOutcome,
    out: Path,
    state: Path,
) -> BuildReport:
    """Validate what is translated, list what is not, and write the folder."""
    untranslated = {(row.language, row.id) for row in outcome.failures}
    rows = [row for row in outcome.prompts if (row.language, row.id) not in untranslated]
    rows.sort(key=lambda row: (row.language, SPLITS.index(row.split)))  # as the folder is read
    with stage("validate"):
        validation = validate_prompts(rows)
    with stage("write"):
        prompts = apply_report(rows, validation)
        errata = build_errata(prompts, prepared, outcome, validation)
        card = build_card(prompts, errata, recipe, sources, prepared)
        write_dataset_folder(out, prompts, errata, card)
        write_report(validation.rows, state / "validation.jsonl")
        write_build_record(state / "build.json", prepared, outcome, errata)
        left = unlisted(find_violations(prompts), errata)
    return BuildReport(out, state, prompts, errata, prepared, outcome, validation, left)


def _targets(recipe: Recipe, languages: str | Iterable[str] | None) -> list[str]:
    wanted = recipe.languages if languages is None else parse_languages(languages)
    return [code for code in wanted if code != "en"]


def _engine(recipe: Recipe, engine: Engine | str | None, targets: Sequence[str]) -> Engine:
    """Return the engine to use: the caller's, else the recipe's with its settings."""
    if engine is None:
        engine = recipe.engine
    settings = recipe.engine_settings if engine == recipe.engine else {}
    return choose_engine(engine, targets, settings)


def _announce(line: str) -> None:
    from rich.console import Console

    Console(stderr=True).print(line, highlight=False, markup=False)


def _be_silent(line: str) -> None:
    """Say nothing."""
