"""Add languages to a dataset folder that exists: translate its English, validate, list, write.

What the folder holds stays as it is, row for row; the new languages are checked beside it. Killed
and run again, it goes on where it was, from its translation cache.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from polyrefuse.errors import DatasetError
from polyrefuse.folder import read_errata, read_prompts
from polyrefuse.invariants import Erratum, Violation, find_violations, unlisted
from polyrefuse.languages import parse_languages
from polyrefuse.observing import observed, stage
from polyrefuse.prompts import SPLITS, Prompt
from polyrefuse_builders.build_documents import failed_rows, untranslated_rows
from polyrefuse_builders.build_translation import choose_engine, translate_english
from polyrefuse_builders.card import render_card_about
from polyrefuse_builders.documents.about import read_about
from polyrefuse_builders.errata_summary import sorted_errata
from polyrefuse_builders.state_folder import open_state
from polyrefuse_builders.translation import Engine, TranslationCache, TranslationOutcome
from polyrefuse_builders.validation import (
    ValidationReport,
    apply_report,
    validate_prompts,
    write_report,
)
from polyrefuse_builders.write_folder import write_dataset_folder

STAGES = ("translate", "validate", "write")


@dataclass(frozen=True)
class TranslateReport:
    """What `translate_folder` made.

    Attributes:
        out: the dataset folder.
        prompts: all its rows.
        errata: every known fault, those of the folder before included.
        outcome: what the translation took, with every failure and its reason.
        validation: a verdict for every new row.
        unlisted: broken invariants that no erratum lists.
    """

    out: Path
    prompts: list[Prompt]
    errata: list[Erratum]
    outcome: TranslationOutcome
    validation: ValidationReport
    unlisted: list[Violation]

    @property
    def ok(self) -> bool:
        """Whether every new row was translated and passed, and every invariant holds."""
        return self.outcome.ok and self.validation.ok and not self.unlisted


def translate_folder(
    folder: Path,
    out: Path,
    languages: str | Iterable[str],
    *,
    engine: Engine | str,
    cache: Path | None = None,
    retry_failed: bool = False,
    progress: bool = False,
) -> TranslateReport:
    """Write `folder` with further languages to `out`; run it again to resume.

    Args:
        folder: a dataset folder with English rows.
        out: dataset folder to write; an existing one is replaced.
        languages: ISO 639-1 codes that the folder does not have.
        engine: translation engine or its name.
        cache: translation cache; ``<out>.build/translations.sqlite`` by default.
        retry_failed: ask again for texts whose translation failed before, and no others.
        progress: show bars on stderr.

    Raises:
        EngineError: the engine does not exist, or lacks a language.
        DatasetError: `folder` has no English or one of the languages already, or cannot be read.
        CacheError: the translation cache cannot be used.
    """
    targets = parse_languages(languages)
    translator = choose_engine(engine, targets, {})
    old = read_prompts(folder)
    english = _english_rows(folder, old, targets)
    state = out.expanduser().absolute().with_name(f"{out.name}.build")
    with open_state(state), observed(state, STAGES):
        store = TranslationCache(cache or state / "translations.sqlite")
        with stage("translate"), store as kept:
            outcome = translate_english(
                english, targets, translator, kept, retry=retry_failed, progress=progress
            )
        return _finish(folder, out, old, outcome, state)


def _english_rows(folder: Path, rows: Sequence[Prompt], targets: Sequence[str]) -> list[Prompt]:
    english = [row for row in rows if row.language == "en"]
    if not english:
        raise DatasetError(f"{folder}: has no English rows.", "Translate a folder that has them.")
    for code in targets:
        if any(row.language == code for row in rows):
            raise DatasetError(
                f"{folder}: has language {code!r} already.", "Name another language."
            )
    return english


def _finish(
    folder: Path, out: Path, old: Sequence[Prompt], outcome: TranslationOutcome, state: Path
) -> TranslateReport:
    """Validate the new rows beside the old ones, list what is missing, and write the folder."""
    lost = {(row.language, row.id) for row in outcome.failures}
    new = [
        row
        for row in outcome.prompts
        if row.language != "en" and (row.language, row.id) not in lost
    ]
    if not new:
        raise DatasetError(f"no row could be translated: {outcome.summary()}", "See its reasons.")
    with stage("validate"):
        languages = sorted({row.language for row in new})
        validation = validate_prompts([*old, *new], languages=languages)
    with stage("write"):
        prompts = [*old, *apply_report(new, validation)]
        prompts.sort(key=lambda row: (row.language, SPLITS.index(row.split)))  # as a folder is read
        errata = sorted_errata(
            [*read_errata(folder), *untranslated_rows(outcome), *failed_rows(validation)]
        )
        about = read_about(folder, old)
        write_dataset_folder(out, prompts, errata, render_card_about(prompts, errata, about))
        write_report(validation.rows, state / "validation.jsonl")
        left = unlisted(find_violations(prompts), errata)
    return TranslateReport(out, prompts, errata, outcome, validation, left)
