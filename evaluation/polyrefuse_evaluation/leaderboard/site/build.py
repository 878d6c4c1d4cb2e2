"""From submissions to a folder of files: verify, rank, render, write.

Only a folder that is empty, or that this built, is written to. Rejected submissions are left out of
the site and handed back in the board, never dropped in silence.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from polyrefuse.atomic import whole_folder
from polyrefuse.errors import PolyRefuseError
from polyrefuse_evaluation.leaderboard.board import Board, read_board
from polyrefuse_evaluation.leaderboard.site import data, downloads, language_page, pages
from polyrefuse_evaluation.leaderboard.sources import SAMPLE_SOURCE, Source
from polyrefuse_evaluation.progress import progress_bar

MARKER = ".polyrefuse-leaderboard"
"""Stands in every built site, and says that it may be built again."""

ASSETS = Path(__file__).parent / "assets"
REPORT_STYLES = ("report.css", "sections.css")
FOLDER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9]|[._-]+(?=[A-Za-z0-9])){0,250}")


def build_site(
    results: Sequence[Path],
    out: Path,
    sources: Sequence[Source] = (SAMPLE_SOURCE,),
    rescored: Path | None = None,
) -> Board:
    """Verify submissions and write the site of those that are accepted; return the board.

    Args:
        results: submissions, or folders of them.
        out: folder of the site: new, empty, or built before.
        sources: the pinned datasets.
        rescored: the maintainers' record of rescored submissions.

    Raises:
        PolyRefuseError: there is no submission, or `out` cannot be written or holds other files.
    """
    refuse_foreign(out)
    board = read_board(results, sources, rescored)
    write_site(board, out)
    return board


def write_site(board: Board, out: Path) -> None:
    """Write the site of a board, in place of what was built there before.

    Raises:
        PolyRefuseError: `out` cannot be written or holds other files.
    """
    refuse_foreign(out)
    try:
        with whole_folder(out) as fresh:
            for name, pieces in site_pieces(board):
                path = fresh / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("w", encoding="utf-8", newline="\n") as stream:
                    stream.writelines(pieces)
    except OSError as error:
        raise PolyRefuseError(
            f"{out}: the site cannot be written ({error.strerror}).",
            "Free some space, or name a folder that can be written, and run again.",
        ) from error


def site_files(board: Board) -> Iterator[tuple[str, str]]:
    """Yield (path in the site, text) of every file; see `site_pieces`."""
    return ((name, "".join(pieces)) for name, pieces in site_pieces(board))


def site_pieces(board: Board) -> Iterator[tuple[str, Iterable[str]]]:
    """Yield (path in the site, text in pieces) of every file; no piece is of more than one model.

    Raises:
        PolyRefuseError: a submission's folder has no name that is safe in an address.
    """
    yield MARKER, ["Built by polyrefuse leaderboard build; will be replaced when built again.\n"]
    yield "README.md", [downloads.SPACE]
    yield from main_pieces(board)
    with progress_bar("Writing pages", len(board.rows)) as advance:
        for row in board.rows:
            if not FOLDER.fullmatch(row.folder):
                raise PolyRefuseError(
                    f"{row.folder!r}: no name for a page.", "Make the submission again."
                )
            yield f"models/{row.folder}.html", [pages.model_html(board, row)]
            advance(1)
    rates = language_page.rates_of(board)
    for code in data.known_languages(board):
        yield f"languages/{code}.html", [pages.language_html(board, rates, code)]


def main_files(board: Board) -> Iterator[tuple[str, str]]:
    """Yield (path, text) of the files that do not grow in number with models."""
    return ((name, "".join(pieces)) for name, pieces in main_pieces(board))


def main_pieces(board: Board) -> Iterator[tuple[str, Iterable[str]]]:
    """Yield the files that do not grow in number with models: pages, assets, downloads."""
    yield "index.html", [pages.index_page(board)]
    yield "published.html", [pages.published_page(board)]
    yield "assets/board.js", [data.as_script(data.board_data(board))]
    for path in sorted(ASSETS.iterdir()):
        yield f"assets/{path.name}", [path.read_text(encoding="utf-8")]
    for name in REPORT_STYLES:
        path = pages.REPORT_TEMPLATES / name
        yield f"assets/{name}", [path.read_text(encoding="utf-8")]
    yield "data/ranking.csv", [downloads.ranking_csv(board)]
    yield "data/cells.csv", downloads.cells_csv(board)
    yield "data/results.json", downloads.results_json(board)
    yield "data/reference.csv", [downloads.reference_csv(board.reference)]
    yield "data/citation.bib", [downloads.citation_bib(board.reference)]


def refuse_foreign(out: Path) -> None:
    """Refuse a place that holds something that this did not build.

    Raises:
        PolyRefuseError: `out` is no folder, or has files but no marker.
    """
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise PolyRefuseError(f"{out}: is no folder.", "Name a new folder for the site.")
    if out.is_dir() and any(out.iterdir()) and not (out / MARKER).is_file():
        raise PolyRefuseError(
            f"{out}: holds files that are no leaderboard site.", "Name a new or an empty folder."
        )
