"""What the top of a report must say: missing verdicts, marks, endpoints, filters, reasoning."""

import pytest

from polyrefuse_evaluation.report import wording

from .judged import as_endpoint, with_comparisons
from .test_terminal import printed


def header(page):
    return " ".join(page.all("header")[0]["text"].split())


def flat(result):
    return " ".join(printed(result, 80).split())


@pytest.mark.parametrize(("stored", "remedy"), [(True, "same command"), (False, "new run dir")])
def test_missing_verdicts_are_said_with_their_remedy(make_result, page_of, stored, remedy):
    result = make_result(languages=("en",))
    assert "missing" not in header(page_of(result)) + flat(result)
    settings = result.settings.model_copy(update={"store_completions": stored})
    failed = result.model_copy(update={"failed": 7, "settings": settings})
    for text in (header(page_of(failed)), flat(failed)):
        assert "7 verdicts are missing" in text
        assert remedy in text


def test_marked_cells_are_marked_wherever_their_rate_stands(make_result, page_of):
    options = {"languages": ("en", "th"), "sources": ("en",)}
    marked = with_comparisons(make_result(**options, unparsed=2))  # 2 of 32: 6.25%
    page = page_of(marked)
    assert "6 of 12 cells have too many responses without a verdict" in header(page)
    marks = [e for e in page.all("abbr") if e.get("class") == "mark"]
    charts, mixes, gaps, cells, changes, averages = 3 + 1, 6, 3, 12, 4, 9
    assert len(marks) == charts + mixes + gaps + cells + changes + averages
    rows = [e for e in page.all("tr") if e.get("data-language")]
    assert all(("†" in e["text"]) == (e["data-language"] == "th") for e in rows)
    assert "Thai th 100† (89–100) 0† (0–11) [0–6%] 100† (89–100) 3† " in flat(marked)
    barely = with_comparisons(make_result(**options, unparsed=1))  # 1 of 32: 3.1%
    assert "†" not in page_of(barely).visible + flat(barely)


def test_behind_an_endpoint_only_refusal_was_measured(make_result, page_of):
    result = as_endpoint(make_result(languages=("en", "th")))
    assert wording.headline(result).startswith("This model refuses 100% of harmful prompts")
    assert "Only refusal was measured" in wording.headline(result)
    page = page_of(result)
    sections = {e.get("id") for e in page.all("section")}
    assert "directions" not in sections
    assert "What ablation does" not in page.visible
    assert "Holm p: McNemar" not in page.visible
    assert "none selected" not in page.visible
    assert "directions.safetensors" not in page.visible
    assert "behind http://127.0.0.1:8000/v1" in header(page)
    assert "Ablation verified" not in flat(result)


def test_filtered_answers_and_reasoning_are_counted(make_result, page_of):
    result = as_endpoint(make_result(languages=("en", "th")))
    filtered = sum(cell.filtered for cell in result.cells)
    reasoning = sum(cell.reasoning for cell in result.cells)
    assert filtered
    assert reasoning
    for text in (header(page_of(result)), flat(result)):
        assert f"The provider’s filter withheld {filtered} of" in text
        assert f"{reasoning} of 128 responses came with reasoning" in text
    cells = page_of(result).all("table", **{"class": "plain cells"})[0]["text"]
    assert "Filter" in cells
    assert "Reasoning" in cells


def test_holm_p_and_the_intervals_of_findings_are_shown(make_result, page_of):
    result = make_result(languages=("en", "yo"), sources=("en",))
    page = page_of(result)
    row = next(
        e for e in page.all("tr")
        if (e.get("data-language"), e.get("data-condition")) == ("en", "ablate:en")
    )  # fmt: skip
    assert "<0.001" in row["text"]
    assert "points (95% interval −100.0 to −97.0) on average" in page.visible
    assert "points (95% interval −100.0 to −97.0) on average" in flat(result)
    unknown = result.findings[0].model_copy(update={"mean_drop_low": None, "mean_drop_high": None})
    page = page_of(result.model_copy(update={"findings": [unknown]}))
    assert "95% interval −100.0" not in page.visible
