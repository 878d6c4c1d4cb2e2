"""Render all documents of a dataset into a folder: what ``polyrefuse build card DIR`` does."""

from collections.abc import Sequence
from pathlib import Path

from polyrefuse.atomic import write_whole
from polyrefuse.errors import DatasetError
from polyrefuse.folder import read_errata, read_prompts
from polyrefuse.invariants import Erratum
from polyrefuse.plain_file import require_own_files
from polyrefuse.prompts import Prompt
from polyrefuse_builders.card import render_card_about
from polyrefuse_builders.diff_upstream import diff_datasets, render_diff
from polyrefuse_builders.documents.about import About, about_rows, read_about
from polyrefuse_builders.documents.changelog import render_changelog
from polyrefuse_builders.documents.croissant import render_croissant
from polyrefuse_builders.documents.datasheet import render_datasheet
from polyrefuse_builders.documents.eval_yaml import render_eval_yaml
from polyrefuse_builders.documents.figures import languages_of
from polyrefuse_builders.documents.language_page import render_language_page

CARD = "README.md"
CHANGELOG = "CHANGELOG.md"
UPSTREAM = "upstream.md"
DOCUMENTS = (CARD, CHANGELOG, UPSTREAM, "datasheet.md", "croissant.json", "eval.yaml")
"""Names of the documents at the top of a folder; pages stand in ``languages/<code>.md``."""

LANGUAGE_PAGES = "languages"


def render_documents(
    prompts: Sequence[Prompt],
    errata: Sequence[Erratum],
    out: Path,
    *,
    about: About | None = None,
    previous: Sequence[Prompt] = (),
    upstream: Path | None = None,
    card_name: str = CARD,
) -> list[Path]:
    """Write card, datasheet, language pages, Croissant, eval.yaml and changelog into `out`.

    Args:
        prompts: all rows; every figure is measured on them.
        errata: known faults.
        out: folder to write into; other files there stay, pages of languages without rows go.
        about: name, licence, description and sources; by default what the rows tell.
        previous: rows of the version before, for the changelog.
        upstream: folder of ``build import-upstream``, for the comparison with the release.
        card_name: file name of the card.

    Returns:
        The files written, sorted.

    Raises:
        DatasetError: no prompts, no harmful test prompts, or `out` cannot be written.
    """
    if not prompts:
        raise DatasetError(f"{out}: there are no prompts to document.", "Build them first.")
    about = about or about_rows(prompts)
    texts = document_texts(prompts, errata, about, card_name=card_name)
    existing = out / CHANGELOG
    try:
        so_far = existing.read_text(encoding="utf-8") if existing.is_file() else ""
        texts[CHANGELOG] = render_changelog(prompts, about, existing=so_far, previous=previous)
        if upstream is not None:
            diff = diff_datasets(prompts, read_prompts(upstream), read_errata(upstream))
            texts[UPSTREAM] = render_diff(diff)
        return _write(out, texts)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DatasetError(
            f"{getattr(error, 'filename', None) or out}: documents cannot be written ({reason}).",
            "Free some space, or name a folder that you may write to.",
        ) from error


def render_folder(folder: Path, *, upstream: Path | None = None) -> list[Path]:
    """Render the documents of a dataset folder into it, from its rows, errata and card.

    Raises:
        DatasetError: the folder cannot be read or written.
    """
    prompts, errata = read_prompts(folder), read_errata(folder)
    about = read_about(folder, prompts)
    return render_documents(prompts, errata, folder, about=about, upstream=upstream)


def document_texts(
    prompts: Sequence[Prompt], errata: Sequence[Erratum], about: About, *, card_name: str = CARD
) -> dict[str, str]:
    """Return the documents that depend on nothing but the rows: path to text.

    Raises:
        DatasetError: no prompts, or no harmful test prompts.
    """
    texts = {
        card_name: render_card_about(prompts, errata, about),
        "datasheet.md": render_datasheet(prompts, errata, about),
        "croissant.json": render_croissant(prompts, about),
        "eval.yaml": render_eval_yaml(prompts, about),
    }
    for code in languages_of(prompts):
        texts[f"{LANGUAGE_PAGES}/{code}.md"] = render_language_page(prompts, errata, code)
    return texts


def _write(out: Path, texts: dict[str, str]) -> list[Path]:
    require_own_files(out, [LANGUAGE_PAGES, *texts])
    pages = out / LANGUAGE_PAGES
    pages.mkdir(parents=True, exist_ok=True)
    for stale in pages.glob("??.md"):
        if f"{LANGUAGE_PAGES}/{stale.name}" not in texts:
            stale.unlink()
    for name, text in texts.items():
        write_whole(out / name, text)
    return sorted(out / name for name in texts)
