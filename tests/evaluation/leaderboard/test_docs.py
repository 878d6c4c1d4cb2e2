"""The page for submitters and the workflow say what the commands can do."""

import re
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from polyrefuse.cli.leaderboard import leaderboard_app

DOCS = Path(__file__).parents[3] / "docs" / "leaderboard"
GUIDE, WORKFLOW = DOCS / "CONTRIBUTING.md", DOCS / "verify-submissions.yml"


def options(command):
    known = get_command(leaderboard_app).commands[command].params
    return {option for parameter in known for option in parameter.opts if option.startswith("--")}


@pytest.mark.parametrize("path", [GUIDE, WORKFLOW], ids=lambda path: path.name)
def test_every_option_that_the_documents_name_exists(path):
    text = path.read_text(encoding="utf-8")
    ours = options("submit") | options("verify") | options("build") | {"--revision", "--out"}
    foreign = {"--quiet", "--repo", "--body-file", "--edit-last", "--create-if-none"}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))
    assert named - foreign <= ours
    assert {"--markdown"} <= named if path is WORKFLOW else {"--to", "--rescore"} <= named


def test_the_workflow_checks_pull_requests_without_rights_or_secrets():
    workflow = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    assert set(workflow[True]) == {"pull_request", "push", "workflow_dispatch"}  # "on" is True
    verify = workflow["jobs"]["verify"]
    assert "permissions" not in verify
    assert "secrets." not in WORKFLOW.read_text(encoding="utf-8")
    runs = " ".join(step.get("run", "") for step in verify["steps"])
    assert "polyrefuse[leaderboard]" in runs
    assert "github.event" not in runs  # text of a pull request never reaches a shell


def test_the_guide_says_what_is_not_checked_and_how_to_withdraw():
    text = GUIDE.read_text(encoding="utf-8")
    for heading in ("What is checked", "What is not checked", "How to withdraw"):
        assert f"## {heading}" in text
    assert "1 - (1 - f)^N" in text
