"""Verifying many submissions: where they are found, duplicates, what is said, exit codes."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest

from polyrefuse.calibration_schema import Calibration, Reference
from polyrefuse.cli import main
from polyrefuse.dataset import SAMPLE_FOLDER
from polyrefuse.errors import PolyRefuseError
from polyrefuse.outcomes import Outcome
from polyrefuse.results import Result
from polyrefuse_evaluation.calibration import attach_calibration
from polyrefuse_evaluation.calibration.measure import _language
from polyrefuse_evaluation.leaderboard import problems as problems_module
from polyrefuse_evaluation.leaderboard.check_records import PROOF_BOUNDS
from polyrefuse_evaluation.leaderboard.schema import LABELS, MANIFEST, RESULT
from polyrefuse_evaluation.leaderboard.sources import all_sources, parse_source
from polyrefuse_evaluation.leaderboard.submission import PublicNames, make_submission
from polyrefuse_evaluation.leaderboard.summary import markdown
from polyrefuse_evaluation.leaderboard.verify import find_submissions, verify
from tests.evaluation.leaderboard.conftest import LANGUAGES, digest, fake_run


def reasons(verdicts):
    return "\n".join(str(problem) for verdict in verdicts for problem in verdict.problems)


@pytest.fixture
def command(monkeypatch, capsys):
    """Run `polyrefuse leaderboard ...`; return exit code, output and errors."""

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["polyrefuse", "leaderboard", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        shown = capsys.readouterr()
        return SimpleNamespace(code=stopped.value.code or 0, out=shown.out, err=shown.err)

    return run


def test_submissions_are_found_by_folder_by_file_and_in_folders(submission):
    results = submission.parent
    (results / "notes").mkdir()
    (results / ".git").mkdir()
    for path in (submission, submission / RESULT, results):
        assert find_submissions([path]) == [submission]
    assert find_submissions([results, submission]) == [submission]


@pytest.mark.parametrize("name", ["nowhere", "notes", "notes/file.txt"])
def test_what_holds_no_submission_is_misuse(tmp_path, name):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "file.txt").write_text("x")
    with pytest.raises(PolyRefuseError, match=r"no such file|holds no submission|is no submission"):
        verify([tmp_path / name])


def test_a_second_submission_of_one_model_and_revision_is_rejected(submission):
    twin = submission.parent / "org__model--bbbbbbbbbbbb"
    shutil.copytree(submission, twin)
    verdicts = verify([submission.parent])
    assert [verdict.accepted for verdict in verdicts] == [False, False]
    assert "duplicate: manifest.json: the same model and revision is submitted in" in reasons(
        verdicts
    )


def test_a_copy_under_another_name_passes_alone_and_not_beside_the_original(forgery, submission):
    forgery.rename("org/better")
    forgery.set("model.weights_digest", digest("made up"))
    forgery.manifest["weights_digest"] = digest("made up")
    copy = forgery.write(submission.parent)
    [alone] = verify([copy])
    assert alone.accepted
    assert "a copy, or the same weights" in reasons(verify([submission.parent]))


def test_other_answers_of_other_models_are_no_duplicates(submission, tmp_path):
    fake_run(tmp_path / "run", "org/other", variety="Really.")
    make_submission(tmp_path / "run", submission.parent)
    assert [x.accepted for x in verify([submission.parent])] == [True, True]


def test_a_consistent_forgery_passes_as_documented(forgery, tmp_path):
    """Only asking the model again catches it; see test_rescore."""
    for at, row in enumerate(forgery.rows[:4]):
        forgery.change(
            at, outcome=Outcome.COMPLIED, score=0.1, reason="assent", sha256=digest(row.id)
        )
    forgery.seal = "all"
    [verdict] = verify([forgery.write(tmp_path)])
    assert verdict.accepted
    assert verdict.result.cell("en", "baseline", "harmful").refusal.value == pytest.approx(0.2)


def test_exit_codes_and_every_reason_on_a_line(command, submission, forgery, tmp_path):
    done = command("verify", submission, "--markdown", tmp_path / "out" / "comment.md")
    assert (done.code, done.err) == (0, "")
    assert "org/model: accepted" in done.out
    assert "1 accepted, 0 rejected" in (tmp_path / "out" / "comment.md").read_text()
    forgery.set("cells.0.refusal.value", 0.5)
    forgery.set("proof.verified", False)
    bad = forgery.write(tmp_path / "bad")
    done = command("verify", bad)
    assert done.code == 1
    assert done.err == "polyrefuse: 1 of 1 submissions rejected.\n"
    assert "rejected, 2 reasons" in done.out
    assert "  figure: result.json: cells[baseline, harmful, en].refusal.value: is 0.5" in done.out
    assert "  number: result.json: proof: does not show" in done.out
    done = command("verify", tmp_path / "nowhere")
    assert done.code == 2
    assert "no such file" in done.err
    assert command("verify").code == 2


def test_a_dataset_folder_or_a_pinned_hub_dataset_may_be_named(
    command, submission, forgery, tmp_path
):
    forgery.result["dataset"] |= {"name": "org/data", "revision": "c" * 40}
    path = forgery.write(tmp_path)
    done = command("verify", path)
    assert done.code == 1
    assert "calls the dataset org/data" in done.out
    assert command("verify", path, "--dataset", SAMPLE_FOLDER).code == 0
    assert command("verify", submission, "--dataset", SAMPLE_FOLDER).code == 0
    for bad in ("org/data", "/nowhere", "org/data@", "../x@main"):
        with pytest.raises(PolyRefuseError, match="no pinned dataset"):
            parse_source(bad)
    assert len(all_sources(["org/data@main"])) == 2


def test_a_dataset_that_nobody_has_is_a_reason_not_a_crash(forgery, tmp_path):
    forgery.result["dataset"] |= {"name": "org/data", "content_digest": digest("x")}
    assert "is none of the pinned datasets" in reasons(verify([forgery.write(tmp_path)]))


def test_hostile_text_is_shown_as_text_in_a_comment(forgery, tmp_path):
    forgery.folder = "x`@everyone <img src=x> [link](http://x) |"
    forgery.manifest["model"] = "`@everyone` <script>alert(1)</script>\n# Accepted"
    verdicts = verify([forgery.write(tmp_path)])
    text = markdown(verdicts)
    assert "rejected" in text.splitlines()[0]
    for line in text.splitlines():
        outside = "".join(line.split("`")[::2])
        assert "<" not in outside
        assert "@" not in outside
        assert "](" not in outside
        assert line.count("`") % 2 == 0


def test_a_long_comment_is_cut(forgery, tmp_path):
    for at in range(60):
        forgery.change(at, id=f"id{at}")
    verdicts = verify([forgery.write(tmp_path)])
    assert len(markdown(verdicts * 200)) < 61_000
    kinds = [problem.kind for problem in verdicts[0].problems]
    assert max(map(kinds.count, set(kinds))) <= problems_module.MOST_SHOWN + 1


def calibrated(forgery, recall=9):
    """Attach a calibration of 12 reference rows, 10 of them refusals, in each language."""
    rows = [(SimpleNamespace(truth=True), Outcome.REFUSED)] * recall
    rows += [(SimpleNamespace(truth=True), Outcome.COMPLIED)] * (10 - recall)
    rows += [(SimpleNamespace(truth=False), Outcome.COMPLIED)] * 6
    reference = Reference(
        files=["reference-1"], digest=digest("r"), kind="refusal",
        column="reference_refusal", rows=32,
    )  # fmt: skip
    judge = forgery.result["settings"]["judges"][0]
    calibration = Calibration(
        judge=judge["name"], judge_version=judge["version"], reference=reference,
        languages=[_language(code, rows, False, 0) for code in sorted(LANGUAGES)],
        pooled=_language("all", rows * 2, False, 0), seed=0,
    )  # fmt: skip
    result = attach_calibration(Result.model_validate(forgery.result), calibration)
    return replace(forgery, result=result.model_dump(mode="json"))


CALIBRATION_CHANGES = {
    "a figure": ("calibrations.0.languages.0.readings.0.recall.value", 0.99, "follow from its"),
    "a count": ("calibrations.0.pooled.readings.0.confusion.true_positive", 99, "add up"),
    "a negative count": ("calibrations.0.pooled.readings.0.confusion.true_positive", -1, "add up"),
    "1e308": ("calibrations.0.languages.0.readings.0.recall.n", 1e308, "impossible n"),
    "the judge": ("calibrations.0.judge", "wildguard", "which the run has not"),
    "the pool": ("calibrations.0.pooled.n", 5, "not of all languages together"),
    "a corrected rate": ("cells.0.corrected.refusal.value", 0.1, "corrected.refusal.value"),
    "no correction": ("cells.0.corrected", None, "corrected"),
}


@pytest.mark.parametrize(
    ("field", "value", "reason"), CALIBRATION_CHANGES.values(), ids=CALIBRATION_CHANGES
)
def test_an_altered_calibration_is_rejected(forgery, tmp_path, field, value, reason):
    altered = calibrated(forgery)
    [verdict] = verify([altered.write(tmp_path / "honest")])
    assert verdict.accepted, reasons([verdict])
    altered.set(field, value)
    assert reason in reasons(verify([altered.write(tmp_path / "altered")]))


def test_the_bounds_of_the_proof_are_those_of_the_proof():
    from polyrefuse_evaluation.residual_stream import BOUNDS

    assert {
        str(dtype).removeprefix("torch."): bound for dtype, bound in BOUNDS.items()
    } == PROOF_BOUNDS


def test_submit_says_what_it_wrote_and_sends_nothing(command, run_dir, tmp_path, monkeypatch):
    def no_network(*_, **__):
        raise AssertionError("something was sent")

    monkeypatch.setattr("huggingface_hub.HfApi.__init__", no_network)
    done = command(
        "submit", run_dir, "--out", tmp_path / "out", "--licence", "mit", "--family", "Model 1",
        "--model-card",
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    assert "60 labels, no completions" in done.out
    assert "| English | 100.0% (56.6% to 100.0%) | 0.0% (0.0% to 43.4%) |" in done.out
    manifest = json.loads((tmp_path / "out" / "org__model--aaaaaaaaaaaa" / MANIFEST).read_text())
    assert (manifest["licence"], manifest["family"]) == ("mit", "Model 1")
    done = command("submit", run_dir, "--out", tmp_path / "out", "--name", "/home/me")
    assert done.code == 2
    assert "no public name" in done.err
    done = command("submit", run_dir, "--out", tmp_path / "out", "--licence", "<b>")
    assert done.code == 1
    assert "licence" in done.err


def test_labels_of_another_run_are_rejected(forgery, tmp_path, submission):
    fake_run(tmp_path / "run", "org/other", variety="Other.")
    other = make_submission(tmp_path / "run", tmp_path / "other", PublicNames())
    forgery.contents[LABELS] = (other.path / LABELS).read_bytes()
    [verdict] = verify([forgery.write(tmp_path / "mixed")])
    # Same labels, other texts: nothing in the files is against it, until both are there.
    assert verdict.accepted
    mixed = forgery.write(tmp_path / "other")
    assert "a copy, or the same weights" in reasons(verify([other.path, mixed]))
