"""The `polyrefuse build` commands, run as `main` runs them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from polyrefuse.cli import main
from tests.support.hub_server import HubServer

ROOT = Path(__file__).parents[2]


@pytest.fixture
def polyrefuse(monkeypatch, capsys):
    """Return a function that runs a command in this process: (exit code, stdout, stderr)."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["polyrefuse", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        printed = capsys.readouterr()
        return int(stop.value.code or 0), printed.out, printed.err

    return run


@pytest.fixture
def folder(tmp_path) -> Path:
    """The packaged sample in three languages, as a folder of its own."""
    for language in ("de", "en", "th"):
        shutil.copytree(ROOT / "polyrefuse/data" / language, tmp_path / "ds/data" / language)
    shutil.copy(ROOT / "polyrefuse/README.md", tmp_path / "ds/README.md")
    return tmp_path / "ds"


def test_validate_writes_one_line_a_row_and_says_yes(polyrefuse, folder, tmp_path):
    report = tmp_path / "report.jsonl"
    code, _, _ = polyrefuse("build", "validate", str(folder), "--report", str(report))
    lines = [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]
    assert code == 0
    code, said, _ = polyrefuse("status", str(tmp_path / "report.log.jsonl"))
    assert (code, "validate  done   576/576 (100%)" in said) == (0, True), said
    assert len(lines) == 3 * 192
    assert all({"language", "id", "verdict", "reasons"} <= line.keys() for line in lines)


def test_validate_says_no_where_a_row_failed(polyrefuse, folder, tmp_path):
    path = folder / "data/de/test.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rows[3]["prompt"] = rows[3]["prompt_en"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    report = tmp_path / "report.jsonl"
    code, _, error = polyrefuse("build", "validate", str(folder), "--report", str(report))
    assert code == 1
    assert str(report) in error
    found = {(x["language"], x["id"]): x for x in map(json.loads, report.open(encoding="utf-8"))}
    assert found["de", rows[3]["id"]]["verdict"] == "failed"


def test_evidence_on_request_needs_an_engine_that_can(polyrefuse, folder, tmp_path):
    code, _, error = polyrefuse(
        "build", "validate", str(folder), "--report", str(tmp_path / "r.jsonl"),
        "--back-translate", "babelfish",
    )  # fmt: skip
    assert (code, "unknown engine 'babelfish'" in error) == (2, True)


def test_card_renders_the_documents_of_a_folder(polyrefuse, folder):
    code, out, _ = polyrefuse("build", "card", str(folder))
    assert code == 0
    assert "documents" in out
    for name in ("README.md", "datasheet.md", "croissant.json", "eval.yaml", "languages/th.md"):
        assert (folder / name).is_file(), name


def test_publish_is_a_dry_run_unless_told_otherwise(polyrefuse, folder, tmp_path):
    polyrefuse("build", "card", str(folder))
    with HubServer() as hub:
        environment = {
            **os.environ, "HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": hub.token,
        }  # fmt: skip
        command = [sys.executable, "-m", "polyrefuse", "build", "publish", str(folder)]
        done = subprocess.run(
            [*command, "--repo", "org/polyrefuse"], env=environment, cwd=ROOT,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "data/th/test.jsonl" in done.stdout
        assert hub.token not in done.stdout + done.stderr
        assert not [method for method, _ in hub.requests if method == "POST"]


def test_an_unknown_engine_is_one_line_and_exit_2(polyrefuse, folder, tmp_path):
    code, _, error = polyrefuse(
        "build", "translate", str(folder), "--languages", "es", "--engine", "babelfish",
        "--out", str(tmp_path / "out"),
    )  # fmt: skip
    assert code == 2
    assert "unknown engine 'babelfish'" in error
    assert len(error.strip().splitlines()) == 1


def test_a_recipe_with_a_typo_names_the_key(polyrefuse, tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('sorces = ["xstest"]\n', encoding="utf-8")
    code, _, error = polyrefuse("build", "run", str(recipe), "--out", str(tmp_path / "out"))
    assert code == 2
    assert "sorces" in error
    assert str(recipe) in error


def test_engine_settings_need_an_engine_and_a_value(polyrefuse, tmp_path):
    recipe = ROOT / "builders/sources.toml"
    out = str(tmp_path / "out")
    base = ("build", "run", str(recipe), "--out", out)
    code, _, error = polyrefuse(*base, "--engine-setting", "a=b")
    assert (code, "--engine-setting needs --engine" in error) == (2, True)
    code, _, error = polyrefuse(*base, "--engine", "libretranslate", "--engine-setting", "url")
    assert (code, "is not key=value" in error) == (2, True)
