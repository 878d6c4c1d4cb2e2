"""From planted models of two seeds to what a visitor reads: evaluate, submit, verify, look."""

import csv
import io
import time
from dataclasses import replace
from pathlib import Path

import pytest

from polyrefuse.results import read_result
from polyrefuse_evaluation import Options, evaluate
from polyrefuse_evaluation.leaderboard.reference import read_reference
from polyrefuse_evaluation.leaderboard.site.build import build_site
from polyrefuse_evaluation.leaderboard.submission import make_submission
from polyrefuse_evaluation.leaderboard.verify import verify
from tests.support.browser import chromium, origin, serve

MODELS = {"planted": 0, "planted:single-1": 1}  # name: seed
OPTIONS = Options(languages="ar,en,yo", source_languages="en", limit=6, max_new_tokens=24)


@pytest.fixture(scope="module")
def submitted(tmp_path_factory) -> Path:
    """Evaluate the planted models of two seeds and submit both; return the folder of results."""
    out = tmp_path_factory.mktemp("leaderboard")
    for seed in MODELS.values():
        run = out / f"seed-{seed}"
        evaluate("planted", run, options=replace(OPTIONS, seed=seed))
        make_submission(run, out / "results")
    return out / "results"


@pytest.fixture(scope="module")
def site(submitted, tmp_path_factory):
    assert [verdict.problems for verdict in verify([submitted])] == [[], []]
    out = tmp_path_factory.mktemp("site") / "site"
    build_site([submitted], out)
    with serve(out) as address:
        yield address


@pytest.fixture(scope="module")
def downloads(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def browser(downloads):
    with chromium(downloads) as found:
        yield found


@pytest.mark.parametrize(
    ("width", "dark"), [(1280, False), (390, False), (1280, True), (390, True)]
)
def test_a_visitor_sorts_filters_opens_compares_and_reads(browser, submitted, site, width, dark):
    results = {r.model.name: r for r in map(read_result, submitted.glob("*/result.json"))}
    find = browser.driver.find_element
    browser.view(width, dark)
    browser.problems()
    browser.requests()

    def names() -> list[str]:
        links = browser.driver.find_elements("css selector", "#ranking-table tbody th.name a")
        return [link.text for link in links]

    browser.open(f"{site}/index.html")
    background = browser.js("return getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") is not dark
    assert names() == [], "self-tests are hidden"
    assert find("id", "count").text == "No model yet; self-tests are hidden."
    assert read_reference().models[0] in find("id", "reference").text
    if width < 600:
        find("css selector", ".filter-box > summary").click()
    find("name", "selftests").click()
    assert set(names()) == set(MODELS)
    find("css selector", "th.name button").click()
    assert names() == sorted(MODELS)
    find("css selector", "th.name button").click()
    assert names() == sorted(MODELS, reverse=True)
    find("name", "q").send_keys("single-1")
    assert names() == ["planted:single-1"]
    assert browser.axe() == []

    find("css selector", "#ranking-table tbody th.name a").click()
    assert find("css selector", "h1").text == "planted:single-1"
    assert "a self-test" in find("css selector", "main").text
    assert browser.axe() == []

    compared = ",".join(path.parent.name for path in sorted(submitted.glob("*/result.json")))
    browser.open(f"{site}/index.html#view=compare&selftests=1&models={compared}")
    heads = browser.driver.find_elements("css selector", "#compared-figures thead a")
    assert sorted(head.text for head in heads) == sorted(MODELS)
    assert browser.axe() == []

    browser.open(f"{site}/index.html#view=heatmap&selftests=1&sort=model")
    find("css selector", "#heatmap-table tbody td[data-language=ar]").click()
    cell = results["planted"].cell("ar", "baseline", "harmful")
    wanted = f"planted, Arabic: refused {cell.counts['refused']} of {cell.judged} harmful prompts"
    assert find("id", "cell").text.startswith(wanted)
    assert browser.axe() == []

    assert browser.problems() == []
    asked = [url for url in browser.requests() if not url.startswith(("data:", "about:"))]
    assert len(asked) > 10
    assert {origin(url) for url in asked} == {origin(site)}


def test_the_downloaded_csv_is_what_was_submitted(browser, submitted, site, downloads):
    results = {r.model.name: r for r in map(read_result, submitted.glob("*/result.json"))}
    browser.view(1280)
    browser.open(f"{site}/index.html")
    browser.driver.find_element("css selector", ".downloads a[href$='cells.csv']").click()
    path = downloads / "cells.csv"
    deadline = time.monotonic() + 20
    while not path.is_file() and time.monotonic() < deadline:
        time.sleep(0.1)
    lines = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    assert len(lines) == sum(len(result.cells) for result in results.values())
    for line in lines:
        cell = results[line["model"]].cell(line["language"], line["condition"], line["label"])
        assert int(line["n"]) == cell.n
        assert int(line["refused"]) == cell.counts["refused"]
        assert line["self_test"] == "true"
        for name in ("refusal", "compliance"):
            rate = getattr(cell, name)
            assert [float(line[f"{name}{end}"]) for end in ("", "_low", "_high")] == [
                rate.value, rate.low, rate.high
            ]  # fmt: skip
