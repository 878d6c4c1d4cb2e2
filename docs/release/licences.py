"""Under which licence each runtime dependency comes, and whether the allow list has that licence.

Reads what packages state of themselves: the licence expression (PEP 639), else the classifiers,
else a short free text. What a package states wrongly, this does not know. Allowed is what an
Apache-2.0 project may depend on; MPL-2.0 is, since nothing of such a package is changed.
"""

import sys
from collections.abc import Mapping
from importlib.metadata import Distribution
from typing import Any

from license_expression import ExpressionError, get_spdx_licensing
from rich.console import Console
from rich.table import Table

from docs.release.requirements import installed_closure, read_pyproject, runtime_requirements

ALLOWED = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause",
    "BSL-1.0", "CC0-1.0", "CNRI-Python", "ISC", "LicenseRef-BSD", "MIT", "MIT-CMU", "MPL-2.0",
    "PSF-2.0", "Zlib",
}  # fmt: skip
CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "LicenseRef-BSD",  # the classifier does not say which of the BSD licences
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
FREE_TEXTS = {
    "Apache": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache 2.0 License": "Apache-2.0",
}
SPDX = get_spdx_licensing()


def stated_licence(package: Distribution) -> str:
    """Return the SPDX expression that a package states, or "" where it states none we can read."""
    metadata = package.metadata
    if expression := metadata.get_all("License-Expression"):
        return str(expression[0])
    labels = [
        c.split(" :: ")[-1] for c in metadata.get_all("Classifier") or [] if c[:7] == "License"
    ]
    if labels:
        named = sorted({CLASSIFIERS.get(label, "") for label in labels})
        return " AND ".join(named) if all(named) else ""
    text = str((metadata.get_all("License") or [""])[0]).strip()
    text = str(FREE_TEXTS.get(text, text))
    try:
        SPDX.parse(text, validate=True)
    except ExpressionError:
        return ""
    return text


def is_allowed(expression: str) -> bool:
    """Whether an SPDX expression can be met with licences of the allow list alone."""
    parsed = SPDX.parse(expression) if expression else None
    return parsed is not None and _met(parsed)


def _met(parsed: Any) -> bool:
    if isinstance(parsed, SPDX.OR):
        return any(_met(part) for part in parsed.args)
    if isinstance(parsed, SPDX.AND):
        return all(_met(part) for part in parsed.args)
    return str(parsed) in ALLOWED


def licence_faults(packages: Mapping[str, Distribution]) -> list[str]:
    """Return one line for each package whose licence is unknown or not on the allow list."""
    faults = []
    for name, package in packages.items():
        expression = stated_licence(package)
        if not expression:
            faults.append(f"{name} {package.version} states no licence that can be read")
        elif not is_allowed(expression):
            faults.append(f"{name} {package.version}: {expression} is not on the allow list")
    return faults


def licence_table(packages: Mapping[str, Distribution]) -> Table:
    """Return a table of packages, versions and licences."""
    table = Table("package", "version", "licence")
    for name, package in packages.items():
        table.add_row(name, package.version, stated_licence(package) or "unknown")
    return table


def main() -> int:
    """Print the licences of all runtime dependencies; exit 1 if one is not allowed."""
    packages = installed_closure(runtime_requirements(read_pyproject()))
    console = Console(highlight=False)
    console.print(licence_table(packages))
    faults = licence_faults(packages)
    for fault in faults:
        console.print(fault, markup=False)
    console.print(f"{len(packages)} packages, {len(faults)} whose licence is not allowed")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
