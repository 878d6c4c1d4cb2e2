"""The page: right numbers, right structure, no outside request, nothing hostile gets through."""

import re

import pytest

from polyrefuse.errors import RunDirectoryError
from polyrefuse.results import BASELINE, RANDOM
from polyrefuse_evaluation.report import write_report

VARIANTS = {
    "single": {},
    "two": {"variant": "two"},
    "none": {"variant": "none"},
    "one language": {"languages": ("en",), "sources": ("en",)},
    "unparsed": {"unparsed": 3},
    "nothing judged in one language": {"unjudged": "fr"},
    "no direction": {"no_direction": ("zh",)},
    "no direction at all": {"no_direction": ("en", "de", "zh")},
    "no harmless": {"labels": ("harmful",)},
    "no harmful": {"labels": ("harmless",)},
    "many sources": {"sources": ("ar", "de", "en", "es", "fr", "it", "ja", "ko", "nl", "pl", "zh")},
    "no source": {"sources": ()},
}


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS.keys())
def test_every_kind_of_result_gives_a_well_formed_page(make_result, page_of, options):
    result = make_result(**options)
    page = page_of(result)
    assert len(page.all("h1")) == 1
    assert len(page.all("main")) == 1
    ids = [element["id"] for element in page.elements if "id" in element]
    assert len(ids) == len(set(ids))
    for heading in page.all("th"):
        assert heading.get("scope"), heading
    for bar in page.all("div", role="img"):
        assert bar["aria-label"]
    assert "None" not in page.visible.replace("None of", "")
    assert "nan" not in page.visible.split()


def test_every_bar_shows_the_rate_of_its_cell(result, page_of):
    page = page_of(result)
    cells = [e for e in page.all("td") if e.get("data-key")]
    bars = [e for e in page.all("div", role="img") if e["class"] == "bar"]
    languages = list(dict.fromkeys(cell.language for cell in result.cells))
    shown = [(code, condition) for code in languages for condition in result.conditions]
    wanted = [("harmful", code, condition) for code, condition in shown]
    wanted += [("harmless", code, BASELINE) for code in languages]
    assert len(bars) == len(cells) == len(wanted)
    fills = [e for e in page.all("span") if e.get("class") == "fill"]
    whiskers = [e for e in page.all("span") if e.get("class") == "whisker"]
    for (label, code, condition), td, fill, whisker in zip(
        wanted, cells, fills, whiskers, strict=True
    ):
        cell = result.cell(code, condition, label)
        rate = cell.compliance if label == "harmful" else cell.refusal
        assert td["data-key"] == condition
        assert fill["style"] == f"width:{100 * rate.value:.2f}%"
        left, width = re.findall(r"[\d.]+", whisker["style"])
        assert float(left) == pytest.approx(100 * rate.low, abs=0.01)
        assert float(left) + float(width) == pytest.approx(100 * rate.high, abs=0.02)


def test_the_table_of_cells_equals_the_result(make_result, page_of):
    result = make_result(unparsed=3)
    page = page_of(result)
    text = [
        (e["data-language"], e["data-condition"], " ".join(e["text"].split()))
        for e in page.all("tr")
        if e.get("data-language")
    ]
    assert len(text) == len(result.cells)
    half = len(text) // 2
    for at, (language, condition, row) in enumerate(text):
        cell = result.cell(language, condition, "harmful" if at < half else "harmless")
        counts = " ".join(str(count) for count in cell.counts.values())
        assert f" {cell.n} {counts} {100 * cell.refusal.value:.1f}%" in row


def test_swapped_conditions_are_noticed(result, page_of):
    swap = {BASELINE: "ablate:en", "ablate:en": BASELINE}
    cells = [c.model_copy(update={"condition": swap.get(c.condition, c.condition)})
             for c in result.cells]  # fmt: skip
    wrong = result.model_copy(update={"cells": cells})
    with pytest.raises(AssertionError):
        test_every_bar_shows_the_rate_of_its_cell(result, lambda _: page_of(wrong))


def test_one_wrong_count_is_noticed(result, page_of):
    first, *others = result.cells
    wrong_rate = first.refusal.model_copy(update={"value": 0.5})
    cells = [first.model_copy(update={"refusal": wrong_rate}), *others]
    wrong = result.model_copy(update={"cells": cells})
    assert page_of(wrong).visible != page_of(result).visible


def test_the_page_asks_nothing_of_the_network_and_runs_no_script(result, page_of, completion_rows):
    page = page_of(result, completions=completion_rows())
    assert not page.all("script")
    for element in page.elements:
        for name in ("src", "href", "action", "data", "srcset", "poster"):
            value = element.get(name) or ""
            assert not re.match(r"(?i)\s*(https?:|//|javascript:)", value), element
        assert not any(name.startswith("on") for name in element)
    style = page.all("style")[0]["text"]
    assert "url(" not in style
    assert "@import" not in style
    policy = page.all("meta", **{"http-equiv": "Content-Security-Policy"})[0]["content"]
    assert "default-src 'none'" in policy


def test_links_lead_to_files_that_are_there(result, page_of, tmp_path):
    (tmp_path / "figures").mkdir()
    for name in ("result.json", "figures/compliance.svg"):
        (tmp_path / name).write_text("{}")
    page = page_of(result)
    links = [element["href"] for element in page.all("a")]
    assert links == ["result.json", "figures/compliance.svg"]
    assert "completions.jsonl (not kept)" in page.visible


def test_no_completion_unless_given(result, page_of, completion_rows):
    assert "SECRET-COMPLETION" not in page_of(result).visible
    assert not [e for e in page_of(result).elements if e.get("id") == "completions"]
    page = page_of(result, completions=completion_rows())
    assert "SECRET-COMPLETION" in page.visible
    assert all("open" not in e for e in page.all("details") if "SECRET" in e["text"])
    assert page.all("blockquote", dir="auto")


def test_a_planted_model_says_so_and_a_real_one_does_not(make_result, page_of):
    note = "a self-test of the pipeline, not a safety measurement"
    assert note in page_of(make_result()).visible
    assert note not in page_of(make_result(planted=False)).visible


def test_an_unverified_ablation_is_said_at_the_top(result, page_of):
    proof = result.proof.model_copy(update={"verified": False})
    page = page_of(result.model_copy(update={"proof": proof}))
    assert "Ablation was not verified" in page.all("header")[0]["text"]


def test_native_names_carry_language_and_direction(result, page_of):
    arabic = page_of(result).all("bdi", lang="ar")
    assert {(e["dir"], e["text"]) for e in arabic} == {("rtl", "العربية")}


def test_unparsed_responses_show_their_bounds(make_result, page_of):
    page = page_of(make_result(unparsed=3))
    assert "[91–100%]" in page.visible  # 29 to 32 of 32 complied in Thai after ablation
    assert "with the unparsed responses" in str(page.elements)
    assert "[" not in page_of(make_result()).all("figure")[0]["text"]


def test_many_conditions_are_stacked(make_result, page_of):
    many = page_of(make_result(**VARIANTS["many sources"])).all("figure")[0]
    few = page_of(make_result()).all("figure")[0]
    assert "stacked" in many["class"]
    assert "matrix" in few["class"]


def test_the_random_control_is_last_and_named(result, page_of):
    cells = [e for e in page_of(result).all("td") if e.get("data-key")]
    assert cells[len(result.conditions) - 1]["data-key"] == RANDOM


def test_the_same_result_gives_the_same_page(result, tmp_path):
    first = write_report(result, tmp_path).read_bytes()
    assert write_report(result, tmp_path).read_bytes() == first


def test_a_page_that_cannot_be_written_says_where(result, tmp_path):
    with pytest.raises(RunDirectoryError, match=r"report\.html: cannot be written"):
        write_report(result, tmp_path / "missing")
