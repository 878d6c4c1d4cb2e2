"""The release checklist: each step passes on a sound repository, and fails on a planted fault."""

import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from docs.release import checklist, steps
from docs.release.build import tracked_files
from docs.release.checklist import run_checklist, run_step
from docs.release.requirements import LOCK, ROOT
from docs.release.steps import STEPS, Context, StepError
from tests.release.conftest import commit_all, git

QUICK = {"clean tree", "versions", "tag"}


@pytest.fixture
def small(root, tmp_path) -> Path:
    """The files that most steps look at, committed: all others would only be copied."""
    copy = tmp_path / "repository"
    for name in tracked_files(root):
        if "/" not in name or name.startswith("docs/release/"):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, copy / name)
    git(copy, "init", "--quiet")
    commit_all(copy)
    return copy


@pytest.fixture
def context(small, tmp_path) -> Context:
    (tmp_path / "work").mkdir()
    return Context(small, tmp_path / "work")


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def dry_run(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the quick steps of the checklist of a repository, as a person would."""
    skip = ",".join(STEPS.keys() - QUICK)
    return subprocess.run(
        [sys.executable, "-m", "docs.release.checklist", "--dry-run", "--skip", skip],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_sound_repository_passes_and_what_was_not_checked_is_said(small):
    done = dry_run(small)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "not checked:" in done.stdout
    assert "tests" in done.stdout.partition("not checked:")[2]
    assert done.stdout.count("pass ") == len(QUICK)


def test_a_version_that_differs_is_caught(small):
    replace(small / "CITATION.cff", "version: 0.1.0", "version: 0.2.0")
    commit_all(small)
    done = dry_run(small)
    assert done.returncode == 1
    assert "Not ready: versions failed." in done.stdout
    assert "CITATION.cff says 0.2.0" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("pyproject.toml", 'version = "0.1.0"', 'version = "0.1.1"', "CITATION.cff says 0.1.0"),
        ("CHANGELOG.md", "## 0.1.0 - ", "## 0.0.9 - ", "no entry '## 0.1.0"),
        ("CITATION.cff", "date-released: 2026-", "date-released: 2025-", "dates 0.1.0"),
    ],
)
def test_versions_and_dates_that_disagree_are_caught(context, file, old, new, said):
    assert "0.1.0" in steps.versions_agree(context)
    replace(context.root / file, old, new)
    with pytest.raises(StepError, match=said):
        steps.versions_agree(context)


def test_a_file_that_is_not_committed_is_caught(context):
    assert "nothing uncommitted" in steps.clean_tree(context)
    (context.root / "planted.txt").write_text("", encoding="utf-8")
    with pytest.raises(StepError, match=r"1 files changed or not tracked, such as planted\.txt"):
        steps.clean_tree(context)


def test_a_tag_that_is_taken_is_caught(context):
    assert "no tag v0.1.0" in steps.tag_is_free(context)
    git(context.root, "tag", "v0.1.0")
    with pytest.raises(StepError, match=r"v0\.1\.0 exists"):
        steps.tag_is_free(context)


def test_a_lock_that_is_not_current_is_caught(context, monkeypatch):
    def report(pins):
        items = [{"name": name, "version": version} for name, version in pins.items()]
        return {"install": [{"metadata": item, "download_info": {}} for item in items]}

    text = (context.root / LOCK).read_text(encoding="utf-8")
    pins = dict(line.split("==") for line in text.splitlines() if not line.startswith("#"))
    monkeypatch.setattr(steps, "resolve", lambda *_: report(pins))
    assert f"{len(pins)} pins" in steps.lock_is_current(context)
    del pins["typer"]
    monkeypatch.setattr(steps, "resolve", lambda *_: report(pins))
    (context.work / "lock").rmdir()
    with pytest.raises(StepError, match="'typer'"):
        steps.lock_is_current(context)


def test_a_readme_tree_that_is_not_current_is_caught(repository, tmp_path):
    context = Context(repository, tmp_path)
    context.run(sys.executable, "docs/readme_tree.py")
    assert steps.tree_is_current(context)
    replace(context.root / "README.md", "check.py", "chekc.py")
    with pytest.raises(StepError, match=r"docs/readme_tree\.py"):
        steps.tree_is_current(context)


def test_a_sample_that_lost_a_row_is_caught(repository, tmp_path):
    context = Context(repository, tmp_path)
    path = context.root / "polyrefuse" / "data" / "th" / "test.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[1:]), encoding="utf-8")
    with pytest.raises(StepError, match=r"data check' ended with 1"):
        steps.sample_is_sound(context)


def test_a_licence_that_is_not_allowed_is_caught(context, monkeypatch):
    assert "all on the allow list" in steps.licences_are_allowed(context)
    monkeypatch.setattr("docs.release.licences.ALLOWED", {"MIT"})
    with pytest.raises(StepError, match="not on the allow list"):
        steps.licences_are_allowed(context)


def test_a_build_that_is_not_reproducible_is_caught(context, monkeypatch):
    def build(_, out):
        out.mkdir()
        paths = [out / "polyrefuse-0.1.0.tar.gz", out / "polyrefuse-0.1.0-py3-none-any.whl"]
        for path in paths:
            path.write_text(content[0], encoding="utf-8")
        return paths

    content = ["one"]
    monkeypatch.setattr(steps, "build", build)
    assert "polyrefuse-0.1.0.tar.gz" in steps.builds(context)
    assert "two builds agree" in steps.is_reproducible(context)
    content[0] = "other"
    shutil.rmtree(context.work / "again")
    with pytest.raises(StepError, match="two builds of the same commit differ"):
        steps.is_reproducible(context)


def test_contents_that_are_wrong_are_caught(context):
    (context.work / "dist").mkdir()
    wheel = context.work / "dist" / "polyrefuse-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("polyrefuse/tests/planted.py", "")
    shutil.copy(wheel, context.work / "dist" / "polyrefuse-0.1.0.zip.whl")
    with pytest.raises(StepError, match=r"never in a wheel|not part of a package"):
        steps.contents_are_exact(context)


def test_contents_cannot_be_looked_at_where_nothing_was_built(context):
    for step in (steps.contents_are_exact, steps.twine_accepts, steps.is_reproducible):
        with pytest.raises(StepError, match="'build' did not pass"):
            step(context)


def test_a_step_that_breaks_is_a_fault_and_the_others_still_run(monkeypatch, root):
    def breaks(_):
        raise PackageNotFoundError("rich")

    two = {"breaks": breaks, "works": lambda _: "seen"}
    monkeypatch.setattr(checklist, "STEPS", two)
    assert [line.status for line in run_checklist(root)] == ["fail", "pass"]
    assert "PackageNotFoundError" in run_step("breaks", breaks, Context(root, root)).seen


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--skip", "tests"], "needs --dry-run"), (["--dry-run", "--skip", "luck"], "no such step")],
)
def test_a_release_skips_nothing_and_a_dry_run_only_what_there_is(
    monkeypatch, capsys, arguments, said
):
    monkeypatch.setattr(sys, "argv", ["checklist", *arguments])
    with pytest.raises(SystemExit) as stop:
        checklist.main()
    assert stop.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("flags", "uploads_named"), [([], True), (["--dry-run"], False)])
def test_at_the_end_a_person_is_told_what_to_run_and_nothing_is_run(
    monkeypatch, capsys, flags, uploads_named
):
    ran = []
    monkeypatch.setattr(subprocess, "run", lambda *a, **_: ran.append(a))
    monkeypatch.setattr(checklist, "STEPS", {"works": lambda _: "seen"})
    monkeypatch.setattr(sys, "argv", ["checklist", *flags])
    assert checklist.main() == 0
    assert ("twine upload" in capsys.readouterr().out) is uploads_named
    assert ran == []


def test_no_step_uploads_tags_or_pushes():
    for name in ("steps", "build", "lock", "compat", "sbom"):
        source = (ROOT / "docs" / "release" / f"{name}.py").read_text(encoding="utf-8")
        assert '"upload"' not in source
        assert '"push"' not in source
        assert '"tag", "--sign"' not in source
