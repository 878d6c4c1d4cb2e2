"""Examine the installation: what is there, what is broken, and what to do about it.

Runs where much is missing or broken: nothing beyond the base is imported in this process.
"""

from collections.abc import Sequence
from itertools import chain

from polyrefuse.doctor.finding import Finding, Level
from polyrefuse.doctor.hub import examine_hub
from polyrefuse.doctor.imports import try_imports
from polyrefuse.doctor.packages import (
    examine_packages,
    examine_torch,
    examine_transformers,
    needed_packages,
)
from polyrefuse.doctor.places import examine_caches, examine_memory
from polyrefuse.doctor.surroundings import (
    environment,
    examine_clock,
    examine_installation,
    examine_programs,
    examine_python,
    examine_settings,
    examine_terminal,
    examine_tokens,
)

__all__ = ["Finding", "Level", "examine", "problems"]


def examine(*, online: bool = False) -> list[Finding]:
    """Examine Python, packages, devices, folders, settings and, on demand, access to the Hub.

    Args:
        online: ask the Hub's endpoint for its headers; else no network is used.
    """
    variables = environment()
    needed = needed_packages()
    modules = dict.fromkeys(item.module for item in needed if item.installed is not None)
    imported = try_imports(list(modules))
    parts = (
        examine_python(),
        examine_installation(),
        examine_packages(needed, imported),
        examine_torch(imported),
        examine_transformers(needed),
        examine_caches(variables),
        examine_memory(),
        examine_tokens(variables),
        examine_settings(variables),
        examine_hub(online=online),
        examine_clock(),
        examine_terminal(variables),
        examine_programs(),
    )
    return list(chain.from_iterable(parts))


def problems(findings: Sequence[Finding]) -> list[Finding]:
    """Return what is broken."""
    return [finding for finding in findings if finding.level == "problem"]
