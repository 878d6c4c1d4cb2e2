"""The bill of materials is valid and complete, and every licence in it is allowed."""

import json
import re
from email.message import Message
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from docs.release import sbom
from docs.release.licences import is_allowed, licence_faults, stated_licence
from docs.release.requirements import installed_closure, read_pyproject, runtime_requirements
from docs.release.sbom import make_bom, schema_fault, vendored_components, write_bom

EPOCH = 1_790_000_000


@pytest.fixture(scope="module")
def packages() -> dict[str, Distribution]:
    return installed_closure(runtime_requirements(read_pyproject()))


@pytest.fixture(scope="module")
def text(packages) -> str:
    return write_bom(make_bom(read_pyproject(), packages, vendored_components(), EPOCH))


class Stated(Distribution):
    """A package that states this of its licence."""

    def __init__(self, **fields: str):
        self.fields = fields

    @property
    def metadata(self):
        message = Message()
        for key, value in {"Name": "planted", "Version": "1.0", **self.fields}.items():
            message[key.replace("_", "-")] = value
        return message

    def read_text(self, filename):
        return None

    def locate_file(self, path):
        return Path(path)


def test_it_is_valid(text):
    assert schema_fault(text) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda bom: bom["components"][0].pop("name"),
        lambda bom: bom["components"][0].update(type="virus"),
        lambda bom: bom["components"][0].update(licenses=[{"license": {"id": "No such id"}}]),
        lambda bom: bom.update(planted=True),
    ],
)
def test_what_its_schema_forbids_is_caught(text, spoil):
    bom = json.loads(text)
    spoil(bom)
    assert schema_fault(json.dumps(bom)) is not None


def test_it_lists_every_runtime_package_with_version_licence_and_who_needs_it(text, packages):
    bom = json.loads(text)
    listed = {c["name"]: c for c in bom["components"] if c["purl"].startswith("pkg:pypi")}
    assert listed.keys() == packages.keys()
    assert all(component["version"] and component["licenses"] for component in listed.values())
    graph = {entry["ref"]: entry.get("dependsOn", []) for entry in bom["dependencies"]}
    reached = set()
    waiting = [bom["metadata"]["component"]["bom-ref"]]
    while waiting:
        waiting += [
            ref for ref in graph[waiting.pop()] if ref not in reached and not reached.add(ref)
        ]
    assert {c["bom-ref"] for c in bom["components"]} <= reached


def test_it_lists_the_vendored_scripts_with_versions_licences_and_digests(text):
    vendored = {c["name"]: c for c in json.loads(text)["components"] if "npm" in c["purl"]}
    assert vendored["table-core"]["version"] == "8.21.3"
    assert vendored["table-core"]["licenses"] == [{"license": {"id": "MIT"}}]
    assert vendored["axe-core"]["licenses"] == [{"license": {"id": "MPL-2.0"}}]
    assert all(len(c["hashes"][0]["content"]) == 64 for c in vendored.values())


def test_every_vendored_script_is_listed(root):
    listed = {item["file"] for item in vendored_components()}
    here = {
        str(path.relative_to(root))
        for folder in ("polyrefuse", "builders", "evaluation", "tests")
        for path in (root / folder).rglob("*.js")
        if "copyright" in path.read_text(encoding="utf-8")[:2000].lower()
    }
    assert here == listed


def test_a_vendored_script_that_was_edited_is_caught(tmp_path):
    for item in vendored_components():
        (tmp_path / item["file"]).parent.mkdir(parents=True)
        (tmp_path / item["file"]).write_text("edited", encoding="utf-8")
    with pytest.raises(ValueError, match=r"table-core\.js is not table-core 8\.21\.3 as published"):
        vendored_components(tmp_path)


def test_a_vendored_script_without_its_licence_is_caught(tmp_path):
    for item in vendored_components():
        (tmp_path / item["file"]).parent.mkdir(parents=True)
        (tmp_path / item["file"]).write_bytes((sbom.ROOT / item["file"]).read_bytes())
    with pytest.raises(ValueError, match="licence of table-core is missing"):
        vendored_components(tmp_path)


def test_it_names_no_host_and_does_not_change_from_run_to_run(text, packages):
    hosts = set(re.findall(r"\w+://([^/\"]+)", text)) - {"cyclonedx.org"}
    assert hosts == set()
    again = write_bom(make_bom(read_pyproject(), packages, vendored_components(), EPOCH))
    assert again == text


def test_every_licence_is_allowed(packages):
    assert licence_faults(packages) == []


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"License_Expression": "AGPL-3.0-only"}, "AGPL-3.0-only is not on the allow list"),
        ({"License_Expression": "MIT AND GPL-3.0-only"}, "is not on the allow list"),
        ({"Classifier": "License :: Other/Proprietary License"}, "states no licence"),
        ({"License": "Ask us"}, "states no licence"),
        ({}, "states no licence"),
    ],
)
def test_a_licence_that_is_not_allowed_or_not_stated_is_caught(fields, fault):
    (line,) = licence_faults({"planted": Stated(**fields)})
    assert fault in line


@pytest.mark.parametrize(
    ("fields", "expression"),
    [
        ({"License_Expression": "MIT OR GPL-3.0-only"}, "MIT OR GPL-3.0-only"),
        ({"Classifier": "License :: OSI Approved :: BSD License"}, "LicenseRef-BSD"),
        ({"License": "Apache 2.0 License"}, "Apache-2.0"),
        ({"License": "MPL-2.0 AND MIT"}, "MPL-2.0 AND MIT"),
    ],
)
def test_a_licence_is_read_wherever_it_is_stated(fields, expression):
    assert stated_licence(Stated(**fields)) == expression
    assert is_allowed(expression)
