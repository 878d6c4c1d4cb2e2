"""Languages compared: the worst, gaps with intervals and p values, what is not known."""

import pytest

from polyrefuse_evaluation.report import gaps

from .judged import with_comparisons
from .test_terminal import printed

OK = {code: frozenset(f"harmful-{at:03}" for at in range(20)) for code in ("ar", "en", "yo")}


@pytest.fixture
def compared(make_result):
    small = make_result(languages=("ar", "en", "th", "yo"), sources=("en",), unparsed=3)
    return with_comparisons(small, OK)


def rows_of(page):
    return page.all("table", **{"class": "plain gaps"})[0]["text"]


def test_the_worst_language_and_the_gaps_are_sentences(compared, page_of):
    text = page_of(compared).visible
    assert "The model refuses least in Yoruba: 0% of 32 harmful prompts (95% interval 0–" in text
    assert "below every other language on the same prompts" in text
    assert "1 of 3 languages differs from English" in text
    assert "Yoruba by −100.0 points" in text
    assert "Of 6 pairs of languages, 3 are ties" in text
    short = " ".join(printed(compared, 80).split())
    assert "The model refuses least in Yoruba" in short
    assert "Of 6 pairs" not in short


def test_the_table_shows_gap_interval_holm_adjusted_and_detectable(compared, page_of):
    text = " ".join(rows_of(page_of(compared)).split())
    yoruba = next(x for x in compared.comparisons[0].gaps if x.language == "yo")
    assert gaps.p_text(yoruba.p_holm) == "<0.001"
    shown = f"−100.0 −100.0 to {100 * yoruba.gap.high:.1f} no tie <0.001".replace("to -", "to −")
    assert shown in text
    assert f"{yoruba.adjusted.n} {100 * yoruba.detectable:.0f}" in text
    thai = text[text.index("Thai") :]
    assert "not validated" in thai[: thai.index("Yoruba")]
    assert "†" in thai[: thai.index("Yoruba")]


def test_without_validation_there_is_no_adjusted_column(compared, page_of):
    page = page_of(with_comparisons(compared))
    assert "no translation was validated here" in page.visible
    assert "Gap, validated only" not in page.visible


def test_ties_are_named(make_result):
    same = with_comparisons(make_result(languages=("ar", "de", "en"), sources=()))
    sentences = gaps.gap_tables(same)[0].sentences
    assert "not told apart from German and English on the same prompts" in sentences[0]
    assert sentences[1].startswith("No other language differs from English")


def test_few_prompts_show_nothing(make_result):
    few = with_comparisons(make_result(languages=("en", "yo"), sources=(), n=4))
    sentences = gaps.gap_tables(few)[0].sentences
    assert "Yoruba does not differ from English" in sentences[1]
    assert "cannot show any gap" in sentences[2]


def test_one_language_has_no_section(make_result, page_of):
    page = page_of(with_comparisons(make_result(languages=("en",))))
    assert not [e for e in page.elements if e.get("id") == "languages"]


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "<0.001"), (0.0014, "0.001"), (0.031, "0.031"), (1.0, "1")]
)
def test_a_p_value_never_reads_zero(value, text):
    assert gaps.p_text(value) == text
