"""No network unless the command needs it: the others try nothing, and a new one must say."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from polyrefuse.cli import app
from tests.abuse import seeds

BLOCKED = Path(__file__).parent / "blocked"
ROOT = Path(__file__).parents[2]

ONLINE = {
    "build publish": "asks the Hub what is there, also in a dry run",
}
"""Commands that cannot do without. Others go online if told to: a Hub id, an endpoint."""

QUICK = {
    "data export": ["data", "export", "{out}/sample"],
    "data check": ["data", "check", "{out}/sample"],
    "build diff-upstream": ["build", "diff-upstream", "{small}", "{small}"],
    "judge": ["judge", "{rows}", "--judge", "keyword", "--out", "{out}/judged.jsonl"],
    "calibrate": [
        "calibrate",
        "--judge",
        "keyword",
        "--reference",
        "{reference}",
        "--out",
        "{out}/c.json",
    ],
    "import-run": ["import-run", "{log}", "--out", "{out}/imported"],
    "status": ["status", "{run}"],
}
"""What `make test` runs, in this order; braces are filled in."""

SLOW = {
    "doctor": ["doctor"],
    "build card": ["build", "card", "{small}"],
    "build validate": ["build", "validate", "{small}", "--report", "{out}/report.jsonl"],
    "build import-upstream": ["build", "import-upstream", "{release}", "--out", "{out}/upstream"],
    "check": ["check", "planted"],
    "evaluate": [
        "evaluate",
        "planted",
        "--languages",
        "en,th",
        "--limit",
        "1",
        "--max-new-tokens",
        "4",
        "--train-prompts",
        "4",
        "--out",
        "{out}/run",
    ],
    "report": ["report", "{out}/run"],
    "judge-sample": ["judge-sample", "{out}/run", "--out", "{out}/sheet.csv"],
    "leaderboard submit": ["leaderboard", "submit", "{out}/run", "--out", "{out}/submission"],
    "leaderboard verify": ["leaderboard", "verify", "{out}/submission"],
    "leaderboard build": ["leaderboard", "build", "{out}/submission", "--out", "{out}/site"],
    "build run": ["build", "run", "{recipe}", "--out", "{out}/built", "--mirror", "{mirror}"],
    "build translate": [
        "build",
        "translate",
        "{small}",
        "--languages",
        "es",
        "--engine",
        "apertium",
        "--out",
        "{out}/translated",
    ],
    "geometry": [
        "geometry",
        "planted",
        "--out",
        "{out}/geometry",
        "--languages",
        "de,en,zh",
        "--sources",
        "de,en",
        "--limit",
        "2",
        "--resamples",
        "100",
        "--max-new-tokens",
        "4",
    ],
    "residual-space": [
        "residual-space",
        "planted:residual-base",
        "planted:residual",
        "--out",
        "{out}/space",
        "--languages",
        "en",
        "--limit",
        "2",
        "--max-new-tokens",
        "4",
    ],
    "demo": ["demo", "--out", "{out}/demo"],
}
"""What `make abuse` runs as well."""


def all_commands() -> list[str]:
    """Return the names of all commands, as the command line itself has them."""

    def walk(command, path: tuple[str, ...]) -> Iterator[str]:
        inner = getattr(command, "commands", None)
        if inner is None:
            yield " ".join(path)
        for name, item in (inner or {}).items():
            yield from walk(item, (*path, name))

    return list(walk(typer.main.get_command(app), ()))


def test_every_command_is_known_to_be_offline_or_online():
    known = QUICK.keys() | SLOW.keys() | ONLINE.keys()
    new = set(all_commands()) - known
    assert not new, f"say in this file whether {new} need a network"
    assert known <= set(all_commands()), "a command is gone"


def test_a_new_command_would_have_to_be_classified(monkeypatch):
    """The mutation."""
    monkeypatch.setattr(
        "tests.abuse.test_network.all_commands", lambda: [*QUICK, *SLOW, *ONLINE, "new"]
    )
    with pytest.raises(AssertionError, match="new"):
        test_every_command_is_known_to_be_offline_or_online()


@pytest.fixture
def places(tmp_path, dataset) -> dict[str, str]:
    """What the commands read."""
    rows = tmp_path / "rows.jsonl"
    rows.write_bytes(seeds.ROWS)
    reference = tmp_path / "reference.jsonl"
    reference.write_bytes(seeds.REFERENCE)
    log = tmp_path / "log"
    log.mkdir()
    (log / "results_1.json").write_text(json.dumps(seeds.LM_RESULTS), encoding="utf-8")
    (log / "samples_polyrefuse_en_1.jsonl").write_bytes(seeds.lines(seeds.LM_SAMPLE))
    mirror = tmp_path / "mirror"
    (mirror / "one").mkdir(parents=True)
    (mirror / "one" / "rows.csv").write_bytes(b"goal\nName a red fruit\nDraw a small house\n")
    manifest = """
[sources.one]
title = "One"
homepage = "https://example.org"
licence = "MIT"
confirmed = true
host = "url"
repository = "https://example.org/data"
format = "csv"
files = [{ path = "rows.csv" }]
columns = { text = "goal" }
label = "harmless"
split = "test"
"""
    (tmp_path / "manifest.toml").write_text(manifest, encoding="utf-8")
    recipe = 'manifest = "manifest.toml"\nlanguages = ["es"]\nengine = "apertium"\n'
    (tmp_path / "recipe.toml").write_text(recipe, encoding="utf-8")
    (tmp_path / "submissions").mkdir()
    release = ROOT / "tests" / "builders" / "release"
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "log.jsonl").write_bytes(seeds.LOG)
    return {
        "run": str(tmp_path / "run"),
        "out": str(tmp_path / "out"),
        "small": str(dataset),
        "rows": str(rows),
        "log": str(log),
        "reference": str(reference),
        "mirror": str(mirror),
        "recipe": str(tmp_path / "recipe.toml"),
        "release": str(release),
    }


def run_blocked(folder: Path, commands: list[list[str]], program: str | None = None):
    """Run commands without a network; return what they did and every try to use one."""
    log, found = folder / "network.log", folder / "results.json"
    log.write_text("", encoding="utf-8")
    (folder / "commands.json").write_text(json.dumps(commands), encoding="utf-8")
    path = [str(BLOCKED), *os.environ.get("PYTHONPATH", "").split(os.pathsep), str(ROOT)]
    environment = {
        key: value
        for key, value in os.environ.items()
        if key not in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")
    } | {
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
        "ABUSE_NETWORK_LOG": str(log),
        "HF_HOME": str(folder / "hf"),
    }
    arguments = ["-m", "tests.abuse.run_commands", folder / "commands.json", found]
    done = subprocess.run(
        [sys.executable, *(arguments if program is None else ["-c", program])],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    results = json.loads(found.read_text("utf-8")) if found.exists() else []
    return done, results, log.read_text("utf-8").splitlines()


def filled(commands: dict[str, list[str]], places: dict[str, str]) -> list[list[str]]:
    return [[part.format(**places) for part in command] for command in commands.values()]


def assert_offline(tmp_path, places, commands, expected=()) -> None:
    (tmp_path / "out").mkdir()
    done, results, tries = run_blocked(tmp_path, filled(commands, places))
    assert done.returncode == 0, done.stderr[-3000:]
    assert tries == []
    codes = dict(zip(commands, (row["code"] for row in results), strict=True))
    print({name: row["seconds"] for name, row in zip(commands, results, strict=True)})
    unexpected = {
        name: (code, results[list(commands).index(name)]["said"][-500:])
        for name, code in codes.items()
        if code != dict(expected).get(name, 0)
    }
    assert not unexpected


EXPECTED = {"build import-upstream": 2, "import-run": 2}
"""These get too little to do it all: a release, a whole log are their own tests'."""


def test_offline_commands_try_nothing(tmp_path, places):
    assert_offline(tmp_path, places, QUICK, EXPECTED)


GROUPS = (
    ("build card", "build validate", "build import-upstream", "build run", "build translate"),
    (
        "evaluate",
        "report",
        "judge-sample",
        "leaderboard submit",
        "leaderboard verify",
        "leaderboard build",
    ),
    ("doctor", "check"),
    ("geometry",),
    ("residual-space",),
    ("demo",),
)
"""Each in a process of its own; the commands of a group need what those before them wrote."""


def test_every_slow_command_is_in_a_group():
    assert sorted(name for group in GROUPS for name in group) == sorted(SLOW)


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group[0])
def test_slow_offline_commands_try_nothing(tmp_path, places, group):
    assert shutil.which("apertium"), "install apertium and apertium-eng-spa"
    assert_offline(tmp_path, places, {name: SLOW[name] for name in group}, EXPECTED)


PROGRAMS = {
    "a connection": "import socket; socket.create_connection(('127.0.0.1', 9))",
    "a name": "import socket; socket.getaddrinfo('example.org', 80)",
    "a client": "import httpx2; httpx2.get('http://127.0.0.1:9')",
    "a child": "import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', "
    "'import socket; socket.create_connection((\"127.0.0.1\", 9))']).returncode)",
    "the Hub": "from huggingface_hub import HfApi; HfApi().model_info('gpt2')",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_try_would_be_seen(tmp_path, name):
    """The mutation: what does use the network is recorded and refused, in child processes too."""
    done, _, tries = run_blocked(tmp_path, [], PROGRAMS[name])
    assert done.returncode != 0
    assert tries


@pytest.mark.slow
def test_a_command_that_goes_online_would_be_seen(tmp_path, places):
    """The mutation: the same commands, told to go online."""
    commands = [["check", "org/name"], ["doctor", "--online"]]
    _, results, tries = run_blocked(tmp_path, commands)
    assert [row["code"] for row in results] == [2, 1]
    assert any("doctor --online" in line for line in tries)
    assert any("huggingface.co" in line for line in tries)
