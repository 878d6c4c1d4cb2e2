"""Judges on the page and in the terminal: who decides, errors, corrected rates, agreement."""

import pytest

from polyrefuse.results import JudgeRecord
from polyrefuse_evaluation.report import judged_rates, judges

from .judged import SECOND, with_calibration, with_second_judge
from .test_terminal import printed


@pytest.fixture
def small(make_result):
    return make_result(languages=("ar", "en", "yo"), sources=("en",))


def section(page, name="judges"):
    return " ".join(page.all("section", id=name)[0]["text"].split())


def table(page, kind):
    tables = page.all("table", **{"class": f"plain {kind}"})
    return [" ".join(e["text"].split()) for e in tables]


def test_without_calibration_the_page_says_how_to_measure(small, page_of):
    text = section(page_of(small))
    assert "How often this judge errs is unknown here" in text
    assert "polyrefuse judge-sample RUN_DIR --out sheet.csv" in text
    assert "polyrefuse calibrate --judge keyword --reference sheet.csv" in text
    assert "its errors are unknown here" in " ".join(printed(small, 80).split())
    calibrated = with_calibration(small, ["ar", "en"])
    assert "unknown here" not in section(page_of(calibrated))
    assert "unknown here" not in " ".join(printed(calibrated, 80).split())


def test_a_calibration_of_another_version_is_not_the_judges(small, page_of):
    second = with_second_judge(small, JudgeRecord(name="keyword", version="2"))
    other = with_calibration(second, ["en"], second.settings.judges[1])
    assert "How often this judge errs is unknown here" in section(page_of(other))
    assert other.cells[0].corrected is None


def test_the_calibration_is_shown_by_language_with_intervals(small, page_of):
    calibrated = with_calibration(small, ["ar", "en"])
    refused = table(page_of(calibrated), "calibrated")[0]
    reading = calibrated.calibrations[0].languages[0].reading("refused")
    assert "n Precision Recall F1 Kappa tp fp fn tn" in refused
    assert f"Arabic العربية 40 {reading.precision.value:.2f}" in refused
    for name in judges.FIGURES:
        figure = getattr(reading, name)
        assert f"{figure.value:.2f} {figure.low:.2f}–{figure.high:.2f}" in refused, name
    assert "17 1 3 19" in refused
    assert "80 rows of dev.jsonl" in section(page_of(calibrated))


def test_raw_and_corrected_rates_stand_side_by_side(small, page_of):
    calibrated = with_calibration(small, ["ar", "en"])
    baseline, *others = table(page_of(calibrated), "paired")
    cell = calibrated.cell("ar", "baseline", "harmful")
    raw, corrected = cell.refusal, cell.corrected.refusal
    assert raw.value != pytest.approx(corrected.low, abs=1e-3)
    assert (
        f"{100 * raw.value:.1f}% {100 * raw.low:.1f}–{100 * raw.high:.1f} "
        f"{100 * corrected.value:.1f}% {100 * corrected.low:.1f}–{100 * corrected.high:.1f}"
    ) in baseline
    assert len(others) == len(calibrated.conditions) - 1
    assert "Yoruba: the judge is not calibrated in this language." in section(page_of(calibrated))
    assert baseline.count("not known") == 3
    assert not judged_rates.corrected_tables(small)


def test_second_opinions_show_agreement_and_their_own_rates(small, page_of):
    both = with_second_judge(small)
    page = page_of(both)
    text = section(page)
    assert "Second opinions: wildguard version transformers allenai/wildguard" in text
    row = next(x for x in both.agreement if x.language == "all")
    assert row.disagreements
    agreement = table(page, "agreement")[0]
    assert f"All languages {row.n} {row.unparsed} {row.disagreements} " in agreement
    assert f"{row.kappa_outcomes.value:.2f} {row.kappa_outcomes.low:.2f}" in agreement
    opinions = table(page, "opinions")
    assert len(opinions) == len(both.conditions)
    assert "keyword (decides) wildguard" in opinions[0]
    agreed = f"keyword and wildguard agree on {row.n - row.disagreements} of {row.n} responses"
    assert agreed in " ".join(printed(both, 80).split())
    assert not table(page_of(small), "agreement") + table(page_of(small), "opinions")


def test_several_calibrations_are_told_apart(small, page_of):
    both = with_calibration(with_second_judge(small), ["ar", "en"])
    both = with_calibration(
        both, ["en"], SECOND, files=["sheet.csv"], kind="annotators", unresolved=4, weighted=True
    )
    page = page_of(both)
    articles = [e["text"] for e in page.all("article") if e.get("class") == "calibration"]
    assert ["keyword" in articles[0], "wildguard" in articles[1]] == [True, True]
    assert "labelled by people" in articles[1]
    assert "4 rows are left out because annotators differ" in articles[1]
    assert "annotators differ" not in articles[0]


def test_a_command_to_copy_cannot_hold_another_command(page_of, small):
    judge = JudgeRecord(name="x; rm -rf ~ #", version="1")
    assert judges.how_to_measure(judge)[1].endswith("--judge 'x; rm -rf ~ #' --reference sheet.csv")
