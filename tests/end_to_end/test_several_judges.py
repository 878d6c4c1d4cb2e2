"""Several judges on one run: the first decides, the rest are second opinions; failures return."""

import json

import pytest

from polyrefuse.errors import PolyRefuseError
from polyrefuse.outcomes import Outcome
from polyrefuse_evaluation import Options, evaluate
from polyrefuse_evaluation.calibration import calibrate, read_references, save_calibration
from polyrefuse_evaluation.completions import read_completions
from polyrefuse_evaluation.judges import RegisteredJudge, get_judge, register_judge
from polyrefuse_evaluation.judges.types import FAILED, Judgement

asked: list[str] = []
down = False


@register_judge("strict")
def make_strict(argument=None):
    """Calls every answer a refusal; cannot be asked while it is down."""

    def judge(rows):
        asked.extend(row.response for row in rows)
        if down:
            return [Judgement(Outcome.UNPARSED, None, f"{FAILED}connection") for _ in rows]
        return [Judgement(Outcome.REFUSED, 1.0, "always") for _ in rows]

    return RegisteredJudge("strict", "1", judge, decides_broken=True)


@pytest.fixture
def run(tmp_path):
    def evaluate_with(*judges, **changes):
        options = Options(languages="en,ar", limit=2, judges=judges, **changes)
        return evaluate("planted", tmp_path / "run", options=options)

    return evaluate_with


@pytest.fixture
def outage():
    """The second judge cannot be reached."""
    global down
    down = True
    asked.clear()
    yield
    down = False


def test_the_first_judge_decides_and_the_second_is_shown_beside_it(run, tmp_path):
    result = run("keyword", "strict")
    assert [judge.name for judge in result.settings.judges] == ["keyword", "strict"]
    assert result.cell("en", "ablate:en", "harmful").refusal.value == 0.0
    (opinion,) = result.second_opinions
    assert all(cell.refusal.value == 1.0 for cell in opinion.cells)
    assert len(opinion.cells) == len(result.cells)
    pooled = result.agreement[0]
    rows = [json.loads(line) for line in (tmp_path / "run" / "judgements.jsonl").open()]
    assert (pooled.judges, pooled.n) == (("keyword", "strict"), len(rows) / 2)
    differ = sum(row["outcome"] != "refused" for row in rows if row["judge"] == "keyword")
    assert pooled.disagreements == differ > 0
    # The other way round, every figure is the other judge's.
    shown = {row.outcome for row in read_completions(tmp_path / "run")}
    assert "complied" in shown


def test_what_a_judge_could_not_be_asked_is_asked_again_and_nothing_else(run, tmp_path, outage):
    global down
    first = run("keyword", "strict")
    answers = (tmp_path / "run" / "completions.jsonl").read_bytes()
    assert first.failed == first.agreement[0].unparsed > 0
    down = False
    asked.clear()
    second = run("keyword", "strict")
    assert second.failed == second.agreement[0].unparsed == 0
    assert len(asked) == first.failed
    assert (tmp_path / "run" / "completions.jsonl").read_bytes() == answers
    assert second.cells == first.cells
    asked.clear()
    assert run("keyword", "strict") == second
    assert asked == []


def test_without_stored_completions_nothing_can_be_asked_again(run, outage):
    first = run("keyword", "strict", store_completions=False)
    asked.clear()
    assert run("keyword", "strict", store_completions=False) == first
    assert (first.failed > 0, asked) == (True, [])


@pytest.mark.parametrize(
    ("judges", "problem"),
    [((), "no judge"), (("keyword", "keyword"), "'keyword' 2 times"), (("oracle",), "'oracle'")],
)
def test_judges_that_cannot_be_used_are_refused_before_anything_runs(
    run, tmp_path, judges, problem
):
    with pytest.raises(PolyRefuseError, match=problem):
        run(*judges)
    assert not (tmp_path / "run").exists()


def test_a_stored_calibration_goes_into_the_results_of_that_judge(run, tmp_path, monkeypatch):
    monkeypatch.setenv("POLYREFUSE_CALIBRATIONS", str(tmp_path / "calibrations"))
    refusals = ["I cannot help with that.", "I'm sorry, but I can't assist."] * 10
    helps = ["Sure, here is how: first, heat the oven.", "Of course. Step 1: mix flour."] * 10
    rows = [
        {"language": "en", "response": text, "reference_refusal": int(text in refusals)}
        for text in refusals + helps
    ]
    reference = tmp_path / "reference.jsonl"
    reference.write_text("".join(json.dumps(row) + "\n" for row in rows))
    save_calibration(calibrate(get_judge("keyword"), read_references([reference])))
    result = run("strict", "keyword")
    assert [item.judge for item in result.calibrations] == ["keyword"]
    assert all(cell.corrected is None for cell in result.cells)


def test_the_judge_that_decides_has_its_rates_corrected(tmp_path, monkeypatch, run):
    monkeypatch.setenv("POLYREFUSE_CALIBRATIONS", str(tmp_path / "calibrations"))
    rows = [
        {"language": "en", "response": text, "reference_refusal": refusal}
        for text, refusal, times in [
            ("I cannot help with that.", 1, 18),
            ("Sure, here is how: first, heat the oven.", 1, 2),  # missed
            ("Sure, here is how: first, heat the oven.", 0, 20),
        ]
        for _ in range(times)
    ]
    reference = tmp_path / "reference.jsonl"
    reference.write_text("".join(json.dumps(row) + "\n" for row in rows))
    save_calibration(calibrate(get_judge("keyword"), read_references([reference])))
    result = run("keyword")
    english = result.cell("en", "ablate:en", "harmful")
    assert english.refusal.value == 0.0
    assert english.corrected.refusal.value == pytest.approx(0.0, abs=1e-9)
    assert english.corrected.refusal.high > english.refusal.value
    assert "not calibrated" in result.cell("ar", "baseline", "harmful").corrected.note
