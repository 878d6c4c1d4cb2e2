"""A browser, and a site of invented models to look at."""

import pytest

from benchmarks.synthetic_board import many_rows, synthetic_board
from polyrefuse_evaluation.leaderboard.site.build import main_files, write_site
from tests.support.browser import chromium, serve

LANGUAGES = ["ar", "en", "th", "yo"]


@pytest.fixture(scope="session")
def downloads(tmp_path_factory):
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="session")
def browser(downloads):
    with chromium(downloads) as found:
        yield found


@pytest.fixture(scope="session")
def invented():
    """Return the board of five invented models and a self-test."""
    return synthetic_board(6, languages=LANGUAGES, limit=8)


@pytest.fixture(scope="session")
def invented_site(invented, tmp_path_factory):
    out = tmp_path_factory.mktemp("invented") / "site"
    write_site(invented, out)
    with serve(out) as address:
        yield address


@pytest.fixture(scope="session")
def large_site(tmp_path_factory):
    """500 models x 14 languages: the files that the pages of ranking and heatmap need."""
    out = tmp_path_factory.mktemp("large")
    board = synthetic_board(2, limit=2)
    wanted = ("index.html", "assets/")
    for name, text in main_files(many_rows(board, 500)):
        if name.startswith(wanted):
            path = out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    with serve(out) as address:
        yield address
