"""Compare a dataset with another, such as the released PolyRefuse: shared, changed, dropped, added.

Ids depend on the source, so prompts are matched by label and English text. Texts are never shown.
``polyrefuse build diff-upstream`` prints `render_diff`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from polyrefuse.errors import DatasetError
from polyrefuse.folder import content_digest, read_errata, read_prompts
from polyrefuse.invariants import Erratum
from polyrefuse.languages import LANGUAGES
from polyrefuse.prompts import Label, Prompt, normalised
from polyrefuse_builders.documents.figures import languages_of
from polyrefuse_builders.documents.markdown import render_template
from polyrefuse_builders.errata_summary import MEANINGS, sorted_errata

TEMPLATE = "diff.md.j2"

Key = tuple[Label, str]


@dataclass(frozen=True, slots=True)
class LanguageDiff:
    """Prompts of one language in two datasets.

    Attributes:
        language: ISO 639-1 code.
        shared: prompts in both, text and split the same.
        changed: ids (of the new dataset) of prompts in both whose text or split differs.
        dropped: ids (of the old dataset) of prompts that the new one does not have.
        added: ids of prompts that the old dataset does not have.
    """

    language: str
    shared: int
    changed: list[str]
    dropped: list[str]
    added: list[str]


@dataclass(frozen=True, slots=True)
class ErratumFate:
    """What became of the rows that the old dataset's errata name.

    `named` counts (language, id) pairs, `kept` those whose prompt stands in the new dataset with
    the same text in that language.
    """

    kind: str
    entries: int
    named: int
    kept: int
    meaning: str


@dataclass(frozen=True)
class DatasetDiff:
    """All differences between an old and a new dataset."""

    old_digest: str
    new_digest: str
    languages: list[LanguageDiff]
    errata: list[ErratumFate]
    canaries: list[str]

    @property
    def same(self) -> bool:
        """Whether no prompt was changed, dropped or added."""
        return not any(row.changed or row.dropped or row.added for row in self.languages)


def diff_datasets(
    new: Sequence[Prompt], old: Sequence[Prompt], old_errata: Sequence[Erratum] = ()
) -> DatasetDiff:
    """Return how `new` differs from `old`, by language.

    Prompts that stand twice in a dataset are compared once.

    Raises:
        DatasetError: a dataset has no prompts.
    """
    for name, rows in (("new", new), ("old", old)):
        if not rows:
            raise DatasetError(f"The {name} dataset has no prompts.", "Build it first.")
    codes = languages_of([*new, *old])
    return DatasetDiff(
        content_digest(old),
        content_digest(new),
        [_language_diff(code, _by_key(new, code), _by_key(old, code)) for code in codes],
        list(_fates(new, old, old_errata)),
        sorted({row.canary for row in new}),
    )


def diff_upstream(dataset_folder: Path, upstream_import_folder: Path) -> DatasetDiff:
    """Compare `dataset_folder` with the folder that ``build import-upstream`` wrote.

    Raises:
        DatasetError: a folder cannot be read.
    """
    return diff_datasets(
        read_prompts(dataset_folder),
        read_prompts(upstream_import_folder),
        read_errata(upstream_import_folder),
    )


def render_diff(diff: DatasetDiff, *, old_name: str = "the released PolyRefuse") -> str:
    """Return the diff as a page of Markdown: counts, then the ids that changed."""
    return render_template(
        TEMPLATE,
        diff=diff,
        old_name=old_name,
        names={code: language.name for code, language in LANGUAGES.items()},
    )


def _by_key(prompts: Iterable[Prompt], language: str) -> dict[Key, Prompt]:
    found: dict[Key, Prompt] = {}
    for row in prompts:
        if row.language == language:
            found.setdefault((row.label, normalised(row.prompt_en)), row)
    return found


def _language_diff(code: str, new: dict[Key, Prompt], old: dict[Key, Prompt]) -> LanguageDiff:
    both = [key for key in new if key in old]
    changed = sorted(
        new[key].id
        for key in both
        if (new[key].prompt, new[key].split) != (old[key].prompt, old[key].split)
    )
    return LanguageDiff(
        code,
        len(both) - len(changed),
        changed,
        sorted(row.id for key, row in old.items() if key not in new),
        sorted(row.id for key, row in new.items() if key not in old),
    )


def _fates(
    new: Sequence[Prompt], old: Sequence[Prompt], errata: Iterable[Erratum]
) -> Iterable[ErratumFate]:
    """Yield one fate a kind of erratum. ``*`` names a row in every language that has the id."""
    standing = {(row.language, row.label, normalised(row.prompt_en), row.prompt) for row in new}
    kept: dict[tuple[str, str], bool] = {}
    languages: dict[str, list[str]] = {}
    for row in old:
        key = (row.language, row.label, normalised(row.prompt_en), row.prompt)
        kept[row.language, row.id] = key in standing
        languages.setdefault(row.id, []).append(row.language)
    groups: dict[str, list[Erratum]] = {}
    for erratum in sorted_errata(errata):
        groups.setdefault(erratum.kind, []).append(erratum)
    for kind, group in groups.items():
        named = {
            (code, id_)
            for erratum in group
            for id_ in erratum.ids
            for code in (languages.get(id_, []) if erratum.language == "*" else [erratum.language])
        }
        still = sum(kept.get(pair, False) for pair in named)
        yield ErratumFate(kind, len(group), len(named), still, MEANINGS.get(kind, ""))
