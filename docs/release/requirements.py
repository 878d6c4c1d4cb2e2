"""What the project depends on: the requirements of pyproject.toml, their bounds, and the lock.

Knows how to read; installs nothing. Names are normalised as indexes do (PEP 503).
"""

import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
LOCK = "constraints.txt"
# The distributions that only a CUDA build of torch asks for. The lock is for the CPU build, and an
# index that offers no CPU build adds them by itself.
CUDA_ONLY = ("nvidia-", "cuda-", "triton")


def read_pyproject(root: Path = ROOT) -> dict[str, Any]:
    """Return pyproject.toml as a dictionary."""
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


def runtime_requirements(project: Mapping[str, Any]) -> dict[str, Requirement]:
    """Return every requirement of the base and of all extras, by name.

    Raises:
        ValueError: two extras state different ranges of the same package.
    """
    table = project["project"]
    found: dict[str, Requirement] = {}
    for lines in [table["dependencies"], *table["optional-dependencies"].values()]:
        for requirement in map(Requirement, lines):
            name = canonicalize_name(requirement.name)
            if name == table["name"]:
                continue
            known = found.setdefault(name, requirement)
            if known.specifier != requirement.specifier:
                message = f"{name}: '{known}' in one place and '{requirement}' in another"
                raise ValueError(message)
    return dict(sorted(found.items()))


def developer_requirements(project: Mapping[str, Any]) -> dict[str, Requirement]:
    """Return the requirements of the dependency group `dev`, by name."""
    lines = project["dependency-groups"]["dev"]
    return {canonicalize_name(r.name): r for r in map(Requirement, lines)}


def lower_bound(requirement: Requirement) -> Version | None:
    """Return the oldest version that a requirement admits, or None where it states none."""
    bounds = [Version(s.version) for s in requirement.specifier if s.operator in (">=", "==")]
    return max(bounds, default=None)


def upper_bound(requirement: Requirement) -> Version | None:
    """Return the version before which a requirement stops, or None where it states none."""
    bounds = [Version(s.version) for s in requirement.specifier if s.operator in ("<", "==")]
    return min(bounds, default=None)


def read_lock(text: str) -> dict[str, Version]:
    """Return the pins of a lock, by name.

    Raises:
        ValueError: a line is not ``name==version``, or a name is pinned twice.
    """
    pins: dict[str, Version] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, equals, version = line.strip().partition("==")
        if not equals:
            raise ValueError(f"{LOCK}, line {number}: '{line}' is not name==version")
        if canonicalize_name(name) in pins:
            raise ValueError(f"{LOCK}, line {number}: {name} is pinned twice")
        pins[canonicalize_name(name)] = Version(version)
    return pins


def unmet(requirements: Mapping[str, Requirement], pins: Mapping[str, Version]) -> list[str]:
    """Return one line for each requirement that the pins leave out or do not satisfy."""
    problems = []
    for name, requirement in requirements.items():
        if name not in pins:
            problems.append(f"{name} is not pinned")
        elif not requirement.specifier.contains(pins[name], prereleases=True):
            problems.append(f"{name}=={pins[name]} does not satisfy '{requirement}'")
    return problems


def installed_closure(requirements: Mapping[str, Requirement]) -> dict[str, Distribution]:
    """Return what is installed of some requirements and of all that those need, by name.

    Raises:
        PackageNotFoundError: something that is needed is not installed.
    """
    found: dict[str, Distribution] = {}
    waiting = list(requirements.values())
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name.startswith(CUDA_ONLY):
            continue
        try:
            found[name] = found.get(name) or distribution(name)
        except PackageNotFoundError as error:
            raise PackageNotFoundError(f"{name} (needed, and not installed)") from error
        for extra in ("", *requirement.extras):
            if (name, extra) not in seen:
                seen.add((name, extra))
                waiting += needed_by(found[name], extra)
    return dict(sorted(found.items()))


def needed_by(package: Distribution, extra: str = "") -> Iterator[Requirement]:
    """Yield what an installed package asks for on this machine, for one of its extras or none."""
    environment: dict[str, Any] = {**default_environment(), "extra": extra}
    for requirement in map(Requirement, package.requires or []):
        marker = requirement.marker
        wanted = marker is None or marker.evaluate(environment)
        # What every extra is given is given without an extra already.
        if wanted and (not extra or (marker is not None and "extra" in str(marker))):
            yield requirement
