"""The outcome mix: every response in one part, counts in words, apart without colour."""

import re
from importlib.resources import files
from itertools import combinations, pairwise

import pytest

from polyrefuse.outcomes import Outcome
from polyrefuse_evaluation.report import outcomes, views
from polyrefuse_evaluation.report.outcome_figure import STYLES

from .cells import make_cell
from .judged import as_endpoint


def mixes(page):
    return [e for e in page.all("div", role="img") if e.get("class") == "mix"]


def grown(page):
    return [e for e in page.all("span") if (e.get("style") or "").startswith("flex-grow")]


@pytest.mark.parametrize("options", [{}, {"languages": ("th",), "sources": ()}, {"unparsed": 3}])
def test_the_bars_hold_every_response_once(make_result, page_of, options):
    result = make_result(**options)
    page = page_of(result)
    assert len(mixes(page)) == len(result.cells)
    total = sum(int(e["style"].removeprefix("flex-grow:")) for e in grown(page))
    assert total == sum(cell.n for cell in result.cells)


def test_each_bar_says_its_counts_in_words(make_result, page_of):
    result = make_result(unparsed=3)
    labels = [e["aria-label"] for e in mixes(page_of(result))]
    assert (
        "No ablation: of 32 harmful prompts 29 refused, 3 unparsed; more than 5% of them have no "
        "verdict, so the rates are not to be relied on" in labels
    )
    assert "Random direction ablated: of 32 harmful prompts 31 refused, 1 broken" in labels


def test_a_response_that_moves_to_another_outcome_moves_in_the_bars(result, page_of):
    first, *others = result.cells
    counts = {**first.counts, Outcome.REFUSED: 30, Outcome.DEFLECTED: 2}
    moved = result.model_copy(
        update={"cells": [first.model_copy(update={"counts": counts}), *others]}
    )
    before, after = (mixes(page_of(x))[0]["aria-label"] for x in (result, moved))
    assert before.endswith("32 refused")
    assert after.endswith("30 refused, 2 deflected")


def test_what_a_filter_withheld_is_apart_and_still_refused(make_result, page_of):
    cell = make_cell("en", "baseline", "harmful", 10, 12).model_copy(update={"filtered": 4})
    parts = outcomes.part_counts(cell)
    assert (parts[Outcome.REFUSED], parts[outcomes.FILTERED]) == (6, 4)
    page = page_of(as_endpoint(make_result(languages=("en", "th"))))
    assert "refused: withheld by the provider’s filter" in page.all("ul")[0]["text"]
    assert "withheld by the provider’s filter" in mixes(page)[0]["aria-label"]
    assert "filter" not in page_of(make_result(languages=("en",))).all("ul")[1]["text"]


def test_many_conditions_are_stacked_and_few_have_columns(make_result, page_of):
    many = page_of(make_result(sources=("ar", "de", "en", "es", "fr", "it")))
    shapes = [e["class"] for e in many.all("figure") if "mixes" in e["class"]]
    assert shapes == ["chart mixes stacked"] * 2


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_parts_of_a_bar_differ_in_pattern_and_neighbours_in_lightness():
    templates = files("polyrefuse_evaluation.report") / "templates"
    patterns = {
        key: re.sub(r"var\(--[\w-]+\)", "", rule)
        for key, rule in re.findall(
            r"\.part\.(\w+) \{ background: (.*?); ?", (templates / "sections.css").read_text()
        )
    }
    assert patterns.keys() | {"refused"} == set(outcomes.PART_NAMES)
    assert len(set(patterns.values())) == len(patterns)
    assert len({hatch for _, hatch in STYLES.values()}) == len(STYLES) == len(outcomes.PART_NAMES)
    solid = ["refused", "deflected", "complied", "broken"]
    css = (templates / "report.css").read_text()
    schemes = [dict(re.findall(r"--([\w-]+): (#\w{6})", block))
               for block in re.findall(r":root \{(.*?)\}", css, re.S)]  # fmt: skip
    for scheme in [*schemes, {key: STYLES[key][0] for key in solid}]:
        for one, other in pairwise(solid):
            high, low = sorted((luminance(scheme[one]), luminance(scheme[other])), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= 1.4, (one, other)


def test_the_bar_of_unparsed_responses_is_never_part_of_compliance():
    cell = make_cell("en", "baseline", "harmful", 10, 12, unparsed=2)
    parts = outcomes.mix_of(cell, views.describe_condition("baseline")).parts
    assert [(part.key, part.count) for part in parts] == [("refused", 10), ("unparsed", 2)]
    for one, other in combinations(parts, 2):
        assert one.key != other.key
