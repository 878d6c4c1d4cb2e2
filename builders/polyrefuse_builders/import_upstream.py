"""Turn the released PolyRefuse files into a dataset folder, with every fault listed.

The recipe, top to bottom: read the release, give every English row an id, set aside files whose
rows do not translate the English ones, make the prompts, list the errata, write the folder. Text is
kept as it is but for Unicode NFC; rows that cannot be used are kept in ``quarantine.jsonl``.
"""

import json
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from polyrefuse.invariants import Erratum
from polyrefuse.plain_file import plain
from polyrefuse.prompts import SPLITS, Label, Prompt, Split, make_prompt_id
from polyrefuse_builders import upstream_errata as find
from polyrefuse_builders.alignment import Alignment, measure_alignment
from polyrefuse_builders.card import render_card
from polyrefuse_builders.errata_summary import errata_table, sorted_errata
from polyrefuse_builders.upstream_categories import unified_category
from polyrefuse_builders.upstream_files import Part, Release, Row, TranslatedFile, read_release
from polyrefuse_builders.write_folder import write_dataset_folder

__all__ = ["ImportReport", "QuarantinedRow", "errata_table", "import_upstream"]

SOURCE = "upstream_polyrefuse"
LICENCE = "Apache-2.0"
TRANSLATOR = "upstream (machine translation, service not recorded)"
CANARY = "polyrefuse:canary:5ad29381-ae40-42f3-9c12-aa1366f30ae0"
"""Stands in every row, so that the dataset can be found in training data."""

DESCRIPTION = (
    "The harmful and harmless prompts released with the paper *Refusal Direction is Universal "
    "Across Safety-Aligned Languages* (arXiv 2505.17306), parallel by id. Harmful prompts are to "
    "be refused, harmless ones to be answered."
)
SOURCE_LINES = (
    "Released files of [mainlp/Multilingual-Refusal](https://github.com/mainlp/Multilingual-Refusal)"
    ", Apache-2.0; English from HarmBench, JailbreakBench, StrongREJECT and others, as sampled by "
    "[andyrdt/refusal_direction](https://github.com/andyrdt/refusal_direction).",
    "Imported by `polyrefuse build import-upstream`: English of train and validation recovered by "
    "position, categories of three schemes mapped to one (`source_category` keeps the original).",
    "`source_id` is upstream's label, split and position from 0, such as `harmful_test#17`.",
)


class QuarantinedRow(BaseModel):
    """One row that cannot be given an id, one line of ``quarantine.jsonl``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    position: int
    language: str
    label: Label
    split: Split
    text: str
    reason: str


@dataclass(frozen=True)
class ImportReport:
    """What an import made.

    Attributes:
        prompts: all rows, in the order of the folder (language, split, label, position).
        errata: every fault found.
        quarantined: rows that were set aside.
        alignments: how well each translated file fits its English, by file name.
    """

    prompts: list[Prompt]
    errata: list[Erratum]
    quarantined: list[QuarantinedRow]
    alignments: dict[str, Alignment]

    def counts(self) -> Counter[tuple[str, str, str]]:
        """Return rows per (language, label, split)."""
        return Counter((row.language, row.label, row.split) for row in self.prompts)


def import_upstream(upstream: Path, out: Path) -> ImportReport:
    """Turn the released files in `upstream` into a dataset folder at `out`.

    Args:
        upstream: the folder that holds ``PolyRefuse/`` and ``splits/``.
        out: where to write; an existing dataset folder there is replaced.

    Raises:
        DatasetError: a file or row cannot be used, or `out` cannot be written.
    """
    report = build_import(read_release(upstream))
    card = render_card(
        report.prompts,
        report.errata,
        name="PolyRefuse, the released prompts",
        licence=LICENCE,
        description=DESCRIPTION,
        sources=[*SOURCE_LINES, *_alignment_lines(report)],
    )
    extra = {}
    if report.quarantined:
        extra["quarantine.jsonl"] = "".join(
            json.dumps(row.model_dump(), ensure_ascii=False) + "\n" for row in report.quarantined
        )
    for licence in sorted(upstream.glob("LICENSE*"))[:1]:
        extra["LICENSE"] = plain(licence).read_text(encoding="utf-8", errors="replace")
    write_dataset_folder(out, report.prompts, report.errata, card, extra)
    return report


def build_import(release: Release) -> ImportReport:
    """Make prompts, errata and quarantine of a release; pure, writes nothing."""
    ids = {
        part: [
            make_prompt_id(part.label, SOURCE, f"{part}#{position}", row.text)
            for position, row in enumerate(rows)
        ]
        for part, rows in release.english.items()
    }
    alignments = {
        file.name: measure_alignment(
            [row.text for row in release.english[file.part]], [row.text for row in file.rows]
        )
        for file in release.files.values()
    }
    aside = {
        name
        for name, alignment in alignments.items()
        if alignment.decidable and not alignment.parallel
    }
    raw = list(_raw_prompts(release, ids, aside))
    raw.sort(key=lambda row: (row.language, SPLITS.index(row.split)))  # as the folder is read
    prompts = [_to_nfc(row) for row in raw]
    changed = [after for before, after in zip(raw, prompts, strict=True) if before != after]
    errata = [*_find_errata(release, ids, alignments, prompts), *find.normalised_texts(changed)]
    quarantined = [
        row for file in release.files.values() if file.name in aside for row in _quarantine(file)
    ]
    return ImportReport(prompts, sorted_errata(errata), quarantined, alignments)


def _find_errata(
    release: Release, ids: find.Ids, alignments: dict[str, Alignment], prompts: list[Prompt]
) -> Iterator[Erratum]:
    yield from find.missing_files(release, ids)
    for file in release.files.values():
        yield from find.alignment_errata(file, alignments[file.name], ids[file.part])
        yield from find.other_categories(file, release.english[file.part], ids[file.part])
    english = [row for row in prompts if row.language == "en"]
    yield from find.repeated_english(prompts)
    yield from find.near_duplicates(english)
    yield from find.collisions(prompts)
    yield from find.uncategorised(english)
    yield from find.english_not_in_splits(release, ids)


def _raw_prompts(release: Release, ids: find.Ids, aside: set[str]) -> Iterator[Prompt]:
    """Make the prompts of every part and language, text untouched."""
    for part, english in release.english.items():
        for language in release.languages:
            file = release.files.get((part, language))
            if language == "en":
                texts = [row.text for row in english]
            elif file is None or file.name in aside:
                continue
            else:
                texts = [row.text for row in file.rows]
            for position, row in enumerate(english):
                yield _prompt(part, language, position, texts[position], row, ids[part][position])


def _prompt(part: Part, language: str, position: int, text: str, row: Row, id_: str) -> Prompt:
    return Prompt(
        id=id_,
        language=language,
        label=part.label,
        prompt=text,
        prompt_en=row.text,
        category=unified_category(part.label, row.category),
        source_category=row.category,
        source=SOURCE,
        source_id=f"{part}#{position}",
        license=LICENCE,
        split=part.split,
        translator="source" if language == "en" else TRANSLATOR,
        canary=CANARY,
    )


def _to_nfc(row: Prompt) -> Prompt:
    texts = {"prompt": row.prompt, "prompt_en": row.prompt_en}
    changed = {
        name: unicodedata.normalize("NFC", text)
        for name, text in texts.items()
        if not unicodedata.is_normalized("NFC", text)
    }
    return row.model_copy(update=changed) if changed else row


def _quarantine(file: TranslatedFile) -> Iterator[QuarantinedRow]:
    for position, row in enumerate(file.rows):
        yield QuarantinedRow(
            file=file.name,
            position=position,
            language=file.language,
            label=file.part.label,
            split=file.part.split,
            text=row.text,
            reason="not_parallel",
        )


def _alignment_lines(report: ImportReport) -> Iterator[str]:
    kept = [fit.correlation for fit in report.alignments.values() if fit.parallel]
    if kept:
        yield (
            f"Rows of {len(kept)} translated files were checked to stand in the order of the "
            f"English ones: rank correlation of text lengths {min(kept):.2f} to {max(kept):.2f}."
        )
    if report.quarantined:
        yield (
            f"{len(report.quarantined)} translated rows that belong to no English row are kept in "
            "`quarantine.jsonl`, outside all configs."
        )
