"""What the doctor says of each thing it looks at, each tried well and broken."""

import io
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import metadata
from pathlib import Path
from threading import Thread

import pytest

from polyrefuse.doctor import hub, packages, places, surroundings
from polyrefuse.doctor.imports import try_imports
from polyrefuse.doctor.packages import Needed, parse_requirement

ROOT = Path(__file__).parents[3]


def only(findings):
    (found,) = list(findings)
    return found


def needed(name="rich", versions=">=14", extra="base"):
    return Needed(name, versions, extra)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("rich>=14", [("rich", ">=14", "base")]),
        ("datasets<6,>=5.0", [("datasets", "<6,>=5.0", "base")]),
        ('torch>=2.8; extra == "evaluation"', [("torch", ">=2.8", "evaluation")]),
        ("PyYAML>=6 ; extra == 'builders'", [("pyyaml", ">=6", "builders")]),
        ('polyrefuse[builders]; extra == "all"', []),
        ('x; extra == "dev"', []),
        ("", []),
    ],
)
def test_what_is_needed_is_read_from_the_metadata(line, expected):
    assert [(x.name, x.versions, x.extra) for x in parse_requirement(line)] == expected


def test_everything_that_pyproject_asks_for_is_looked_at():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = {("base", line) for line in project["dependencies"]}
    extras = project["optional-dependencies"]
    asked |= {(name, line) for name in packages.EXTRAS for line in extras[name]}
    assert set(packages.EXTRAS) == set(extras) - {"all"}
    for extra, line in asked:
        marked = line if extra == "base" else f'{line}; extra == "{extra}"'
        found = only(parse_requirement(marked))
        assert found.extra == extra
        assert found.module.isidentifier()


@pytest.mark.parametrize(
    ("item", "imported", "level", "words"),
    [
        (needed(), {}, "ok", "all 1 there"),
        (needed("no-such-package"), {}, "problem", "not installed: no-such-package"),
        (needed("no-such", extra="evaluation"), {}, "warning", "needed to evaluate models"),
        (needed(versions=">=1000"), {}, "problem", "outside the versions that were tried (>=1000)"),
        (needed(versions="<1", extra="builders"), {}, "warning", "outside the versions"),
        (needed(), {"rich": {"error": "OSError: x"}}, "problem", "cannot be imported: OSError: x"),
        (needed(extra="builders"), {"rich": {"error": "E"}}, "problem", "cannot be imported"),
    ],
)
def test_packages(item, imported, level, words):
    found = only(packages.examine_packages([item], imported))
    assert found.level == level
    assert words in found.detail
    assert bool(found.remedy) is (level != "ok")


def test_what_fails_since_another_package_does_is_not_blamed():
    both = [needed("rich"), needed("no-such", extra="evaluation")]
    lacking = {"rich": {"error": "ModuleNotFoundError: x", "lacks": "no_such.part"}}
    assert [x.level for x in packages.examine_packages(both, lacking)] == ["ok", "warning"]
    other = {"rich": {"error": "ModuleNotFoundError: x", "lacks": "elsewhere"}}
    assert [x.level for x in packages.examine_packages(both, other)] == ["problem", "warning"]
    broken = {"rich": {"error": "OSError: x"}, "torch": {"error": "OSError: x"}}
    assert only(packages.examine_packages([needed("rich")], broken)).level == "ok"


def test_without_metadata_it_says_so(monkeypatch):
    def absent(_):
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(metadata, "requires", absent)
    monkeypatch.setattr(metadata, "distribution", absent)
    assert packages.needed_packages() == []
    assert only(packages.examine_packages([], {})).level == "warning"
    assert "not installed" in only(surroundings.examine_installation()).detail


def test_imports_that_raise_exit_crash_or_hang_leave_the_others_known(tmp_path, monkeypatch):
    texts = {
        "fine": "", "loud": "print('noise')", "after": "",
        "broken": "raise RuntimeError('line 1\\nline 2')",
        "leaves": "import sys; sys.exit(3)",
        "crashes": "import os; os._exit(11)",
    }  # fmt: skip
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = try_imports(["fine", "loud", "broken", "leaves", "crashes", "absent", "after"])
    assert {name for name, x in found.items() if "error" not in x} == {"fine", "loud", "after"}
    assert found["broken"]["error"] == "RuntimeError: line 1"
    assert found["leaves"]["error"] == "SystemExit: 3"
    assert found["crashes"]["error"] == "importing it ended Python with code 11"
    assert found["absent"]["error"] == "ModuleNotFoundError: No module named 'absent'"


def test_an_import_that_hangs_is_given_up(tmp_path, monkeypatch):
    (tmp_path / "hangs.py").write_text("import time; time.sleep(60)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    started = time.monotonic()
    assert "took more than 2" in try_imports(["hangs"], patience=2)["hangs"]["error"]
    assert time.monotonic() - started < 30


def torch_facts(**changes):
    facts = {"version": "2.13.0", "built_for": None, "devices": [], "mps": False, "threads": 2}
    return {"torch": {"facts": facts | changes}}


@pytest.mark.parametrize(
    ("facts", "level", "words"),
    [
        ({}, "ok", "built for CPUs: CPU only, 2 threads"),
        ({"built_for": "13.0", "devices": [["H", 2**30, 2**31]]}, "ok", "H (1.0 of 2.0 GiB free)"),
        ({"built_for": "13.0"}, "warning", "no accelerator can be used"),
        ({"mps": True}, "ok", "Apple GPU (mps)"),
    ],
)
def test_torch(facts, level, words):
    found = only(packages.examine_torch(torch_facts(**facts)))
    assert (found.level, words in found.detail) == (level, True)


def test_the_proven_transformers_is_the_one_of_the_list_of_architectures(monkeypatch):
    page = (ROOT / "evaluation" / "ARCHITECTURES.md").read_text(encoding="utf-8")
    assert f"transformers {packages.PROVEN_TRANSFORMERS}." in page
    for version, level in (("5.23.4", "ok"), ("5.99.0", "warning")):
        monkeypatch.setattr(metadata, "version", lambda _, version=version: version)
        assert only(packages.examine_transformers([needed("transformers")])).level == level


def test_a_cache_that_does_not_exist_is_writable_where_its_parent_is(tmp_path):
    assert places.unwritable(tmp_path / "a" / "b") is None
    (tmp_path / "a").write_text("")
    assert places.unwritable(tmp_path / "a" / "b") == f"{tmp_path / 'a'}: Not a directory"
    assert places.unwritable(tmp_path / "a") == "Not a directory"


def test_caches_are_where_the_libraries_put_them(tmp_path, monkeypatch):
    from huggingface_hub import constants

    found = places.cache_folders(dict(os.environ))
    assert found["models and datasets of the Hub"][0] == Path(constants.HF_HUB_CACHE)
    moved = {"HF_HOME": str(tmp_path), "HF_DATASETS_CACHE": "/x", "POLYREFUSE_CACHE": "/y"}
    found = places.cache_folders(moved)
    assert [str(folder) for folder, _ in found.values()][:3] == ["/y", f"{tmp_path}/hub", "/x"]
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    assert places.cache_folders({})["planted models"][0] is None


def test_little_room_is_a_warning(monkeypatch, tmp_path):
    monkeypatch.setattr(places, "LITTLE_DISK", 2**70)
    monkeypatch.setattr(places, "LITTLE_MEMORY", 2**70)
    levels = {x.level for x in places.examine_caches({"POLYREFUSE_CACHE": str(tmp_path)})}
    assert levels == {"warning"}
    assert only(places.examine_memory()).level == "warning"
    monkeypatch.undo()
    assert only(places.examine_memory()).level == "ok"


def test_settings_are_shown_without_secrets_and_offline_is_pointed_out():
    variables = {"HF_ENDPOINT": "https://me:secret@hub.test", "HF_TOKEN": "hf_secret00000"}
    found = only(surroundings.examine_settings(variables))
    assert (found.level, found.detail) == ("ok", "HF_ENDPOINT=https://[token]@hub.test")
    found = only(surroundings.examine_settings({"HF_HUB_OFFLINE": "1"}))
    assert (found.level, "HF_HUB_OFFLINE" in found.detail) == ("warning", True)
    assert only(surroundings.examine_settings({"HF_HUB_OFFLINE": "0"})).level == "ok"


def test_tokens_are_named_by_their_place(tmp_path):
    assert "Hub: none" in only(surroundings.examine_tokens({"HF_HOME": str(tmp_path)})).detail
    (tmp_path / "token").write_text("hf_secret00000")
    said = only(surroundings.examine_tokens({"HF_HOME": str(tmp_path)})).detail
    assert f"Hub: in {tmp_path / 'token'}" in said
    assert "secret" not in said


def test_a_clock_before_the_installation_is_wrong():
    assert only(surroundings.examine_clock()).level == "ok"
    found = only(surroundings.examine_clock(now=0.0))
    assert (found.level, "1970-01-01" in found.detail) == ("warning", True)


def test_output_without_an_encoding_is_no_fault(monkeypatch):
    """A stream in memory has none; a closed one is None."""
    for stream in (io.StringIO(), None):
        monkeypatch.setattr("sys.stdout", stream)
        assert "standard output" not in only(surroundings.examine_terminal({})).detail


def test_an_encoding_that_cannot_print_thai_is_a_warning(monkeypatch):
    class Ascii:
        encoding = "ANSI_X3.4-1968"

    assert only(surroundings.examine_terminal({"LANG": "C.UTF-8"})).level in ("ok", "warning")
    monkeypatch.setattr(sys, "stdout", Ascii())
    found = only(surroundings.examine_terminal({"LANG": "C"}))
    assert (found.level, "ANSI_X3.4-1968" in found.detail) == ("warning", True)


def test_an_old_python_is_a_problem(monkeypatch):
    assert only(surroundings.examine_python()).level == "ok"
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    assert only(surroundings.examine_python()).level == "problem"


def test_programs_of_tests_are_looked_for_in_a_checkout_only(tmp_path, monkeypatch):
    assert list(surroundings.examine_programs(tmp_path / "polyrefuse")) == []
    monkeypatch.setenv("PATH", str(tmp_path))
    assert {x.level for x in surroundings.examine_programs()} == {"warning"}


def test_how_it_is_installed_is_said(tmp_path, monkeypatch):
    class Found:
        def __init__(self, text):
            self.text = text

        def read_text(self, _):
            return self.text

    editable = '{"dir_info": {"editable": true}, "url": "file:///somewhere/a%20b"}'
    for text, place, level, words in (
        (None, tmp_path, "ok", "as a wheel"),
        ("{", tmp_path, "ok", "as a wheel"),
        (editable, Path("/somewhere/a b/polyrefuse"), "ok", "editable from /somewhere/a b"),
        (editable, tmp_path, "warning", "and what runs is"),
    ):
        monkeypatch.setattr(metadata, "distribution", lambda _, text=text: Found(text))
        found = only(surroundings.examine_installation(place))
        assert (found.level, words in found.detail) == (level, True), found


@pytest.fixture
def endpoint(monkeypatch):
    """Return a function: status -> the Hub's endpoint is a loopback server that answers so."""
    servers, asked = [], []

    def serve(status):
        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self):
                asked.append(dict(self.headers))
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_):
                pass

        servers.append(HTTPServer(("127.0.0.1", 0), Handler))
        Thread(target=servers[-1].serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{servers[-1].server_port}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        return asked

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(("status", "level"), [(200, "ok"), (404, "ok"), (503, "problem")])
def test_the_hub_is_asked_on_demand_without_a_token(endpoint, monkeypatch, status, level):
    asked = endpoint(status)
    monkeypatch.setenv("HF_TOKEN", "hf_secret00000")
    assert only(hub.examine_hub(online=False)).level == "not tried"
    assert asked == []
    assert only(hub.examine_hub(online=True)).level == level
    assert len(asked) == 1
    assert "secret" not in str(asked)


def test_a_hub_that_is_not_there_is_a_problem_with_one_line(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    found = only(hub.examine_hub(online=True))
    assert found.level == "problem"
    assert "\n" not in found.detail
