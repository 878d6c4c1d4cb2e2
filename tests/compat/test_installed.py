"""What a stranger does with an installation: evaluate, report, submit, verify, build, check.

`make compat` runs this on the oldest and the newest dependencies, against the installed wheel;
`make test-full` on the lock's, against the checkout. Every command is run as a user runs it.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import datasets
import pytest

import polyrefuse
from polyrefuse.languages import LANGUAGE_CODES
from polyrefuse.results import BASELINE, ablation_condition, read_result
from polyrefuse_evaluation.planted import planted_pair

pytestmark = pytest.mark.slow


def run(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "polyrefuse", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=1500,
    )


def answers(code: int, *arguments: object) -> str:
    """Run a command, which must end with this exit code; return what it said."""
    done = run(*arguments)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def model() -> Path:
    """A model folder: the planted model of the lock's versions, so that nothing is trained here."""
    if folder := os.environ.get("POLYREFUSE_COMPAT_MODEL"):
        return Path(folder)
    return planted_pair("single").folder / "tuned"


@pytest.fixture(scope="module")
def evaluated(model, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "planted"
    languages = ("--languages", "de,en,yo", "--source-languages", "en", "--limit", 12)
    answers(0, "evaluate", model, *languages, "--out", out)
    return out


@pytest.fixture(scope="module")
def submission(evaluated, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("results")
    answers(0, "leaderboard", "submit", evaluated, "--out", out, "--name", "tester/planted")
    return out


@pytest.fixture
def exported(tmp_path) -> Path:
    answers(0, "data", "export", tmp_path / "sample")
    return tmp_path / "sample"


def test_it_is_the_installation_that_is_tested():
    if os.environ.get("POLYREFUSE_COMPAT"):
        assert Path(polyrefuse.__file__).is_relative_to(sys.prefix)
    else:
        assert not Path(polyrefuse.__file__).is_relative_to(sys.prefix)


def test_ablation_is_proven(model):
    proof = json.loads(run("check", model, "--json").stdout)
    assert proof["verified"]
    assert 0 < proof["max_projection"] <= 1e-5


def test_a_direction_is_found_and_carries_refusal_where_it_should(evaluated):
    result = read_result(evaluated / "result.json")
    (direction,) = result.directions
    assert direction.rung == "published"
    for language in ("de", "en"):
        assert result.cell(language, BASELINE, "harmful").refusal.value >= 0.9
        freed = result.cell(language, ablation_condition("en"), "harmful")
        assert freed.refusal.value <= 0.1
    assert result.cell("yo", BASELINE, "harmful").refusal.value <= 0.1


def test_the_report_is_written_again_with_its_page_and_figures(evaluated):
    (evaluated / "report.html").unlink()
    shutil.rmtree(evaluated / "figures")
    assert "German" in answers(0, "report", evaluated)
    assert "German" in (evaluated / "report.html").read_text(encoding="utf-8")
    for figure in ("compliance.png", "compliance.svg", "outcomes.png"):
        assert (evaluated / "figures" / figure).stat().st_size > 5000


def test_a_submission_is_accepted_built_into_pages_and_rejected_when_a_label_is_changed(
    submission, tmp_path
):
    answers(0, "leaderboard", "verify", submission)
    answers(0, "leaderboard", "build", submission, "--out", tmp_path / "site")
    assert "table-core.js" in (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    shutil.copytree(submission, tmp_path / "forged")
    (path,) = (tmp_path / "forged").rglob("result.json")
    result = json.loads(path.read_text(encoding="utf-8"))
    result["cells"][0]["refusal"]["value"] = 0.123
    path.write_text(json.dumps(result), encoding="utf-8")
    answers(1, "leaderboard", "verify", tmp_path / "forged")


def test_the_sample_is_checked_exported_loaded_validated_and_documented(exported, tmp_path):
    answers(0, "data", "check")
    answers(0, "data", "check", exported)
    loaded = datasets.load_dataset(str(exported), "th", cache_dir=str(tmp_path / "cache"))
    assert loaded["test"].features["label"].names == ["harmless", "harmful"]
    assert polyrefuse.load("all").num_rows == 192 * len(LANGUAGE_CODES)
    for language in set(LANGUAGE_CODES) - {"de", "en"}:
        shutil.rmtree(exported / "data" / language)
    answers(0, "build", "validate", exported, "--report", tmp_path / "report.jsonl")
    assert len((tmp_path / "report.jsonl").read_text(encoding="utf-8").splitlines()) == 2 * 192


def test_a_fault_in_the_data_is_found(exported):
    path = exported / "data" / "de" / "test.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[1:]), encoding="utf-8")
    answers(1, "data", "check", exported)
