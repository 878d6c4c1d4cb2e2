"""No page runs a script that a text brought: each is opened in Chromium with hostile texts."""

import re
from pathlib import Path
from typing import Any

import jinja2
import pytest

from benchmarks import synthetic_board as synthetic
from polyrefuse_evaluation.report import CompletionRow, write_report
from tests.abuse import seeds
from tests.abuse.terminal import HOSTILE
from tests.evaluation.report.factories import make_result
from tests.evaluation.report.judged import as_endpoint, with_calibration, with_second_judge
from tests.support.browser import chromium, serve

MARK = "window.ran=(window.ran||0)+1;document.documentElement.dataset.ran=1"
PAYLOADS = (
    f"<script>{MARK}</script>",
    f"</script><script>{MARK}</script>",
    f"</title></style></textarea><script>{MARK}</script>",
    f'"><img src=x onerror="{MARK}">',
    f"' onmouseover='{MARK}' autofocus onfocus='{MARK}",
    f"<svg onload='{MARK}'></svg><iframe srcdoc=\"<script>parent.ran=1</script>\"></iframe>",
    f"<details open ontoggle='{MARK}'>javascript:{MARK}",
    f"]]><!--<script>{MARK}</script>-->{{{{ 7*7 }}}}{{% raw %}}",
    "$\\frac{$_{<script>",
    HOSTILE,
)
TEXT = " ".join(PAYLOADS)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("downloads")) as found:
        yield found


def ran(browser, folder: Path, name: str) -> bool:
    """Open a page, go over everything that could be triggered; say whether a planted script ran."""
    with serve(folder) as address:
        browser.requests()
        browser.open(f"{address}/{name}")
        browser.js(
            "for (const x of document.querySelectorAll('*')) { for (const e of "
            "['mouseover', 'focus', 'click', 'toggle', 'load', 'error'])"
            " if (!(x.matches('a, button, summary') && e == 'click'))"
            " x.dispatchEvent(new Event(e)); }"
        )
        found = browser.js("return Boolean(window.ran || document.documentElement.dataset.ran)")
        blocked = [x for x in browser.problems() if "Content Security Policy" in x]
        asked = [
            url for url in browser.requests() if not url.startswith((address, "data:", "about:"))
        ]
        assert not asked, asked
        return bool(found or blocked)


def report_page(folder: Path) -> list[str]:
    """Write report.html with hostile text wherever a run, a judge or a user brings some."""
    from polyrefuse.results import JudgeRecord

    text = TEXT.encode("utf-8", "replace").decode()
    small = make_result(languages=("en", "yo"), sources=("en",), model_name=text, planted=False)
    judge = JudgeRecord(name=f"other {text}", version=text)
    result = with_second_judge(as_endpoint(small, endpoint=text), judge)
    result = with_calibration(result, ["en"], files=[text], column=text)
    environment = result.environment.model_copy(
        update={name: text for name in ("platform",) if hasattr(result.environment, name)}
    )
    dataset = result.dataset.model_copy(update={"name": text, "revision": text})
    result = result.model_copy(update={"environment": environment, "dataset": dataset})
    plain = make_result(languages=("en",), sources=("en",), model_name=text, planted=False)
    direction = plain.directions[0].model_copy(update={"refusal_token_texts": [text]})
    plain = plain.model_copy(update={"directions": [direction]})
    rows = [CompletionRow("baseline", "en", text, "harmful", text, text, "complied")]
    for name, made in (("one", result), ("two", plain)):
        (folder / name).mkdir()
        write_report(made, folder / name, completions=rows)
    return ["one/report.html", "two/report.html"]


def figures_page(folder: Path) -> list[str]:
    """Draw the figures of a run by a hostile name; SVG opened by itself is a page, too."""
    from polyrefuse_evaluation.report import write_figures

    text = TEXT.encode("utf-8", "replace").decode()
    write_figures(make_result(languages=("en",), sources=("en",), model_name=text), folder)
    return [str(path.relative_to(folder)) for path in sorted(folder.rglob("*.svg"))[:1]]


def geometry_page(folder: Path) -> list[str]:
    """Write geometry.html with hostile names, titles and paragraphs; its figures hold languages."""
    from polyrefuse_evaluation.geometry import page
    from polyrefuse_evaluation.geometry.results import GeometryTables

    tables = GeometryTables(-1, 1, TEXT)
    with pytest.MonkeyPatch.context() as patch:
        section = page.Section(TEXT, TEXT, TEXT, prints=[TEXT], files=[TEXT])
        patch.setattr(page, "sections", lambda *_: [section])
        texts = dict.fromkeys(_texts_of(page), TEXT)
        page.write_page(folder, tables, TEXT, texts)
    return [page.PAGE]


def _texts_of(page: Any) -> list[str]:
    """Return the paragraphs that the template asks for."""
    template = next(Path(page.__file__).parent.rglob("geometry.html.j2")).read_text("utf-8")
    return re.findall(r'texts\["(\w+)"\]', template)


def residual_page(folder: Path) -> list[str]:
    from polyrefuse_evaluation.residual_space.effects import Effects
    from polyrefuse_evaluation.residual_space.layers import LayerTables
    from polyrefuse_evaluation.residual_space.options import ResidualOptions
    from polyrefuse_evaluation.residual_space.page import NAME, publish
    from polyrefuse_evaluation.residual_space.rows import TokenRow
    from polyrefuse_evaluation.run_directory import RunDirectory

    effects = Effects(tokens=[TokenRow(TEXT, "en", 0, TEXT, 1.0, True)])
    text = TEXT.encode("utf-8", "replace").decode()
    publish(
        RunDirectory(folder),
        [text, text],
        LayerTables(),
        effects,
        None,
        [],
        ResidualOptions(),
        {text: text},
    )
    return [NAME]


def site_pages(folder: Path) -> list[str]:
    from polyrefuse_evaluation.leaderboard.site.build import write_site

    board = synthetic.synthetic_board(2, languages=["en", "th"], limit=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic, "HOSTILE", TEXT.encode("utf-8", "replace").decode())
        spoilt = synthetic.spoil(board)
    write_site(spoilt, folder / "site")
    pages = sorted(folder.rglob("*.html"))
    assert len(pages) > 3
    shown = [path for path in pages if "window.ran" in path.read_text("utf-8")]
    index = [path for path in pages if path.name == "index.html"][:1]
    return [str(path.relative_to(folder)) for path in dict.fromkeys([*index, *shown[:4]])]


def card_pages(folder: Path) -> list[str]:
    """Render the documents of a dataset with hostile rows, as Markdown that allows HTML."""
    from markdown_it import MarkdownIt

    from polyrefuse.prompts import Prompt
    from polyrefuse_builders.documents.about import About
    from polyrefuse_builders.documents.render import document_texts

    text = TEXT.encode("utf-8", "replace").decode()
    spoilt = dict.fromkeys(
        ("prompt", "prompt_en", "source", "source_id", "license", "translator"), text
    )
    rows = [
        Prompt.model_validate(
            {
                **seeds.PROMPT,
                **spoilt,
                "id": f"{text}-{n}",
                "split": split,
                "prompt_en": f"{n}{text}",
                "source_category": text,
                "canary": text,
            }
        )
        for n, split in enumerate(("train", "validation", "test"))
    ]
    about = About(name=text, licence="mit", description="d", sources=[], load_name="x")
    names = []
    for name, content in document_texts(rows, [], about).items():
        if name.endswith(".md"):
            page = MarkdownIt("commonmark", {"html": True}).enable("table").render(_body(content))
            target = folder / f"{len(names)}.html"
            target.write_text(
                f"<!doctype html><meta charset=utf-8>{page}", encoding="utf-8", errors="replace"
            )
            names.append(target.name)
    return names


def _body(content: str) -> str:
    """Return a document without its front matter, which is data and never shown as HTML."""
    return re.sub(r"\A---\n.*?\n---\n", "", content, flags=re.DOTALL)


PAGES = {
    "report": report_page,
    "figures": figures_page,
    "geometry": geometry_page,
    "residual space": residual_page,
    "leaderboard": site_pages,
    "data cards": card_pages,
}


@pytest.mark.parametrize("make", PAGES.values(), ids=PAGES)
def test_no_planted_script_runs(browser, tmp_path, make):
    names = make(tmp_path)
    assert names
    for name in names:
        assert not ran(browser, tmp_path, name), name


def test_a_script_in_a_figure_would_be_seen(browser, tmp_path):
    """The mutation of the figures: an SVG opened by itself runs what is in it."""
    script = f"<script>{MARK}</script>"
    for inside in ("", script):
        text = f'<svg xmlns="http://www.w3.org/2000/svg">{inside}</svg>'
        (tmp_path / "figure.svg").write_text(text, encoding="utf-8")
        assert ran(browser, tmp_path, "figure.svg") == bool(inside)


@pytest.fixture
def unescaped(monkeypatch):
    """The mutation: templates that escape nothing, and pages without a policy."""
    original = jinja2.Environment.__init__

    def init(self: Any, *arguments: Any, **options: Any) -> None:
        original(self, *arguments, **{**options, "autoescape": False, "finalize": None})

    monkeypatch.setattr(jinja2.Environment, "__init__", init)
    from polyrefuse_builders.documents import markdown
    from polyrefuse_evaluation.leaderboard.site import pages

    pages.environment.cache_clear()
    monkeypatch.setattr(markdown, "cell", str)
    monkeypatch.setattr(markdown, "text", lambda value, *_: value)
    yield
    pages.environment.cache_clear()


@pytest.mark.parametrize(
    "name",
    [
        "report",
        *(
            pytest.param(x, marks=[pytest.mark.slow])
            for x in PAGES
            if x not in ("report", "figures")
        ),
    ],
)
def test_without_escaping_it_is_caught(browser, tmp_path, unescaped, name):
    """With the page's policy in place (its refusals are in the console), and without."""
    pages = PAGES[name](tmp_path)
    assert any(ran(browser, tmp_path, page) for page in pages)
    for page in pages:
        path = tmp_path / page
        text = path.read_text(encoding="utf-8", errors="replace")
        path.write_text(
            re.sub(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>", "", text),
            "utf-8",
            "replace",
        )
    assert any(ran(browser, tmp_path, page) for page in pages)
