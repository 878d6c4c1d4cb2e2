"""The site in Chromium: sorted, filtered, compared, read by keyboard; quick; self-contained."""

import csv
import io
import time
from statistics import median

import pytest

from benchmarks.synthetic_board import spoil
from polyrefuse_evaluation.leaderboard.site.build import ASSETS, write_site
from tests.support.browser import origin

FIRST_PAINT_MS, SORT_MS = 1000, 100
VIEWS = {"light": (1280, False), "dark phone": (390, True)}


def names(browser) -> list[str]:
    """Return the models that the page of the ranking shows, in its order."""
    return browser.js(
        "return [...document.querySelectorAll('#ranking-table tbody th.name a')]"
        ".map(link => link.textContent)"
    )


def press(browser, selector: str) -> None:
    browser.driver.find_element("css selector", selector).click()


def choose(browser, selector: str, value: str) -> None:
    from selenium.webdriver.support.ui import Select

    Select(browser.driver.find_element("css selector", selector)).select_by_value(value)


def text(browser, selector: str) -> str:
    return browser.driver.find_element("css selector", selector).text


def ranked(board, key: str, *, best_first: bool = True) -> list[str]:
    """Return the models that are no self-test, in the order of a column, ties by name."""
    rows = [row for row in board.rows if not row.manifest.self_test]
    sign = -1 if best_first else 1
    rows.sort(key=lambda row: (sign * row.figures[key].value, row.manifest.model))
    return [row.manifest.model for row in rows]


@pytest.fixture(autouse=True)
def fresh(browser):
    browser.view(1280)
    browser.problems()
    browser.requests()


def test_headings_sort_and_say_so(browser, invented, invented_site):
    board = invented
    browser.open(f"{invented_site}/index.html")
    assert names(browser) == ranked(board, "refusal")
    head = browser.driver.find_element("css selector", "th.c-refusal")
    assert head.get_attribute("aria-sort") == "descending"
    press(browser, "th.c-refusal button")
    assert names(browser) == ranked(board, "refusal", best_first=False)
    assert head.get_attribute("aria-sort") == "ascending"
    press(browser, "th.c-over_refusal button")
    assert names(browser) == ranked(board, "over_refusal", best_first=False), "lower is better"
    assert head.get_attribute("aria-sort") is None
    press(browser, "th.name button")
    assert names(browser) == sorted(ranked(board, "refusal"))
    assert "sorted by Model" in text(browser, "#ranking-table caption")


def test_ranks_are_those_of_the_chosen_column(browser, invented, invented_site):
    board = invented
    browser.open(f"{invented_site}/index.html")
    for key in ("worst_language", "compliance_after_ablation"):
        choose(browser, "#column", key)
        shown = browser.js(
            "return Object.fromEntries([...document.querySelectorAll('#ranking-table tbody tr')]"
            ".filter(r => r.querySelector('td.rank')).map(r =>"
            " [r.querySelector('th a').textContent, r.querySelector('td.rank').textContent]))"
        )
        for row in board.rows:
            if not row.manifest.self_test:
                rank = row.ranks[key]
                wanted = f"{rank.best}–{rank.worst}" if rank.best < rank.worst else f"{rank.best}"
                assert shown[row.manifest.model] == wanted


def test_filters_hide_models_and_self_tests_are_hidden_unless_asked_for(
    browser, invented, invented_site
):
    board = invented
    browser.open(f"{invented_site}/index.html")
    assert "planted" not in names(browser)
    press(browser, "input[name=selftests]")
    assert names(browser)[-1] == "planted"
    assert "Self-tests" in text(browser, "#ranking-table tbody:last-child .group")
    choose(browser, "select[name=family]", "Alder")
    alder = [x for x in ranked(board, "refusal") if x.startswith("alder/")]
    assert names(browser) == alder
    assert text(browser, "#count") == f"{len(alder)} of {len(board.rows)} models"
    press(browser, "#reset")
    choose(browser, "select[name=verified]", "rescored")
    marked = {row.manifest.model for row in board.rows if row.rescored}
    assert set(names(browser)) == marked - {"planted"}
    choose(browser, "select[name=size]", "tiny")
    browser.driver.find_element("css selector", "input[name=q]").send_keys("nothing like it")
    assert names(browser) == []
    assert text(browser, "#count") == "No model passes these filters."


def test_a_link_shows_the_state_that_it_was_copied_from(browser, invented, invented_site):
    browser.open(f"{invented_site}/index.html")
    choose(browser, "#column", "language_gap")
    choose(browser, "select[name=family]", "Birch")
    press(browser, "th.c-language_gap button")
    before, link = names(browser), browser.driver.current_url
    browser.open(link)
    assert names(browser) == before
    assert browser.js("return document.getElementById('column').value") == "language_gap"
    hostile = "#view=%3Cscript%3E&models=__proto__,x&column=constructor&size=%22%3E&q=%3Cb%3E"
    browser.open(f"{invented_site}/index.html{hostile}")
    assert names(browser) == []
    assert browser.problems() == []


def test_a_heatmap_cell_is_read_with_the_keyboard(browser, invented, invented_site):
    from selenium.webdriver.common.keys import Keys

    board = invented
    browser.open(f"{invented_site}/index.html#view=heatmap")
    browser.js("document.querySelector('#heatmap-table td').focus()")
    for key in (Keys.ARROW_DOWN, Keys.END):
        browser.driver.switch_to.active_element.send_keys(key)
    model = ranked(board, "refusal")[1]
    row = next(row for row in board.rows if row.manifest.model == model)
    cell = row.result.cell("yo", "baseline", "harmful")
    said = text(browser, "#cell")
    assert said.startswith(f"{model}, Yoruba: refused {cell.counts['refused']} of {cell.judged}")
    assert f"{100 * cell.refusal.low:.1f}–{100 * cell.refusal.high:.1f}%" in said


def test_a_ticked_box_keeps_the_focus(browser, invented_site):
    browser.open(f"{invented_site}/index.html")
    press(browser, "tbody tr:nth-child(3) [data-pick]")
    assert browser.js("return document.activeElement.dataset.pick") is not None
    assert "models=" in browser.driver.current_url


def test_up_to_four_models_are_compared(browser, invented, invented_site):
    board = invented
    browser.open(f"{invented_site}/index.html")
    for box in browser.driver.find_elements("css selector", "[data-pick]")[:4]:
        box.click()
    fifth = browser.driver.find_elements("css selector", "[data-pick]")[4]
    assert not fifth.is_enabled()
    press(browser, "[data-view=compare]")
    heads = "#compared-figures thead th a"
    compared = [x.text for x in browser.driver.find_elements("css selector", heads)]
    assert compared == ranked(board, "refusal")[:4]
    press(browser, "#compared-figures [data-remove]")
    assert len(browser.driver.find_elements("css selector", heads)) == 3
    arabic = browser.driver.find_element("css selector", "#compared-languages bdi[lang=ar]")
    assert arabic.get_attribute("dir") == "rtl"


@pytest.mark.parametrize("view", VIEWS)
def test_no_page_has_a_serious_barrier_an_error_or_a_request_elsewhere(
    browser, invented, invented_site, view
):
    board = invented
    browser.view(*VIEWS[view])
    folders = [row.folder for row in board.rows if not row.manifest.self_test]
    pages = [
        "index.html#selftests=1",
        "index.html#view=heatmap&measure=over_refusal",
        f"index.html#view=compare&models={folders[0]},{folders[1]}",
        f"models/{folders[0]}.html",
        "languages/ar.html",
        "published.html",
    ]
    for page in pages:
        browser.open(f"{invented_site}/{page}")
        assert browser.axe() == [], page
        overflow = (
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert browser.js(overflow) <= 0, f"{page} is wider than the screen"
    assert browser.problems() == []
    asked = [url for url in browser.requests() if not url.startswith(("data:", "about:"))]
    assert {origin(url) for url in asked} == {origin(invented_site)}


def test_these_checks_see_a_barrier_a_request_and_an_error(browser, invented_site):
    browser.open(f"{invented_site}/index.html")
    browser.js(
        "document.querySelector('input[name=q]').closest('label').replaceWith("
        "document.createElement('input'));"
        "const image = new Image(); image.src = 'http://192.0.2.1/x.png';"
        "document.body.append(image)"
    )
    assert any("label" in line for line in browser.axe())
    assert any("192.0.2.1" in line for line in browser.problems()), "refused by the page's policy"


def test_nothing_of_a_submission_runs_in_the_page(browser, invented, tmp_path):
    from selenium.common.exceptions import NoAlertPresentException

    board = spoil(invented)
    write_site(board, tmp_path / "site")
    folder, other = (row.folder for row in board.rows[:2])
    views = ("", "#view=heatmap", f"#view=compare&models={folder},{other}")
    for page in (*(f"index.html{view}" for view in views), f"models/{folder}.html"):
        browser.open(f"file://{tmp_path}/site/{page}")
        with pytest.raises(NoAlertPresentException):
            browser.driver.switch_to.alert.dismiss()
        assert browser.js("return document.images.length") == 0
        assert "<script>alert(1)" in text(browser, "main"), "it is shown, as text"
    assert browser.problems() == []


def test_the_site_runs_from_a_file(browser, invented, tmp_path):
    board = invented
    write_site(board, tmp_path / "site")
    browser.open(f"file://{tmp_path}/site/index.html#view=heatmap")
    assert text(browser, "#heatmap-table tbody th.name") == ranked(board, "refusal")[0]
    assert browser.problems() == []
    asked = [url for url in browser.requests() if not url.startswith(("data:", "about:"))]
    assert all(url.startswith(f"file://{tmp_path}/site/") for url in asked)


SORTS = """
    const [button] = document.querySelectorAll('th.c-over_refusal button');
    const times = [];
    for (let at = 0; at < 9; at++) {
      const start = performance.now();
      button.click();
      document.body.getBoundingClientRect();  // style and layout belong to it
      times.push(performance.now() - start);
    }
    return times;
"""


def first_paint(browser) -> float:
    paints = "return performance.getEntriesByName('first-contentful-paint').map(x => x.startTime)"
    deadline = time.monotonic() + 5
    while not (first := browser.js(paints)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return first[0]


def test_500_models_paint_within_a_second_and_sort_within_a_tenth(browser, large_site):
    """The whole of a sort: from the press to the last row, laid out. The median of nine.

    Other work on the processors slows a round, never the page: the best of up to three rounds.
    """
    for _ in range(3):
        browser.open(f"{large_site}/index.html")
        first, times = first_paint(browser), browser.js(SORTS)
        print(f"first paint {first:.0f} ms; sorts {[round(x) for x in times]} ms")
        if first < FIRST_PAINT_MS and median(times) < SORT_MS:
            break
    assert first < FIRST_PAINT_MS
    assert median(times) < SORT_MS


def test_a_table_that_holds_every_row_would_be_too_slow(browser, large_site):
    """The mutation: a page of 50 rows is what makes sorting quick, not the machine."""
    browser.open(f"{large_site}/index.html")
    page, pageless = "0, first - start), Math.max(0, last + 1 - start)", "0), item.rows.length"
    fill = (ASSETS / "fill.js").read_text(encoding="utf-8")
    assert page in fill
    of_a_page = median(browser.js(SORTS))
    browser.driver.execute_cdp_cmd("Runtime.evaluate", {"expression": fill.replace(page, pageless)})
    of_all = median(browser.js(SORTS))
    assert len(names(browser)) == 500
    assert of_all > 3 * of_a_page


def test_pages_hold_every_model_once_and_keep_the_order(browser, large_site):
    browser.open(f"{large_site}/index.html")
    press(browser, "th.c-over_refusal button")
    said = "#ranking [data-page-text]"
    assert text(browser, said) == "Models 1–50 of 500"
    shown, values = [], []
    for page in range(10):
        shown += names(browser)
        values += browser.js(
            "return [...document.querySelectorAll('#ranking-table td.c-over_refusal .value')]"
            ".map(x => Number(x.textContent))"
        )
        press(browser, "#ranking [data-step='1']")
        assert browser.js("return document.activeElement.dataset.step") == "1", page
    assert len(shown) == len(set(shown)) == 500
    assert values == sorted(values)
    assert text(browser, said) == "Models 451–500 of 500", "there is no page after the last"


def test_a_page_is_chosen_linked_and_left_when_the_order_changes(browser, large_site):
    browser.open(f"{large_site}/index.html#page=3")
    third, link = names(browser), browser.driver.current_url
    assert text(browser, "#ranking [data-page-text]") == "Models 101–150 of 500"
    choose(browser, "#ranking .pages select", "10")
    assert names(browser) != third
    assert "page=10" in browser.driver.current_url
    browser.open(link)
    assert names(browser) == third
    press(browser, "th.name button")
    assert text(browser, "#ranking [data-page-text]") == "Models 1–50 of 500"
    browser.open(f"{large_site}/index.html#page=99&view=heatmap")
    assert text(browser, "#heatmap [data-page-text]") == "Models 451–500 of 500"
    browser.open(f"{large_site}/index.html#page=-1&q=alder/Alder-4")
    assert not browser.driver.find_element("css selector", "#ranking .pages").is_displayed()
    assert browser.problems() == []


@pytest.mark.parametrize("view", VIEWS)
def test_pages_of_models_have_no_serious_barrier(browser, large_site, view):
    browser.view(*VIEWS[view])
    for page in ("index.html#page=2", "index.html#view=heatmap"):
        browser.open(f"{large_site}/{page}")
        assert browser.axe() == [], page
        overflow = (
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert browser.js(overflow) <= 0, f"{page} is wider than the screen"


def test_the_csv_holds_the_figures_of_the_results(browser, invented, invented_site, downloads):
    board = invented
    browser.open(f"{invented_site}/index.html")
    press(browser, ".downloads a[href$='ranking.csv']")
    path = downloads / "ranking.csv"
    deadline = time.monotonic() + 10
    while not path.is_file() and time.monotonic() < deadline:
        time.sleep(0.1)
    lines = {line["model"]: line for line in csv.DictReader(io.StringIO(path.read_text("utf-8")))}
    assert len(lines) == len(board.rows)
    for row in board.rows:
        line = lines[row.manifest.model]
        for key, figure in row.figures.items():
            assert float(line[key]) == figure.value
            assert int(line[f"{key}_rank_best"]) == row.ranks[key].best
