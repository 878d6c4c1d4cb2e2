"""Run directories keep what was done, drop what was half done, and belong to one run."""

import json
import stat
import subprocess
import sys

import pytest

from polyrefuse.errors import RunDirectoryError
from polyrefuse_evaluation.run_directory import (
    COMPLETIONS,
    JUDGEMENTS,
    CompletionRecord,
    JudgementRecord,
    RunDirectory,
    open_run_directory,
)

SETTINGS = {"model": "planted", "limit": 3}


def completion(batch: int, number: int) -> CompletionRecord:
    return CompletionRecord(
        condition="baseline", language="en", label="harmful", id=f"id-{batch}-{number}",
        batch=batch, completion="x\u2028y \u202e z", sha256="sha256:0", tokens=3, finished=True,
    )  # fmt: skip


def judgement(batch: int, number: int) -> JudgementRecord:
    return JudgementRecord(
        condition="baseline", language="en", label="harmful", id=f"id-{batch}-{number}",
        batch=batch, judge="keyword", outcome="refused", score=0.9, response_language="en",
        reason="",
    )  # fmt: skip


def fill(run: RunDirectory, batches: int, size: int = 2) -> None:
    for batch in range(batches):
        run.append(COMPLETIONS, [completion(batch, k) for k in range(size)])
        run.append(JUDGEMENTS, [judgement(batch, k) for k in range(size)])


def test_a_directory_is_private_and_keeps_its_settings(tmp_path):
    with open_run_directory(tmp_path / "run", SETTINGS) as run:
        assert json.loads((run.path / "settings.json").read_text()) == SETTINGS
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700


def test_other_settings_are_refused_and_named(tmp_path):
    with open_run_directory(tmp_path, SETTINGS):
        pass
    other = open_run_directory(tmp_path, {**SETTINGS, "limit": 4})
    with pytest.raises(RunDirectoryError, match=r"limit: 3 there, 4 now"):
        other.__enter__()


@pytest.mark.parametrize("settings", [None, "[]", '{"editor.fontSize": 12}'])
def test_a_folder_that_is_no_run_stays_as_it_is(tmp_path, settings):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / ".film.mp4.partial").write_text("half a film")
    if settings is not None:
        (tmp_path / "settings.json").write_text(settings)
    tmp_path.chmod(0o755)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RunDirectoryError):
        open_run_directory(tmp_path, SETTINGS).__enter__()
    assert sorted(tmp_path.rglob("*")) == before
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_whole_batches_survive_and_half_ones_are_dropped(tmp_path):
    with open_run_directory(tmp_path, SETTINGS) as run:
        fill(run, batches=2)
        run.append(COMPLETIONS, [completion(2, 0), completion(2, 1)])  # killed before judging
        assert run.recover([2, 2, 2]) == {0, 1}
        assert {row.batch for row in run.read(COMPLETIONS, CompletionRecord)} == {0, 1}
        before = (tmp_path / COMPLETIONS).read_bytes()
        assert run.recover([2, 2, 2]) == {0, 1}
        assert (tmp_path / COMPLETIONS).read_bytes() == before


@pytest.mark.parametrize("cut", [1, 20, 200])
@pytest.mark.parametrize("name", [COMPLETIONS, JUDGEMENTS])
def test_a_torn_line_takes_its_batch_with_it(tmp_path, name, cut):
    with open_run_directory(tmp_path, SETTINGS) as run:
        fill(run, batches=3)
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:-cut])
        assert run.recover([2, 2, 2]) == {0, 1}
        fill_rest = [completion(2, 0), completion(2, 1)]
        run.append(COMPLETIONS, fill_rest)
        assert len(run.read(COMPLETIONS, CompletionRecord)) == 6


def test_a_batch_that_only_one_of_two_judges_has_seen_is_dropped(tmp_path):
    with open_run_directory(tmp_path, SETTINGS) as run:
        fill(run, batches=2)
        other = [judgement(0, k).model_copy(update={"judge": "other"}) for k in range(2)]
        run.append(JUDGEMENTS, other)
        assert run.recover([2, 2], judges=2) == {0}
        assert len(run.read(JUDGEMENTS, JudgementRecord)) == 4


def test_a_batch_that_the_plan_does_not_have_is_dropped(tmp_path):
    with open_run_directory(tmp_path, SETTINGS) as run:
        fill(run, batches=3)
        assert run.recover([2, 3]) == {0}


def test_a_line_of_another_version_names_file_and_line(tmp_path):
    with open_run_directory(tmp_path, SETTINGS) as run:
        fill(run, batches=1)
        with (tmp_path / JUDGEMENTS).open("a") as stream:
            stream.write('{"verdict": "yes"}\n')
        with pytest.raises(RunDirectoryError, match=r"judgements\.jsonl, line 3"):
            run.read(JUDGEMENTS, JudgementRecord)


def test_a_second_process_is_kept_out_while_the_first_writes(tmp_path):
    program = (
        "import sys; from polyrefuse_evaluation.run_directory import open_run_directory\n"
        "with open_run_directory(__import__('pathlib').Path(sys.argv[1]), {}): pass"
    )
    paths = ":".join(sys.path)
    command = [sys.executable, "-c", program, str(tmp_path)]
    with open_run_directory(tmp_path, {}):
        held = subprocess.run(
            command, env={"PYTHONPATH": paths}, capture_output=True, text=True, check=False
        )
    free = subprocess.run(
        command, env={"PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )
    assert "another process is writing" in held.stderr
    assert free.returncode == 0, free.stderr
