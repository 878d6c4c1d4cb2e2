"""Wheel and sdist: exact contents, the same bytes from any folder, metadata an index accepts."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from docs.release.build import build, sha256
from docs.release.contents import faults_of, names_in, wheel_faults
from docs.release.requirements import LOCK
from tests.release.conftest import commit_all

EPOCH = 1_790_000_000


@pytest.fixture(scope="session")
def artefacts(root, tmp_path_factory) -> list[Path]:
    return list(build(root, tmp_path_factory.mktemp("dist"), epoch=EPOCH))


def test_wheel_and_sdist_hold_what_they_must_and_nothing_else(artefacts):
    assert [faults_of(path) for path in artefacts] == [[], []]


def test_the_wheel_holds_data_templates_tables_scripts_and_licences(artefacts):
    names = set(names_in(artefacts[0]))
    assert {
        "polyrefuse/data/th/test.jsonl",
        "polyrefuse/README.md",
        "polyrefuse/py.typed",
        "polyrefuse_builders/templates/dataset_card.md.j2",
        "polyrefuse_evaluation/judges/keyword_tables/yo.toml",
        "polyrefuse_evaluation/report/templates/report.html.j2",
        "polyrefuse_evaluation/leaderboard/site/assets/table-core.js",
        "polyrefuse_evaluation/leaderboard/site/assets/table-core.LICENSE.txt",
    } <= names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_sdist_holds_what_building_and_testing_need(artefacts):
    names = {name.partition("/")[2] for name in names_in(artefacts[1])}
    assert {"pyproject.toml", "MANIFEST.in", "Makefile", LOCK, "tests/conftest.py"} <= names


@pytest.mark.parametrize(
    ("planted", "fault"),
    [
        ("polyrefuse/__pycache__/check.cpython-311.pyc", "never in a wheel"),
        ("polyrefuse_evaluation/tests/test_planted.py", "never in a wheel"),
        ("benchmarks/planted.py", "not part of a package"),
        ("polyrefuse/data/de/draft.jsonl", "not part of a package"),
    ],
)
def test_a_planted_file_in_the_wheel_is_caught(artefacts, tmp_path, planted, fault):
    wheel = tmp_path / artefacts[0].name
    shutil.copy(artefacts[0], wheel)
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr(planted, "")
    assert f"{fault}: {planted}" in faults_of(wheel)


@pytest.mark.parametrize(
    "name", ["polyrefuse/data/yo/test.jsonl", "polyrefuse_evaluation/py.typed"]
)
def test_a_data_file_that_is_missing_is_caught(artefacts, tmp_path, name):
    wheel = tmp_path / artefacts[0].name
    with zipfile.ZipFile(artefacts[0]) as whole, zipfile.ZipFile(wheel, "w") as archive:
        for other in whole.namelist():
            if other != name:
                archive.writestr(other, "")
    assert faults_of(wheel) == [f"missing from the wheel: {name}"]


def test_tests_that_somebody_commits_inside_a_package_are_caught_all_the_same():
    tracked = ["polyrefuse/tests/test_x.py"]
    faults = wheel_faults(tracked, tracked)
    assert "never in a wheel: polyrefuse/tests/test_x.py" in faults


@pytest.mark.slow
def test_a_package_that_setuptools_is_not_told_of_is_caught(repository, tmp_path):
    text = (repository / "pyproject.toml").read_text(encoding="utf-8")
    spoilt = text.replace('where = [".", "builders", "evaluation"]', 'where = [".", "builders"]')
    assert spoilt != text
    (repository / "pyproject.toml").write_text(spoilt, encoding="utf-8")
    commit_all(repository)
    wheel, _ = build(repository, tmp_path / "dist")
    assert "missing from the wheel: polyrefuse_evaluation/evaluate.py" in faults_of(
        wheel, repository
    )


def test_another_folder_and_another_time_stamp_of_files_give_the_same_bytes(
    artefacts, repository, tmp_path
):
    (repository / "README.md").touch()
    (repository / "build").mkdir()
    (repository / "build" / "stale.py").write_text("left by an earlier build", encoding="utf-8")
    again = build(repository, tmp_path / "dist", epoch=EPOCH)
    assert [sha256(path) for path in again] == [sha256(path) for path in artefacts]
    assert again[0].name == artefacts[0].name


@pytest.mark.slow
def test_bytes_differ_where_the_time_or_a_file_does(artefacts, repository, tmp_path):
    with (repository / "polyrefuse" / "check.py").open("a", encoding="utf-8") as file:
        file.write("# planted\n")
    later = build(repository, tmp_path / "dist", epoch=EPOCH)
    assert all(sha256(a) != sha256(b) for a, b in zip(later, artefacts, strict=True))


def test_the_metadata_is_what_an_index_accepts(artefacts):
    done = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", *map(str, artefacts)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_metadata_that_an_index_refuses_is_caught(artefacts, tmp_path):
    wheel = tmp_path / artefacts[0].name
    with zipfile.ZipFile(artefacts[0]) as whole, zipfile.ZipFile(wheel, "w") as archive:
        for name in whole.namelist():
            content = whole.read(name)
            if name.endswith("METADATA"):
                content = content.replace(b"text/markdown", b"text/x-rst").replace(b"```", b"``x`")
            archive.writestr(name, content)
    done = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", str(wheel)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
