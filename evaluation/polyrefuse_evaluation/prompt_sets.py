"""Which prompts an evaluation uses: checked, per language, split and label, in a fixed order."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from polyrefuse.dataset import SAMPLE_FOLDER, SAMPLE_NAME, resolve_folder
from polyrefuse.errors import DatasetError, PolyRefuseError
from polyrefuse.folder import content_digest, folder_languages, read_errata, read_prompts
from polyrefuse.invariants import find_violations, unlisted
from polyrefuse.languages import parse_languages
from polyrefuse.prompts import LABELS, SPLITS, Prompt
from polyrefuse.results import DatasetRecord
from polyrefuse_evaluation.input_files import InputFiles, watch


@dataclass(frozen=True)
class PromptSets:
    """The prompts of one evaluation.

    Attributes:
        rows: (language, split, label) -> prompts, sorted by id, so that every language has the
            same prompts at the same place.
        languages: languages to evaluate, in order.
        source_languages: languages to fit directions on, in order.
        record: what the result says of the dataset.
        files: the files that were read, as they were before.
    """

    rows: dict[tuple[str, str, str], list[Prompt]]
    languages: list[str]
    source_languages: list[str]
    record: DatasetRecord
    files: InputFiles = field(default_factory=InputFiles)

    def get(self, language: str, split: str, label: str) -> list[Prompt]:
        """Return prompts sorted by id; empty where the dataset has none."""
        return self.rows.get((language, split, label), [])

    def test_prompts(self) -> list[Prompt]:
        """Return all test prompts to be answered, by language, harmful first."""
        return [
            row
            for language in self.languages
            for label in reversed(LABELS)
            for row in self.get(language, "test", label)
        ]


def read_prompt_sets(
    dataset: str | Path | None,
    *,
    revision: str | None = None,
    languages: str | Sequence[str] | None = None,
    source_languages: str | Sequence[str] = ("en",),
    limit: int | None = None,
    train_prompts: int = 128,
) -> PromptSets:
    """Read and check the prompts of an evaluation.

    Args:
        dataset: folder or Hub id; the packaged sample by default.
        revision: commit or tag of a Hub dataset.
        languages: languages to evaluate; all that the dataset has by default.
        source_languages: languages to fit directions on; () where none is fitted.
        limit: most test prompts of each label and language.
        train_prompts: most train prompts of each label and source language.

    Raises:
        DatasetError: the folder cannot be used, breaks an invariant that no erratum lists, or
            lacks prompts that the evaluation needs; names the place.
    """
    if limit is not None and limit < 1:
        raise PolyRefuseError(f"--limit is {limit}.", "It must be at least 1.")
    if train_prompts < 1:
        raise PolyRefuseError(f"--train-prompts is {train_prompts}.", "It must be at least 1.")
    folder = resolve_folder(dataset, revision)
    available = folder_languages(folder)
    wanted = available if languages is None else parse_languages(languages)
    sources = [] if source_languages == () else parse_languages(source_languages)
    used = dict.fromkeys([*wanted, *sources])
    data = [folder / "data" / code / f"{split}.jsonl" for code in used for split in SPLITS]
    files = watch([*data, folder / "errata.jsonl"])
    read = read_prompts(folder, used, SPLITS)
    errata = read_errata(folder)
    broken = unlisted(find_violations(read), errata)
    if broken:
        raise DatasetError(
            f"{folder}: {broken[0]} ({len(broken)} violations in all).",
            f"See them all with 'polyrefuse data check {folder}'.",
        )
    rows: dict[tuple[str, str, str], list[Prompt]] = defaultdict(list)
    for row in sorted(read, key=lambda row: row.id):
        rows[row.language, row.split, row.label].append(row)
    for key, found in rows.items():
        most = {"test": limit, "train": train_prompts}.get(key[1])
        rows[key] = found[:most]
    record = DatasetRecord(
        name=SAMPLE_NAME if folder == SAMPLE_FOLDER else str(dataset),
        revision=revision,
        content_digest=content_digest(read),
        limit=limit,
        errata=len(errata),
    )
    sets = PromptSets(dict(rows), wanted, sources, record, files)
    _require_prompts(sets, folder)
    return sets


def _require_prompts(sets: PromptSets, folder: Path) -> None:
    for language in sets.source_languages:
        for split, label in [(s, x) for s in ("train", "validation") for x in LABELS]:
            if not sets.get(language, split, label):
                raise DatasetError(
                    f"{folder}: source language {language!r} has no {label} {split} prompts.",
                    "Choose other --source-languages, or add the prompts.",
                )
    for language in sets.languages:
        if not sets.get(language, "test", "harmful"):
            raise DatasetError(
                f"{folder}: language {language!r} has no harmful test prompts.",
                "Choose other --languages, or add the prompts.",
            )
