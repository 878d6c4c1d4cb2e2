"""Are the packages that PolyRefuse and its extras need there, inside their ranges, and sound?"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from polyrefuse.doctor.finding import Finding

BASE = "base"
EXTRAS = {
    "builders": "build datasets",
    "evaluation": "evaluate models",
    "leaderboard": "submit and verify results",
}
"""Extras, and what each is needed for."""

MODULES = {"lingua-language-detector": "lingua", "pyyaml": "yaml"}
"""Modules of packages that have another name."""

PROVEN_TRANSFORMERS = "5.23"
"""The release of transformers whose architectures evaluation/ARCHITECTURES.md has proven."""


@dataclass(frozen=True)
class Needed:
    """One package that is needed: its name, the versions that fit, and by which extra."""

    name: str
    versions: str
    extra: str

    @property
    def module(self) -> str:
        """What is imported."""
        return MODULES.get(self.name, self.name.replace("-", "_"))

    @property
    def installed(self) -> str | None:
        """The version that is installed; None where it is not."""
        try:
            return metadata.version(self.name)
        except metadata.PackageNotFoundError:
            return None

    def fits(self, version: str) -> bool:
        """Whether a version is in the range; True where that cannot be told."""
        try:
            from packaging.specifiers import InvalidSpecifier, SpecifierSet
        except ImportError:
            return True
        try:
            return SpecifierSet(self.versions).contains(version, prereleases=True)
        except InvalidSpecifier:
            return True


def needed_packages() -> list[Needed]:
    """Return what the installed metadata says is needed; empty where there is none."""
    try:
        lines = metadata.requires("polyrefuse") or []
    except metadata.PackageNotFoundError:
        return []
    return [needed for line in lines for needed in parse_requirement(line)]


def parse_requirement(line: str) -> Iterator[Needed]:
    """Yield what one ``Requires-Dist`` line asks for."""
    requirement, _, marker = line.partition(";")
    found = re.fullmatch(r"\s*([A-Za-z0-9._-]+)\s*(?:\[.*\])?\s*\(?([^)]*)\)?\s*", requirement)
    extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)['\"]", marker)
    name = extra.group(1) if extra else BASE
    if found and found.group(1).lower() != "polyrefuse" and name in (BASE, *EXTRAS):
        yield Needed(found.group(1).lower(), found.group(2).strip(), name)


def examine_packages(
    needed: Sequence[Needed], imported: Mapping[str, Mapping[str, Any]]
) -> Iterator[Finding]:
    """Yield one finding for each of base and extras, and one for each package at fault.

    Args:
        needed: the packages.
        imported: what `try_imports` found of their modules.
    """
    if not needed:
        yield Finding(
            "packages",
            "warning",
            "polyrefuse is not installed here, so what it needs is not known",
            "Run: pip install 'polyrefuse[all]', or pip install -e '.[all]' in a checkout.",
        )
    absent = {item.module for item in needed if item.installed is None}
    causes = {
        name: found for name, found in imported.items() if not _follows(name, imported, absent)
    }
    for extra in (BASE, *EXTRAS):
        own = [item for item in needed if item.extra == extra]
        if own:
            yield from _examine_extra(extra, own, causes)


def _follows(name: str, imported: Mapping[str, Mapping[str, Any]], absent: Collection[str]) -> bool:
    """Whether a module fails only since another one does that has a finding of its own."""
    fault = imported[name].get("error")
    torch = imported.get("torch", {}).get("error")
    lacks = str(imported[name].get("lacks") or "").partition(".")[0]
    return lacks in absent or (name != "torch" and fault is not None and fault == torch)


def _examine_extra(
    extra: str, own: Sequence[Needed], imported: Mapping[str, Mapping[str, Any]]
) -> Iterator[Finding]:
    name = f"packages ({extra})"
    command = "pip install " + ("polyrefuse" if extra == BASE else f"'polyrefuse[{extra}]'")
    missing = [item for item in own if item.installed is None]
    if missing:
        use = "everything needs them" if extra == BASE else f"needed to {EXTRAS[extra]}"
        yield Finding(
            name,
            "problem" if extra == BASE else "warning",
            f"not installed: {', '.join(item.name for item in missing)} ({use})",
            f"Run: {command}",
        )
    wrong = 0
    for item in own:
        version = item.installed
        if version is None:
            continue
        fault = imported.get(item.module, {}).get("error")
        if fault:
            wrong += 1
            yield Finding(
                item.name,
                "problem",
                f"{version} is installed and cannot be imported: {fault}",
                f"Install it anew: pip install --force-reinstall '{item.name}{item.versions}'",
            )
        elif not item.fits(version):
            wrong += 1
            yield Finding(
                item.name,
                "problem" if extra == BASE else "warning",
                f"{version} is outside the versions that were tried ({item.versions})",
                f"Run: pip install '{item.name}{item.versions}'",
            )
    if not missing and not wrong:
        yield Finding(name, "ok", f"all {len(own)} there, inside their ranges, and importable")


def examine_transformers(needed: Sequence[Needed]) -> Iterator[Finding]:
    """Say whether transformers is the release whose architectures are proven."""
    version = next((x.installed for x in needed if x.name == "transformers"), None)
    if version is None:
        return
    if version.split(".")[:2] == PROVEN_TRANSFORMERS.split("."):
        yield Finding("transformers", "ok", f"{version}: its architectures are proven")
        return
    yield Finding(
        "transformers",
        "warning",
        f"{version}: ablation was proven on the architectures of {PROVEN_TRANSFORMERS}",
        "Every evaluation proves it anew on its model; 'polyrefuse check MODEL' does it alone.",
    )


def examine_torch(imported: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """Say which build of torch there is, and on which devices it can compute."""
    facts = imported.get("torch", {}).get("facts")
    if not facts:
        return
    devices = [
        f"{name} ({free / 2**30:.1f} of {total / 2**30:.1f} GiB free)"
        for name, free, total in facts["devices"]
    ]
    devices += ["Apple GPU (mps)"] if facts["mps"] else []
    build = f"built for {facts['built_for']}" if facts["built_for"] else "built for CPUs"
    where = ", ".join(devices) or f"CPU only, {facts['threads']} threads"
    if facts["built_for"] and not devices:
        yield Finding(
            "torch",
            "warning",
            f"{facts['version']}, {build}, and no accelerator can be used",
            "Check the driver (nvidia-smi) and CUDA_VISIBLE_DEVICES; models run on the CPU.",
        )
        return
    yield Finding("torch", "ok", f"{facts['version']}, {build}: {where}")
