"""The software bill of materials: what an installation of polyrefuse[all] is made of.

CycloneDX 1.6 JSON: the installed runtime dependencies with versions, licences and who needs whom,
and the third-party files in this repository (``vendored.toml``). It describes the environment it
is run in, so run it in one made from the lock. It names no package index, and two runs on one
commit give the same bytes. The libraries inside other people's wheels it does not know.
"""

import argparse
import hashlib
import sys
import tomllib
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

from cyclonedx.contrib.hash.factories import HashTypeFactory
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from packaging.utils import canonicalize_name
from rich.console import Console

from docs.release.build import commit_time
from docs.release.licences import licence_faults, licence_table, stated_licence
from docs.release.requirements import (
    ROOT,
    installed_closure,
    needed_by,
    read_pyproject,
    runtime_requirements,
)

VENDORED = Path(__file__).with_name("vendored.toml")


def vendored_components(root: Path = ROOT) -> list[dict[str, Any]]:
    """Return what vendored.toml says of each third-party file.

    Raises:
        ValueError: a file is not the published one, or its licence is missing.
    """
    found: list[dict[str, Any]] = tomllib.loads(VENDORED.read_text(encoding="utf-8"))["component"]
    for item in found:
        digest = hashlib.sha256((root / item["file"]).read_bytes()).hexdigest()
        if digest != item["sha256"]:
            raise ValueError(f"{item['file']} is not {item['name']} {item['version']} as published")
        if not (root / item["license_file"]).is_file():
            raise ValueError(f"{item['license_file']}: the licence of {item['name']} is missing")
    return found


def library(name: str, package: Distribution) -> Component:
    """Return an installed package as a component."""
    version = package.version.partition("+")[0]
    expression = stated_licence(package)
    purl = PackageURL("pypi", name=name, version=version)
    return Component(
        name=name,
        version=version,
        type=ComponentType.LIBRARY,
        bom_ref=str(purl),
        purl=purl,
        scope=ComponentScope.REQUIRED,
        licenses=[LicenseFactory().make_from_string(expression)] if expression else None,
    )


def vendored(item: Mapping[str, Any]) -> Component:
    """Return a third-party file as a component."""
    return Component(
        name=item["name"],
        group=item.get("group"),
        version=item["version"],
        type=ComponentType.LIBRARY,
        bom_ref=item["purl"],
        purl=PackageURL.from_string(item["purl"]),
        scope=ComponentScope(item["scope"]),
        licenses=[LicenseFactory().make_from_string(item["license"])],
        hashes=[HashTypeFactory().from_hashlib_alg("sha256", item["sha256"])],
        properties=[Property(name="polyrefuse:file", value=item["file"])],
        description=item["why"],
    )


def make_bom(
    project: Mapping[str, Any],
    packages: Mapping[str, Distribution],
    files: Iterable[Mapping[str, Any]],
    epoch: int,
) -> Bom:
    """Return the bill of materials, with the graph of who needs whom."""
    table = project["project"]
    purl = PackageURL("pypi", name=table["name"], version=table["version"])
    root = Component(
        name=table["name"],
        version=table["version"],
        type=ComponentType.LIBRARY,
        bom_ref=str(purl),
        purl=purl,
        licenses=[LicenseFactory().make_from_string(table["license"])],
    )
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"{purl} {epoch}"))
    bom.metadata.component = root
    bom.metadata.timestamp = datetime.fromtimestamp(epoch, UTC)
    components = {name: library(name, package) for name, package in packages.items()}
    carried = [vendored(item) for item in files]
    bom.components.update(components.values())
    bom.components.update(carried)
    direct = [components[name] for name in runtime_requirements(project)]
    bom.register_dependency(root, [*direct, *carried])
    for name, package in packages.items():
        needed = {canonicalize_name(requirement.name) for requirement in needed_by(package)}
        bom.register_dependency(
            components[name], [components[n] for n in sorted(needed & components.keys())]
        )
    return bom


def write_bom(bom: Bom) -> str:
    """Return a bill of materials as JSON, one line a value, with a newline at its end."""
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def schema_fault(text: str) -> str | None:
    """Return what is wrong with a bill of materials according to its schema, or None."""
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    return None if error is None else repr(error)


def main() -> int:
    """Write the bill of materials; print the licences; exit 1 if one is not allowed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "dist" / "polyrefuse.cdx.json")
    out, console = parser.parse_args().out, Console(highlight=False)
    project = read_pyproject()
    packages = installed_closure(runtime_requirements(project))
    text = write_bom(make_bom(project, packages, vendored_components(), commit_time(ROOT)))
    faults = licence_faults(packages)
    if (fault := schema_fault(text)) is not None:
        faults.append(f"the bill of materials is not valid: {fault}")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8")
    console.print(licence_table(packages))
    for line in faults:
        console.print(line, markup=False)
    console.print(f"{out}: {len(packages)} packages, {len(faults)} faults")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
