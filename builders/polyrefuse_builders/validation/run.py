"""Validate a dataset: read it, learn from it block by block, check each language, report."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from polyrefuse import observing
from polyrefuse.errors import DatasetError
from polyrefuse.folder import iter_lines
from polyrefuse.languages import parse_languages
from polyrefuse.prompts import Prompt
from polyrefuse_builders.validation.blocks import Blocks, NumberedLine
from polyrefuse_builders.validation.context import build_contexts
from polyrefuse_builders.validation.corpus import Corpus
from polyrefuse_builders.validation.options import ValidationOptions
from polyrefuse_builders.validation.report import (
    FigureCount,
    RowReport,
    ValidationFigures,
    ValidationReport,
    write_report,
)
from polyrefuse_builders.validation.rows import check_corpus
from polyrefuse_builders.validation.worker import check_in_parallel

PARALLEL_FROM = 5_000
"""Rows from which starting other processes pays."""

Advance = Callable[[int], None]


def validate_folder(
    folder: Path,
    *,
    languages: str | Iterable[str] | None = None,
    options: ValidationOptions | None = None,
) -> ValidationReport:
    """Validate every row of a dataset folder, and hold what was found of each.

    All languages are read, since they tell about each other; `languages` chooses what is reported.
    A dataset of more than `BLOCK_IDS` ids is validated in blocks: each learns from its own rows,
    and what compares rows compares those of a block.

    Args:
        folder: a dataset folder with English in `prompt_en`.
        languages: ISO 639-1 codes; all that the folder has by default.
        options: how to validate.

    Raises:
        DatasetError: the folder cannot be used, has no rows or no English, or lacks a language.
        UnknownLanguageError: no such language.
    """
    return _in_memory(iter_lines(folder), languages, options, where=f"{folder}: ")


def validate_to_file(
    folder: Path,
    report: Path,
    *,
    languages: str | Iterable[str] | None = None,
    options: ValidationOptions | None = None,
    advance: Advance | None = None,
) -> ValidationFigures:
    """Validate every row of a dataset folder into a file, one block in memory at a time.

    Args:
        folder: a dataset folder with English in `prompt_en`.
        report: file to write, whole or not at all; see `write_report`.
        languages: ISO 639-1 codes; all that the folder has by default.
        options: how to validate.
        advance: called with the bytes that have been validated since it was last called.

    Raises:
        DatasetError: as in `validate_folder`, or `report` cannot be written.
        UnknownLanguageError: no such language.
    """
    with Blocks() as blocks:
        blocks.keep(iter_lines(folder))
        counts = _validate(blocks, languages, options, f"{folder}: ", advance)
        write_report(_counted(blocks.reports(), counts), report)
    return ValidationFigures([count.figures() for count in counts.values()])


def validate_prompts(
    prompts: Sequence[Prompt],
    *,
    languages: str | Iterable[str] | None = None,
    options: ValidationOptions | None = None,
) -> ValidationReport:
    """Validate rows in the order given; see `validate_folder`."""
    lines = ((row, row.model_dump_json().encode()) for row in prompts)
    return _in_memory(lines, languages, options, where="")


def _in_memory(
    lines: Iterable[tuple[Prompt, bytes]],
    languages: str | Iterable[str] | None,
    options: ValidationOptions | None,
    where: str,
) -> ValidationReport:
    with Blocks() as blocks:
        blocks.keep(lines)
        counts = _validate(blocks, languages, options, where)
        rows = list(_counted(blocks.reports(), counts))
    return ValidationReport([count.figures() for count in counts.values()], rows)


def _counted(reports: Iterable[RowReport], counts: dict[str, FigureCount]) -> Iterator[RowReport]:
    for row in reports:
        counts[row.language].add(row)
        yield row


def _validate(
    blocks: Blocks,
    languages: str | Iterable[str] | None,
    options: ValidationOptions | None,
    where: str,
    advance: Advance | None = None,
) -> dict[str, FigureCount]:
    """Validate what is in `blocks`, and keep what is found there; return a count a language.

    The counts have no rows yet. `where` begins every error: what the rows were read from.
    """
    there = blocks.languages()
    wanted = sorted(there) if languages is None else parse_languages(languages)
    _require_english(there, wanted, where)
    sizes = blocks.sizes()
    observing.expect({(None, code): (0, sizes[code]) for code in wanted})
    for block in blocks:
        for code, found in _validate_block(block, wanted, options or ValidationOptions()).items():
            blocks.add_reports(wanted.index(code), found)
            observing.advance(len(found), language=code)
        if advance is not None:
            advance(sum(len(line) + 1 for _, line in block))
    ids = blocks.ids()
    return {code: FigureCount(code, ids) for code in wanted}


def _validate_block(
    block: Sequence[NumberedLine], wanted: Sequence[str], options: ValidationOptions
) -> dict[str, list[tuple[int, RowReport]]]:
    rows: dict[str, list[Prompt]] = defaultdict(list)
    numbers: dict[str, list[int]] = defaultdict(list)
    for number, line in block:
        row = Prompt.model_validate_json(line)
        rows[row.language].append(row)
        numbers[row.language].append(number)
    here = [code for code in wanted if code in rows]
    contexts = build_contexts(rows, here)
    corpora = [Corpus(code, rows[code], contexts[code], options.seed) for code in here]
    return {
        code: list(zip(numbers[code], reports, strict=True))
        for code, reports in zip(here, _check_all(corpora, options), strict=True)
    }


def _require_english(there: dict[str, bool], wanted: Sequence[str], where: str) -> None:
    if not there:
        raise DatasetError(f"{where}there are no rows.", "Build the dataset again.")
    for code in wanted:
        if code not in there:
            raise DatasetError(f"{where}has no language {code!r}.", f"It has {', '.join(there)}.")
        if not there[code]:
            raise DatasetError(
                f"{where}language {code!r} has no English beside its prompts (prompt_en is empty).",
                "Fill prompt_en in: a translation is checked against its English.",
            )


def _check_all(corpora: Sequence[Corpus], options: ValidationOptions) -> list[list[RowReport]]:
    size = sum(len(corpus.rows) for corpus in corpora)
    if options.workers == 1 or len(corpora) == 1 or size < PARALLEL_FROM:
        return [check_corpus(corpus, options) for corpus in corpora]
    return check_in_parallel(corpora, options)
