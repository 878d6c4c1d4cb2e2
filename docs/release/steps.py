"""The steps of the release checklist: each looks at one thing, and says what it saw."""

import os
import re
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml  # type: ignore[import-untyped]

from docs.release.build import build, commit_time, sha256
from docs.release.compat_page import page_faults
from docs.release.contents import faults_of
from docs.release.licences import licence_faults
from docs.release.lock import kept_pins, render_lock, resolve
from docs.release.requirements import (
    LOCK,
    installed_closure,
    read_lock,
    read_pyproject,
    runtime_requirements,
)
from docs.release.sbom import make_bom, schema_fault, vendored_components, write_bom


class StepError(Exception):
    """A step found that the repository is not ready; the message says why, on one line."""


@dataclass(frozen=True)
class Context:
    """The repository, and a folder for what steps make."""

    root: Path
    work: Path

    def run(self, *command: str) -> str:
        """Run a command in the repository; return what it printed.

        Raises:
            StepError: it did not end with exit code 0; with the last line it printed.
        """
        paths = (self.root, self.root / "builders", self.root / "evaluation")
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "COLUMNS": "200",
        }
        done = subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True, check=False
        )
        output = done.stdout + done.stderr
        if done.returncode:
            last = (output.strip().splitlines() or ["no output"])[-1]
            raise StepError(f"'{' '.join(command[-4:])}' ended with {done.returncode}: {last}")
        return output

    def artefacts(self) -> list[Path]:
        """Return wheel and sdist.

        Raises:
            StepError: they were not built.
        """
        found = sorted((self.work / "dist").glob("polyrefuse-*"))
        if len(found) != 2:
            raise StepError("there is no wheel and sdist to look at: the step 'build' did not pass")
        return found


def read_version(root: Path) -> str:
    """Return the version in pyproject.toml."""
    return str(read_pyproject(root)["project"]["version"])


def clean_tree(context: Context) -> str:
    """Whether everything is committed."""
    changed = context.run("git", "status", "--porcelain").splitlines()
    if changed:
        raise StepError(f"{len(changed)} files changed or not tracked, such as {changed[0][3:]}")
    return f"nothing uncommitted at {context.run('git', 'rev-parse', '--short', 'HEAD').strip()}"


def versions_agree(context: Context) -> str:
    """Whether pyproject.toml, CITATION.cff and CHANGELOG.md name the same version and date."""
    version = read_version(context.root)
    citation = yaml.safe_load((context.root / "CITATION.cff").read_text(encoding="utf-8"))
    if citation["version"] != version:
        raise StepError(f"pyproject.toml says {version}, CITATION.cff says {citation['version']}")
    changelog = (context.root / "CHANGELOG.md").read_text(encoding="utf-8")
    entries = dict(re.findall(r"^## (\d\S*) - (\d{4}-\d\d-\d\d)$", changelog, flags=re.MULTILINE))
    if version not in entries:
        raise StepError(f"CHANGELOG.md has no entry '## {version} - <date>'")
    if entries[version] != str(citation["date-released"]):
        dates = f"{entries[version]}, CITATION.cff says {citation['date-released']}"
        raise StepError(f"CHANGELOG.md dates {version} {dates}")
    return f"{version} of {entries[version]} in pyproject.toml, CITATION.cff and CHANGELOG.md"


def tag_is_free(context: Context) -> str:
    """Whether the version was never tagged."""
    tag = f"v{read_version(context.root)}"
    if context.run("git", "tag", "--list", tag).strip():
        raise StepError(f"the tag {tag} exists: this version was released before")
    return f"no tag {tag} in this clone"


def tests_are_green(context: Context) -> str:
    """Whether `make test` passes."""
    return context.run("make", "test").strip().splitlines()[-1].strip("= ")


def lock_is_current(context: Context) -> str:
    """Whether resolving again, with today's pins, gives the lock that is there."""
    text = (context.root / LOCK).read_text(encoding="utf-8")
    folder = context.work / "lock"
    folder.mkdir()
    try:
        again = render_lock(resolve(context.root, kept_pins(text, ()), folder))
    except subprocess.CalledProcessError as error:
        raise StepError(f"pip found no solution with the pins of {LOCK}") from error
    if again != text:
        old, new = read_lock(text), read_lock(again)
        raise StepError(f"{LOCK} is not current: {sorted(old.items() ^ new.items())}; 'make lock'")
    return f"{len(read_lock(text))} pins, resolved again to the same"


def builds(context: Context) -> str:
    """Whether wheel and sdist build."""
    try:
        paths = build(context.root, context.work / "dist")
    except subprocess.CalledProcessError as error:
        raise StepError((error.stderr or str(error)).strip().splitlines()[-1]) from error
    return ", ".join(f"{path.name} ({path.stat().st_size:,} bytes)" for path in paths)


def twine_accepts(context: Context) -> str:
    """Whether the metadata is what a package index accepts."""
    paths = map(str, context.artefacts())
    context.run(sys.executable, "-m", "twine", "check", "--strict", *paths)
    return "twine check --strict: passed"


def contents_are_exact(context: Context) -> str:
    """Whether wheel and sdist hold what they must, and nothing else."""
    faults = [fault for path in context.artefacts() for fault in faults_of(path, context.root)]
    if faults:
        raise StepError(f"{len(faults)} faults, such as: {faults[0]}")
    return "every tracked file of the packages, nothing else; the sdist is the repository"


def is_reproducible(context: Context) -> str:
    """Whether a second build, in another folder, gives the same bytes."""
    first = [sha256(path) for path in context.artefacts()]
    second = [sha256(path) for path in sorted(build(context.root, context.work / "again"))]
    if first != second:
        raise StepError("two builds of the same commit differ")
    return f"two builds agree; sha256 {', '.join(digest[:12] for digest in first)}"


def installs_alone(context: Context) -> str:
    """Whether the wheel works in an empty environment, without extras, outside the repository."""
    folder = context.work / "alone"
    venv.create(folder, with_pip=True)
    wheel = next(path for path in context.artefacts() if path.suffix == ".whl")
    pip = (str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet")
    context.run(*pip, "--constraint", str(context.root / LOCK), str(wheel))
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    for arguments in (("--version",), ("data", "check")):
        command = [str(folder / "bin" / "polyrefuse"), *arguments]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise StepError(f"'polyrefuse {' '.join(arguments)}' ended with {done.returncode}")
    return "polyrefuse --version and data check, in an empty environment"


def bill_of_materials(context: Context) -> str:
    """Whether the software bill of materials can be made and is valid."""
    project = read_pyproject(context.root)
    packages = installed_closure(runtime_requirements(project))
    files = vendored_components(context.root)
    text = write_bom(make_bom(project, packages, files, commit_time(context.root)))
    if (fault := schema_fault(text)) is not None:
        raise StepError(f"not valid CycloneDX: {fault[:200]}")
    return f"CycloneDX 1.6, valid: {len(packages)} packages, {len(files)} vendored files"


def licences_are_allowed(context: Context) -> str:
    """Whether every runtime dependency comes under a licence of the allow list."""
    packages = installed_closure(runtime_requirements(read_pyproject(context.root)))
    if faults := licence_faults(packages):
        raise StepError("; ".join(faults))
    return f"{len(packages)} packages, all on the allow list"


def sample_is_sound(context: Context) -> str:
    """Whether the packaged sample keeps its invariants."""
    context.run(sys.executable, "-m", "polyrefuse", "data", "check")
    return "polyrefuse data check: passed"


def cards_are_current(context: Context) -> str:
    """Whether data_cards/ is what the sample's rows give."""
    tests = "tests/builders/documents/test_data_cards.py"
    output = context.run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests)
    return output.strip().splitlines()[-1].strip("= ")


def tree_is_current(context: Context) -> str:
    """Whether the README's file tree is current."""
    try:
        context.run(sys.executable, "docs/readme_tree.py", "--check")
    except StepError as error:
        raise StepError("run: python docs/readme_tree.py") from error
    return "as docs/readme_tree.py writes it"


def compatibility_was_tried(context: Context) -> str:
    """Whether docs/compatibility.md is of the ranges that are stated, and says passed twice."""
    page = (context.root / "docs" / "compatibility.md").read_text(encoding="utf-8")
    if faults := page_faults(page, runtime_requirements(read_pyproject(context.root))):
        raise StepError(f"{faults[0]}; run: make compat")
    return "oldest and newest passed, with the ranges of pyproject.toml"


STEPS: dict[str, Callable[[Context], str]] = {
    "clean tree": clean_tree,
    "versions": versions_agree,
    "tag": tag_is_free,
    "lock": lock_is_current,
    "build": builds,
    "twine": twine_accepts,
    "contents": contents_are_exact,
    "reproducible": is_reproducible,
    "install": installs_alone,
    "sbom": bill_of_materials,
    "licences": licences_are_allowed,
    "data check": sample_is_sound,
    "data cards": cards_are_current,
    "readme tree": tree_is_current,
    "compatibility": compatibility_was_tried,
    "tests": tests_are_green,
}
