"""Screenshots of the leaderboard with invented models: ``docs/leaderboard/make_screenshots.py``.

Needs Chromium, its driver and selenium, as the browser test does. Prints the size of each picture.
"""

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "evaluation")]

from benchmarks.synthetic_board import synthetic_board  # noqa: E402
from polyrefuse_evaluation.leaderboard.site.build import write_site  # noqa: E402
from tests.support.browser import Browser, chromium  # noqa: E402

IMAGES = ROOT / "docs" / "images"
MODELS = 13


def main() -> None:
    """Build a site of invented models and take its pictures."""
    board = synthetic_board(MODELS)
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "site"
        write_site(board, site)
        folders = [row.folder for row in board.rows if not row.manifest.self_test]
        with chromium(Path(folder)) as browser:
            for name, page, width, dark in pictures(folders):
                take(
                    browser,
                    f"file://{site}/{page}",
                    IMAGES / f"leaderboard-{name}.png",
                    width,
                    dark,
                )


def pictures(folders: list[str]) -> list[tuple[str, str, int, bool]]:
    """Return name, page, width and whether dark of each picture."""
    compared = ",".join(folders[:3])
    return [
        ("ranking", "index.html", 1280, False),
        ("ranking-dark", "index.html#column=worst_language", 1280, True),
        ("ranking-phone", "index.html", 390, False),
        ("heatmap", "index.html#view=heatmap", 1280, False),
        ("heatmap-phone-dark", "index.html#view=heatmap", 390, True),
        ("compare", f"index.html#view=compare&models={compared}", 1280, False),
        ("model", f"models/{folders[0]}.html", 1280, False),
        ("language-phone", "languages/ar.html", 390, False),
    ]


def take(browser: Browser, url: str, path: Path, width: int, dark: bool) -> None:
    """Take one picture of what a person sees first."""
    browser.view(width, dark)
    browser.open(url)
    browser.driver.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
    if "heatmap" in url:
        browser.js("document.querySelector('#heatmap-table td[data-language=yo]').focus()")
    if "heatmap" in url and width < 600:
        browser.js("document.getElementById('heatmap').scrollIntoView()")
    path.parent.mkdir(parents=True, exist_ok=True)
    browser.driver.save_screenshot(str(path))
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")  # noqa: T201


if __name__ == "__main__":
    main()
