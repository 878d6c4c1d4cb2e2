"""The files of the site: nothing of a submission runs in them, nothing is overwritten."""

import csv
import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from benchmarks.synthetic_board import HOSTILE, spoil
from polyrefuse.errors import PolyRefuseError
from polyrefuse_evaluation.leaderboard.board import read_board
from polyrefuse_evaluation.leaderboard.reference import STATUS
from polyrefuse_evaluation.leaderboard.site import data
from polyrefuse_evaluation.leaderboard.site.build import (
    ASSETS,
    MARKER,
    site_files,
    site_pieces,
    write_site,
)
from polyrefuse_evaluation.leaderboard.submission import make_submission
from tests.evaluation.leaderboard.conftest import fake_run

ELEMENTS = {"script", "link", "img", "iframe", "object", "embed", "video", "audio", "source"}


class Tags(HTMLParser):
    """Collects elements, and what of them the browser would ask for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def files(invented):
    return dict(site_files(invented))


@pytest.fixture(scope="module")
def spoilt(invented):
    return dict(site_files(spoil(invented)))


def pages(files) -> dict[str, str]:
    return {name: text for name, text in files.items() if name.endswith(".html")}


def test_every_model_and_language_has_a_page(invented, files):
    board = invented
    for row in board.rows:
        page = files[f"models/{row.folder}.html"]
        for part in ("What became of each response", "The directions", "How to reproduce"):
            assert part in page
    assert {"languages/ar.html", "languages/yo.html"} <= set(files)
    assert '<bdi class="native" lang="ar" dir="rtl">' in files["languages/ar.html"]


def test_hostile_text_is_text(files, spoilt):
    count = lambda found: [tag for tag, _ in found]  # noqa: E731
    for name, page in pages(spoilt).items():
        assert "<script>alert" not in page
        assert "\u202e" not in page
        assert count(Tags(page).found) == count(Tags(files[name]).found), name


def test_an_unescaped_template_would_be_seen(files, spoilt):
    name = "index.html"
    escaped = "&lt;script&gt;alert(1)&lt;/script&gt;"
    assert escaped in spoilt[name]
    broken = spoilt[name].replace(escaped, "<script>alert(1)</script>")
    assert len(Tags(broken).found) != len(Tags(files[name]).found)


def test_data_cannot_leave_its_script(spoilt):
    script = spoilt["assets/board.js"]
    assert "<" not in script
    assert script.count("\n") == 1
    read = json.loads(script.removeprefix(f"globalThis.{data.VARIABLE} = ").rstrip(";\n"))
    assert HOSTILE in {row["model"] for row in read["rows"]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        data.as_script({"value": float("nan")})


def test_no_spreadsheet_runs_a_name(spoilt):
    for name in ("data/ranking.csv", "data/cells.csv"):
        lines = list(csv.DictReader(io.StringIO(spoilt[name])))
        shown = HOSTILE.replace("\u202e", "⟦U+202E⟧")
        assert f"'{shown}" in {line["model"] for line in lines}
        assert not any(line["model"].startswith("=") for line in lines)


def test_pages_ask_for_nothing_outside_their_folder(files):
    for name, page in pages(files).items():
        policies = [a for tag, a in Tags(page).found if tag == "meta" and "http-equiv" in a]
        assert "default-src 'none'" in policies[0]["content"]
        for tag, attributes in Tags(page).found:
            assert not any(key.startswith("on") for key in attributes), (
                f"{name}: {tag} {attributes}"
            )
            asked = attributes.get("src") or attributes.get("href")
            if tag in ELEMENTS and asked:
                assert not re.match(r"[a-z]+://|//", asked), f"{name}: {asked}"
    assert not any("url(" in files[f"assets/{x}.css"] for x in ("report", "sections", "site"))


def test_the_links_of_every_page_lead_somewhere(files):
    for name, page in pages(files).items():
        base = name.split("/")[:-1]
        for tag, attributes in Tags(page).found:
            target = (attributes.get("href") or attributes.get("src") or "").partition("#")[0]
            if not target or re.match("[a-z]+:", target) or tag == "meta":
                continue
            parts = [*base, *target.split("/")]
            while ".." in parts:
                at = parts.index("..")
                del parts[at - 1 : at + 1]
            assert "/".join(parts) in files, f"{name} links to {target}"


def test_published_figures_stand_apart(files):
    board = json.loads(files["assets/board.js"].split(" = ", 1)[1].rstrip(";\n"))
    ranked = {row["model"] for row in board["rows"]}
    assert not any("gemma" in name for name in ranked)
    assert "google/gemma-2-9b-it" in files["index.html"]
    assert STATUS in files["published.html"]
    assert {
        line["status"] for line in csv.DictReader(io.StringIO(files["data/reference.csv"]))
    } == {STATUS}
    assert "google/gemma" not in files["data/ranking.csv"]


def test_it_is_a_static_space_with_the_library_s_licence(files):
    assert "sdk: static" in files["README.md"].split("---")[1]
    licence = (ASSETS / "table-core.LICENSE.txt").read_text(encoding="utf-8")
    assert "MIT License" in licence
    assert files["assets/table-core.LICENSE.txt"] == licence
    assert "@software{polyrefuse" in files["data/citation.bib"]
    assert "@inproceedings{wang2025refusal" in files["data/citation.bib"]


def test_the_same_board_gives_the_same_bytes(invented, files):
    assert dict(site_files(invented)) == files


def test_what_is_written_model_by_model_is_one_file(invented, files, tmp_path):
    text = files["data/results.json"]
    assert json.dumps(json.loads(text), ensure_ascii=False) + "\n" == text
    lines = list(csv.reader(io.StringIO(files["data/cells.csv"])))
    cells = sum(len(row.result.cells) for row in invented.rows)
    assert len(lines) == 1 + cells
    assert {len(line) for line in lines} == {len(lines[0])}
    write_site(invented, tmp_path / "site")
    for name in ("data/results.json", "data/cells.csv"):
        assert (tmp_path / "site" / name).read_text(encoding="utf-8") == files[name]
        pieces = [list(found) for path, found in site_pieces(invented) if path == name]
        assert max(map(len, pieces[0])) < len(files[name]) / 3, "no piece is the whole"


def test_building_needs_no_model_library():
    hide = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "transformers", "matplotlib", "lingua", "safetensors"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Hidden())
import polyrefuse_evaluation.leaderboard.site.build
"""
    done = subprocess.run(
        [sys.executable, "-c", hide], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_only_a_site_is_written_over(invented, tmp_path):
    out = tmp_path / "site"
    write_site(invented, out)
    (out / "stale.html").write_text("old", encoding="utf-8")
    write_site(invented, out)
    assert not (out / "stale.html").exists()
    (out / MARKER).unlink()
    with pytest.raises(PolyRefuseError, match="no leaderboard site"):
        write_site(invented, out)
    (tmp_path / "link").symlink_to(out)
    with pytest.raises(PolyRefuseError, match="no folder"):
        write_site(invented, tmp_path / "link")


def test_a_folder_name_that_is_no_page_name_is_refused(invented):
    board = invented
    for name in ("../x", "a/b", ".hidden", "a\nb", ""):
        rows = [replace(board.rows[0], folder=name)]
        with pytest.raises(PolyRefuseError, match="no name for a page"):
            dict(site_files(replace(board, rows=rows)))


def test_the_command_builds_and_leaves_out_what_is_rejected(tmp_path, capsys, monkeypatch):
    from polyrefuse.cli import main

    for name in ("one", "two"):
        fake_run(tmp_path / name, f"org/{name}", variety=f"{name}.")
        make_submission(tmp_path / name, tmp_path / "results")

    def build() -> int:
        words = ["leaderboard", "build", str(tmp_path / "results"), "--out", str(tmp_path / "site")]
        monkeypatch.setattr("sys.argv", ["polyrefuse", *words])
        with pytest.raises(SystemExit) as done:
            main()
        return int(done.value.code or 0)

    assert build() == 0
    assert "models: 2, self-tests: 0" in capsys.readouterr().out
    [spoilt] = [x for x in (tmp_path / "results").iterdir() if "two" in x.name]
    text = (spoilt / "result.json").read_text(encoding="utf-8")
    (spoilt / "result.json").write_text(text + "\n", encoding="utf-8")
    assert build() == 1
    assert "rejected" in capsys.readouterr().out
    page = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert "Rejected when this site was built" in page
    assert len(read_board([tmp_path / "results"]).rows) == 1
