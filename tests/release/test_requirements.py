"""Every dependency is declared, bounded and locked; and each of these checks can fail."""

import ast
import re
import sys
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from docs.release.lock import HELD, kept_pins, render_lock
from docs.release.requirements import (
    LOCK,
    ROOT,
    developer_requirements,
    installed_closure,
    lower_bound,
    read_lock,
    read_pyproject,
    runtime_requirements,
    unmet,
    upper_bound,
)

PROJECT = read_pyproject()
RUNTIME = runtime_requirements(PROJECT)
PINS = read_lock((ROOT / LOCK).read_text(encoding="utf-8"))
NO_UPPER_BOUND = {"pyarrow"}  # its major number is a calendar; see docs/compatibility.md
OWN = {"polyrefuse", "polyrefuse_builders", "polyrefuse_evaluation"}
# What each package may import: what the base or its extra declares.
MAY_IMPORT = {
    "polyrefuse": (),
    "builders/polyrefuse_builders": ("builders", "evaluation"),  # local models translate and check
    "evaluation/polyrefuse_evaluation": ("evaluation",),
}
# Frameworks that call us, and so are installed where this code runs. The command line is left out:
# it imports every extra lazily, and says which one is missing.
CALLERS = {"inspect_ai", "anyio"}


def unbounded(requirements: Iterable[Requirement]) -> list[str]:
    """Return what states no lower bound, or no upper bound without being an exception."""
    return [
        str(r)
        for r in requirements
        if lower_bound(r) is None or (upper_bound(r) is None and r.name not in NO_UPPER_BOUND)
    ]


def undeclared(folder: Path, extras: Iterable[str]) -> set[str]:
    """Return the modules of other packages that are imported and not declared."""
    table = PROJECT["project"]
    lines = [*table["dependencies"]]
    lines += [line for extra in extras for line in table["optional-dependencies"][extra]]
    declared = {canonicalize_name(Requirement(line).name) for line in lines}
    providers = packages_distributions()
    found = {
        module
        for path in folder.rglob("*.py")
        if "cli" not in path.relative_to(folder).parts
        for module in imported(path)
    }
    others = found - sys.stdlib_module_names - OWN - CALLERS
    return {m for m in others if not {canonicalize_name(d) for d in providers[m]} & declared}


def catches_missing(handler: ast.ExceptHandler) -> bool:
    names = {node.id for node in ast.walk(handler.type or handler) if isinstance(node, ast.Name)}
    return bool(names & {"ImportError", "ModuleNotFoundError", "Exception"})


def imported(path: Path) -> set[str]:
    """Return the top-level modules that a file needs, anywhere in it.

    What it tries to import, and does without where that fails, is not among them.
    """
    found = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tried = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.Try) and any(catches_missing(x) for x in block.handlers)
        for statement in block.body
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in tried:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def test_every_runtime_dependency_has_a_lower_and_an_upper_bound():
    assert unbounded(RUNTIME.values()) == []


@pytest.mark.parametrize("line", ["rich", "rich>=14", "rich<16", "rich!=14.2"])
def test_a_missing_bound_is_caught(line):
    assert unbounded([Requirement(line)]) == [line]


def test_two_extras_cannot_state_different_ranges():
    table = {"name": "x", "dependencies": ["a>=1,<2"], "optional-dependencies": {"e": ["a>=1,<3"]}}
    with pytest.raises(ValueError, match="a: 'a"):
        runtime_requirements({"project": {**table}})


@pytest.mark.parametrize(("folder", "extras"), MAY_IMPORT.items())
def test_what_a_package_imports_is_declared(folder, extras):
    assert undeclared(ROOT / folder, extras) == set()


def test_an_undeclared_import_is_caught(tmp_path):
    (tmp_path / "planted.py").write_text("def f():\n    import scipy.stats\n", encoding="utf-8")
    assert undeclared(tmp_path, ()) == {"scipy"}
    assert undeclared(tmp_path, ("evaluation",)) == set()


def test_what_is_only_tried_is_not_needed(tmp_path):
    code = "try:\n    import scipy\nexcept {}:\n    scipy = None\n"
    (tmp_path / "planted.py").write_text(code.format("ImportError"), encoding="utf-8")
    assert undeclared(tmp_path, ()) == set()
    (tmp_path / "planted.py").write_text(code.format("ValueError"), encoding="utf-8")
    assert undeclared(tmp_path, ()) == {"scipy"}


def test_the_lock_pins_everything_that_pyproject_names_within_its_range():
    assert unmet({**RUNTIME, **developer_requirements(PROJECT)}, PINS) == []


def test_a_missing_pin_and_a_pin_outside_its_range_are_caught():
    pins = {**PINS, "rich": Version("13.9")}
    del pins["torch"]
    problems = unmet(RUNTIME, pins)
    assert [line.split()[0] for line in problems] == ["rich==13.9", "torch"]


def test_the_lock_covers_all_that_is_installed_on_their_account():
    installed = installed_closure({**RUNTIME, **developer_requirements(PROJECT)})
    found = {name: Version(package.version).public for name, package in installed.items()}
    assert len(found) > 150
    assert found == {name: str(PINS.get(name)) for name in found}


def test_the_lock_names_no_index_and_no_address():
    text = (ROOT / LOCK).read_text(encoding="utf-8")
    assert not re.search(r"://|--|@|sha256", text.replace("--group dev", ""))


def test_every_dependency_has_a_line_in_contributing():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").lower()
    table = text.partition("## why each dependency is here")[2]
    names = {**RUNTIME, **developer_requirements(PROJECT)}
    assert [name for name in names if name not in table] == []


@pytest.mark.parametrize("text", ["rich>=14\n", "rich==14\nRich==15\n", "-e .\n"])
def test_a_lock_that_does_not_pin_is_refused(text):
    with pytest.raises(ValueError, match=r"constraints\.txt, line"):
        read_lock(text)


def test_pins_are_kept_but_for_those_to_upgrade_and_torch_is_always_held():
    text = "rich==14.0\ntorch==2.9.0\ntyper==0.20\n"
    torch = f"torch=={HELD['torch']}"
    assert kept_pins(text, ()) == ["rich==14.0", torch, "typer==0.20"]
    assert kept_pins(text, {"Rich"}) == [torch, "typer==0.20"]
    assert kept_pins(text, {"*"}) == [torch]


def test_the_lock_leaves_out_the_project_local_labels_and_what_only_cuda_needs():
    def item(name, version, **info):
        return {"metadata": {"name": name, "version": version}, "download_info": info}

    report = {
        "install": [
            item("torch", "2.13.0+cpu"),
            item("Jinja2", "3.1.6"),
            item("nvidia-cublas", "13.1"),
            item("polyrefuse", "0.1.0", dir_info={}),
        ]
    }
    lines = [line for line in render_lock(report).splitlines() if not line.startswith("#")]
    assert lines == ["Jinja2==3.1.6", "torch==2.13.0"]
