"""Hostile submissions: rejected with code 1 and one line; nothing else of ours ends so."""

import json
import os
import pickle
import shutil
from pathlib import Path

import pytest

from polyrefuse_evaluation.leaderboard.schema import LABELS, MANIFEST, RESULT
from polyrefuse_evaluation.leaderboard.submission import make_submission
from tests.abuse.terminal import HOSTILE
from tests.evaluation.leaderboard.conftest import fake_run

REJECTED = "polyrefuse: 1 of 1 submissions rejected."
CONTENTS = {
    "empty": b"",
    "not UTF-8": b"\xff\xfe",
    "a list": b"[1]",
    "deep lists": b"[" * 200_000,
    "a long number": b'{"schema_version": ' + b"9" * 10_000 + b"}",
    "NaN": b'{"schema_version": NaN}',
    "one key twice": b'{"model": "a", "model": "b"}',
    "hostile text": json.dumps({"model": HOSTILE, HOSTILE: HOSTILE}).encode(),
    "a pickle": pickle.dumps(HOSTILE),
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    """A submission that is accepted."""
    folder = tmp_path_factory.mktemp("submission")
    fake_run(folder / "run")
    return make_submission(folder / "run", folder / "results").path


@pytest.fixture
def submission(sound, tmp_path) -> Path:
    """A copy of it that can be spoilt."""
    return Path(shutil.copytree(sound, tmp_path / "results" / sound.name))


def rejected(run, folder: Path) -> None:
    done = run("leaderboard", "verify", folder)
    assert done.code == 1, done.out + done.err
    assert done.err.strip() == REJECTED
    assert "rejected" in done.out


def test_a_sound_one_is_accepted(run, submission):
    """The mutation: the same folder, unspoilt, ends with 0 and says nothing on standard error."""
    done = run("leaderboard", "verify", submission)
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize("name", [MANIFEST, RESULT, LABELS])
@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_hostile_files_are_rejected(run, submission, name, content):
    (submission / name).write_bytes(content)
    rejected(run, submission)


def test_hostile_text_under_sound_digests_is_rejected(run, submission):
    """In the manifest alone: there is no digest over it that could give it away."""
    path = submission / MANIFEST
    for field in ("model", "revision"):
        kept = path.read_text(encoding="utf-8")
        path.write_text(json.dumps(json.loads(kept) | {field: HOSTILE}), encoding="utf-8")
        rejected(run, submission)
        path.write_text(kept, encoding="utf-8")


@pytest.mark.parametrize("name", [MANIFEST, RESULT, LABELS])
@pytest.mark.parametrize("kind", ["a pipe", "a link out", "missing"])
def test_what_is_no_file_is_rejected(run, submission, name, kind):
    (submission / name).unlink()
    if kind == "a pipe":
        os.mkfifo(submission / name)
    elif kind == "a link out":
        (submission / name).symlink_to("/etc/passwd")
    if (kind, name) == ("missing", MANIFEST):  # without it, it is a folder like any other
        done = run("leaderboard", "verify", submission)
        assert done.code in (1, 2)
        assert len(done.err.strip().splitlines()) == 1
    else:
        rejected(run, submission)


def test_what_is_no_submission_is_bad_input(refused, tmp_path):
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "nowhere", tmp_path / "empty"):
        assert str(path) in refused("leaderboard", "verify", path)
