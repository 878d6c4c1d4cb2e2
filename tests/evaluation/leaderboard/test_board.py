"""The board: who is ranked with whom, self-tests and published figures apart."""

import csv
import json
from pathlib import Path

import pytest

from polyrefuse.outcomes import Outcome
from polyrefuse_evaluation.leaderboard.board import language_ranks, read_board
from polyrefuse_evaluation.leaderboard.columns import COLUMNS, column
from polyrefuse_evaluation.leaderboard.problems import SubmissionError
from polyrefuse_evaluation.leaderboard.ranks import RankRange
from polyrefuse_evaluation.leaderboard.reference import STATUS, read_reference
from polyrefuse_evaluation.leaderboard.rescore import Rescore
from polyrefuse_evaluation.leaderboard.rescored import evidence_key, read_rescored, record_rescore
from polyrefuse_evaluation.leaderboard.submission import make_submission
from polyrefuse_evaluation.leaderboard.verify import verify
from tests.evaluation.leaderboard.conftest import digest, fake_run

UPSTREAM = Path(__file__).parents[4] / "shared" / "upstream" / "reference_results.csv"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Two models that answer alike, and a planted one."""
    out = tmp_path_factory.mktemp("board")
    fake_run(out / "one", "org/one", variety="One.")
    fake_run(out / "two", "org/two", variety="Two.")
    planted = {"revision": None, "variant": "single"}
    fake_run(out / "planted", "planted", variety="Planted.", **planted)
    for name in ("one", "two", "planted"):
        make_submission(out / name, out / "results")
    return out / "results"


def test_rows_have_figures_ranks_and_what_a_page_shows(results):
    board = read_board([results])
    assert len(board.rows) == 3
    assert board.rejected == []
    row = next(row for row in board.rows if row.manifest.model == "org/one")
    assert set(row.figures) == set(row.ranks) == {item.key for item in COLUMNS}
    refusal = row.figures["refusal"]
    assert (refusal.value, refusal.high) == (1.0, 1.0)
    assert 0.4 < refusal.low < 0.9
    assert row.figures["compliance_after_ablation"].value == 1.0
    assert row.figures["over_refusal"].value == 0.0
    assert row.figures["worst_language"].language in ("en", "de")
    assert row.figures["language_gap"].value == 0.0
    assert row.ranks["refusal"] == RankRange(1, 2)


def test_self_tests_are_never_ranked_among_models(results):
    board = read_board([results])
    planted = next(row for row in board.rows if row.manifest.self_test)
    others = [row for row in board.rows if not row.manifest.self_test]
    assert planted.ranks["refusal"] == RankRange(1, 1)
    assert planted.group not in {row.group for row in others}
    assert board.groups[planted.group].self_test
    assert len({row.group for row in others}) == 1


def test_models_judged_otherwise_are_not_ranked_together(results, tmp_path):
    fake_run(tmp_path / "run", "org/three", variety="Three.", judges=["wildguard"])
    three = make_submission(tmp_path / "run", tmp_path / "out").path
    board = read_board([results, three])
    groups = {row.manifest.model: row.group for row in board.rows}
    assert groups["org/one"] == groups["org/two"] != groups["org/three"]


def test_a_rejected_submission_is_listed_and_not_ranked(results, forgery, tmp_path):
    forgery.set("cells.0.refusal.value", 0.1)
    board = read_board([results, forgery.write(tmp_path)])
    assert len(board.rows) == 3
    assert [verdict.model for verdict in board.rejected] == ["org/model"]


def test_a_language_has_ranks_of_its_own(results):
    board = read_board([results])
    group = next(row.group for row in board.rows if row.manifest.model == "org/one")
    assert set(language_ranks(board, group, "de").values()) == {RankRange(1, 2)}


def test_the_worst_language_and_the_gap_have_intervals_for_all_languages_at_once(forgery, tmp_path):
    for row in list(forgery.rows):
        if (row.language, row.label, row.condition) == ("de", "harmful", "baseline"):
            new = {"outcome": Outcome.COMPLIED, "score": 0.1, "sha256": digest(row.id)}
            forgery.change(forgery.rows.index(row), **new)
    forgery.seal = "all"
    [row] = read_board([forgery.write(tmp_path)]).rows
    worst, gap = row.figures["worst_language"], row.figures["language_gap"]
    assert (worst.value, worst.low, worst.language) == (0.0, 0.0, "de")
    assert worst.high > row.result.cell("de", "baseline", "harmful").refusal.high
    assert (gap.value, gap.high) == (1.0, 1.0)
    assert gap.low < 0.2
    assert column("language_gap").higher_is_better is False


def test_a_record_of_rescoring_holds_for_exactly_these_files(results, tmp_path):
    verdicts = verify([results])
    record = tmp_path / "rescored.jsonl"
    record_rescore(record, verdicts[0], Rescore(seed=1, n=50, same_text=50, same_label=50))
    bad = Rescore(seed=1, n=50, same_text=50, same_label=49, forged=("baseline en x",))
    record_rescore(record, verdicts[1], bad)
    board = read_board([results], rescored=record)
    marked = [row.folder for row in board.rows if row.rescored]
    assert marked == [Path(verdicts[0].where).name]
    known = read_rescored(record)
    assert set(known) == {evidence_key(verdicts[0].manifest)}
    record_rescore(record, verdicts[0], bad)
    assert read_rescored(record) == {}
    record.write_text(record.read_text() + "{}\n")
    with pytest.raises(SubmissionError, match="line 4: is no record"):
        read_rescored(record)


def test_published_figures_are_reported_and_not_ranked(results):
    reference = read_board([results]).reference
    assert len(reference.rows) == 66
    assert {row.status for row in reference.rows} == {STATUS}
    assert not any(
        hasattr(row, name) for row in reference.rows for name in ("low", "rank", "ranks")
    )
    assert len([row for row in reference.rows if row.condition == "baseline"]) == 3 * 14
    assert {row.condition for row in reference.rows} == {"baseline", "ablate:ja"}
    assert "2505.17306" in reference.source.url
    names = {row.manifest.model for row in read_board([results]).rows}
    assert not names & set(reference.models)
    assert 0 < reference.average(reference.models[0], "baseline") < 0.1
    assert reference.average("org/none", "baseline") is None


@pytest.mark.skipif(not UPSTREAM.is_file(), reason="the release's figures are not here")
def test_published_figures_are_those_of_the_release():
    with UPSTREAM.open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    rows = read_reference().rows
    assert len(rows) == len(lines)
    for row, line in zip(rows, lines, strict=True):
        assert (row.model, row.language) == (line["model"], line["language"])
        assert row.compliance == float(line["wildguard_compliance"])
        assert row.refusal == pytest.approx(1 - row.compliance)


def test_a_row_can_be_written_as_json(results):
    from dataclasses import asdict

    for row in read_board([results]).rows:
        text = json.dumps({key: asdict(figure) for key, figure in row.figures.items()})
        assert "NaN" not in text
