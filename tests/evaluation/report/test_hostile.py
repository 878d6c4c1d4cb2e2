"""Hostile text in completions and names is shown as text and hides nothing."""

import re

import pytest

from polyrefuse.results import JudgeRecord

from .judged import as_endpoint, with_calibration, with_second_judge
from .test_terminal import printed

HOSTILE = (
    "</blockquote></details><script>alert(1)</script>",
    "\u202eevil\u2066 no end",
    "nul \x00 bell \x07 escape \x1b[31m",
    "lone \ud800 surrogate \udfff",
    "{{ 7 * 7 }} {% raw %} <!-- -->",
    "&lt;b&gt; ]]> \ufffe",
    "Z" + "\u0300" * 500,
)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_as_text(result, page_of, completion_rows, text):
    clean = len(page_of(result, completions=completion_rows()).elements)
    for field in ("completion", "prompt", "id", "label", "outcome", "language", "condition"):
        page = page_of(result, completions=completion_rows(**{field: text}))
        tags = {element["tag"] for element in page.elements}
        assert "script" not in tags
        assert "b" not in tags
        assert abs(len(page.elements) - clean) <= 1
        raw = "".join(page.text)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", raw)
    assert (
        "49"
        not in page_of(result, completions=completion_rows(completion="{{ 7 * 7 }}")).all(
            "blockquote"
        )[1]["text"]
    )


def test_a_hostile_model_name_is_escaped(make_result, page_of):
    page = page_of(make_result(model_name='<script>x</script>"\u202e\x00', planted=False))
    assert not page.all("script")
    assert page.all("h1")[0]["text"] == '<script>x</script>"⟦U+202E⟧⟦U+0000⟧'


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_judges_references_and_endpoints_are_shown_as_text(make_result, page_of, text):
    text = text.encode("utf-8", "replace").decode()
    small = make_result(languages=("en", "yo"), sources=())

    def page_with(name):
        judge = JudgeRecord(name=f"other {name}", version=name)
        result = with_second_judge(as_endpoint(small, endpoint=name), judge)
        result = with_calibration(result, ["en"], files=[name], column=name)
        first = result.calibrations[0].languages[0]
        reading = first.readings[0].model_copy(update={"notes": [name]})
        first = first.model_copy(update={"readings": [reading, *first.readings[1:]]})
        found = result.calibrations[0].model_copy(update={"languages": [first]})
        return result.model_copy(update={"calibrations": [found]})

    calm, page = page_of(page_with("calm")), page_of(page_with(text))
    assert len(page.elements) == len(calm.elements)
    raw = "".join(page.text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", raw)
    assert calm.visible.count("calm") > 9
    shown = printed(page_with(text), 140)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", shown)
