"""`polyrefuse doctor` on installations that are broken, each in a process of its own."""

import json
import os
import shutil
import subprocess
import sys

import pytest

SHADOW = 'raise OSError("libcudart.so.13: cannot open shared object file")\n'

# Hides installed packages from this Python and every one that it starts.
HIDING = """
import importlib.metadata as metadata, sys
HIDDEN = {hidden!r}
class Hiding:
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, name, *rest):
        hidden = name.partition(".")[0] in HIDDEN
        return None if hidden else self.finder.find_spec(name, *rest)
sys.meta_path[:] = [Hiding(finder) for finder in sys.meta_path]
version = metadata.version
def hidden_version(name):
    if name in HIDDEN:
        raise metadata.PackageNotFoundError(name)
    return version(name)
metadata.version = hidden_version
"""


@pytest.fixture
def doctor(root, tmp_path):
    """Run ``polyrefuse doctor`` with modules on the path before all others."""
    shadows = tmp_path / "shadows"
    shadows.mkdir()

    def run(*arguments, modules=None, **variables):
        for name, text in (modules or {}).items():
            (shadows / f"{name}.py").write_text(text)
        paths = os.pathsep.join(map(str, (shadows, root, root / "builders", root / "evaluation")))
        environment = os.environ | {"PYTHONPATH": paths} | variables
        return subprocess.run(
            [sys.executable, "-m", "polyrefuse", "doctor", *arguments],
            cwd=root, env=environment, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip

    return run


def findings(done):
    return {found["name"]: found for found in json.loads(done.stdout)["findings"]}


@pytest.fixture
def programs(tmp_path):
    """A PATH without Chromium and all the rest."""
    folder = tmp_path / "bin"
    folder.mkdir()
    return str(folder)


def test_without_torch_with_no_place_for_a_cache_and_without_chromium(doctor, tmp_path, programs):
    file = tmp_path / "a-file"
    file.write_text("")
    done = doctor(
        "--json",
        modules={"sitecustomize": HIDING.format(hidden={"torch", "transformers"})},
        POLYREFUSE_CACHE=str(file / "cache"),
        PATH=programs,
        HF_TOKEN="hf_abcdefghijklmnop",
        OPENAI_API_KEY="sk-abcdefghijklmnop",
    )
    assert done.returncode == 1
    assert done.stderr == (
        "polyrefuse: 1 broken: folder for planted models. Each line above says what to do.\n"
    )
    found = findings(done)
    evaluation = found["packages (evaluation)"]
    assert (evaluation["level"], evaluation["remedy"]) == (
        "warning", "Run: pip install 'polyrefuse[evaluation]'"
    )  # fmt: skip
    assert "not installed: torch, transformers (needed to evaluate models)" in evaluation["detail"]
    assert "torch" not in found
    cache = found["folder for planted models"]
    assert cache["level"] == "problem"
    assert f"{file}: Not a directory" in cache["detail"]
    assert "set POLYREFUSE_CACHE" in cache["remedy"]
    for program in ("chromium", "chromedriver"):
        assert found[program]["level"] == "warning"
        assert "needed for tests" in found[program]["detail"]
        assert found[program]["remedy"] == "Run: apt-get install chromium chromium-driver"
    assert found["packages (base)"]["level"] == "ok"
    assert "Hub: in HF_TOKEN; OPENAI_API_KEY: set; DEEPL_API_KEY: not set" in str(found["tokens"])
    assert "abcdefghijklmnop" not in done.stdout + done.stderr


def test_with_a_torch_that_cannot_be_loaded(doctor):
    done = doctor(modules={"torch": SHADOW})
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    (line,) = [x for x in done.stdout.splitlines() if x.startswith("problem")]
    assert line.split()[1] == "torch:"
    assert "cannot be imported: OSError: libcudart.so.13: cannot open shared object file" in line
    assert "pip install --force-reinstall 'torch" in line
    assert done.stderr.startswith("polyrefuse: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_where_nothing_is_broken_it_exits_0(doctor, tmp_path):
    done = doctor("--json", POLYREFUSE_CACHE=str(tmp_path / "new" / "cache"))
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["ok"] is True
    assert not (tmp_path / "new").exists()  # examined, not made
    levels = {name: found["level"] for name, found in findings(done).items()}
    assert "problem" not in levels.values()
    assert levels["Hub"] == "not tried"
    assert {levels[f"packages ({x})"] for x in ("base", "builders", "evaluation")} == {"ok"}
    assert levels["torch"] == levels["transformers"] == "ok"


@pytest.mark.slow
def test_without_any_extra_it_still_runs_and_exits_0(doctor, root):
    extras = {
        "torch", "transformers", "accelerate", "safetensors", "scipy", "matplotlib", "tenacity",
        "platformdirs", "lingua", "lingua-language-detector", "sacrebleu", "datasketch", "ftfy",
        "langdetect", "deep_translator", "deep-translator", "jinja2",
    }  # fmt: skip
    done = doctor("--json", modules={"sitecustomize": HIDING.format(hidden=extras)})
    assert done.returncode == 0, done.stdout + done.stderr
    found = findings(done)
    for extra in ("builders", "evaluation", "leaderboard"):
        assert found[f"packages ({extra})"]["level"] == "warning"
        assert f"polyrefuse[{extra}]" in found[f"packages ({extra})"]["remedy"]
    assert found["folder for planted models"]["level"] == "warning"


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount"), reason="mounting needs root")
def test_a_read_only_mount_is_no_place_for_a_cache(tmp_path):
    from polyrefuse.doctor.places import unwritable

    folder = tmp_path / "mounted"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "none", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("READ-ONLY MOUNT NOT TRIED: this root may not mount")
    try:
        assert unwritable(folder / "cache") == f"{folder}: Read-only file system"
    finally:
        subprocess.run(["umount", str(folder)], check=True)
    assert unwritable(folder / "cache") is None
