"""Validate a dataset: read it, learn from all of it, check each language, report."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from polyrefuse.errors import DatasetError
from polyrefuse.folder import read_prompts
from polyrefuse.languages import parse_languages
from polyrefuse.observing import advance, expect
from polyrefuse.prompts import Prompt
from polyrefuse_builders.validation.context import build_contexts
from polyrefuse_builders.validation.corpus import Corpus
from polyrefuse_builders.validation.options import ValidationOptions
from polyrefuse_builders.validation.report import RowReport, ValidationReport, language_figures
from polyrefuse_builders.validation.rows import check_corpus
from polyrefuse_builders.validation.worker import check_in_parallel

PARALLEL_FROM = 5_000
"""Rows from which starting other processes pays."""


def validate_folder(
    folder: Path,
    *,
    languages: str | Iterable[str] | None = None,
    options: ValidationOptions | None = None,
) -> ValidationReport:
    """Validate every row of a dataset folder.

    All languages are read, since they tell about each other; `languages` chooses what is reported.

    Args:
        folder: a dataset folder with English in `prompt_en`.
        languages: ISO 639-1 codes; all that the folder has by default.
        options: how to validate.

    Raises:
        DatasetError: the folder cannot be used, has no rows or no English, or lacks a language.
        UnknownLanguageError: no such language.
    """
    prompts = read_prompts(folder)
    if not prompts:
        raise DatasetError(f"{folder}: has no rows.", "Build the dataset again.")
    try:
        return validate_prompts(prompts, languages=languages, options=options)
    except DatasetError as error:
        raise DatasetError(f"{folder}: {error.problem}", error.remedy) from error


def validate_prompts(
    prompts: Sequence[Prompt],
    *,
    languages: str | Iterable[str] | None = None,
    options: ValidationOptions | None = None,
) -> ValidationReport:
    """Validate rows in memory, in the order given; see `validate_folder`."""
    rows: dict[str, list[Prompt]] = defaultdict(list)
    for prompt in prompts:
        rows[prompt.language].append(prompt)
    options = options or ValidationOptions()
    wanted = sorted(rows) if languages is None else parse_languages(languages)
    _require_english(rows, wanted)
    contexts = build_contexts(rows, wanted)
    corpora = [Corpus(code, rows[code], contexts[code], options.seed) for code in wanted]
    total = len({prompt.id for prompt in prompts})
    reports = _check_all(corpora, options)
    figures = [
        language_figures(corpus.code, own, total)
        for corpus, own in zip(corpora, reports, strict=True)
    ]
    return ValidationReport([row for own in reports for row in own], figures)


def _require_english(rows: dict[str, list[Prompt]], wanted: Sequence[str]) -> None:
    if not rows:
        raise DatasetError("there are no rows.", "Build the dataset again.")
    for code in wanted:
        if code not in rows:
            raise DatasetError(f"has no language {code!r}.", f"It has {', '.join(sorted(rows))}.")
        if not any(row.prompt_en.strip() for row in rows[code]):
            raise DatasetError(
                f"language {code!r} has no English beside its prompts (prompt_en is empty).",
                "Fill prompt_en in: a translation is checked against its English.",
            )


def _check_all(corpora: Sequence[Corpus], options: ValidationOptions) -> list[list[RowReport]]:
    size = sum(len(corpus.rows) for corpus in corpora)
    expect({(None, corpus.code): (0, len(corpus.rows)) for corpus in corpora})
    if options.workers == 1 or len(corpora) == 1 or size < PARALLEL_FROM:
        return [_counted(corpus, check_corpus(corpus, options)) for corpus in corpora]
    reports = check_in_parallel(corpora, options)
    return [_counted(corpus, own) for corpus, own in zip(corpora, reports, strict=True)]


def _counted(corpus: Corpus, reports: list[RowReport]) -> list[RowReport]:
    advance(len(corpus.rows), language=corpus.code)
    return reports
