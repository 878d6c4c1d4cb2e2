"""The fork server, the scenes, and the tally that becomes a table."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults import tally
from tests.faults.children import Children
from tests.faults.scenes import Scene, Undisturbed, all_scenes, measure

STARTED = time.monotonic()
ENVIRONMENT = {"OPENAI_API_KEY": "sk-loopback"}


@pytest.fixture(scope="session")
def children() -> Iterator[Children]:
    with Children(ENVIRONMENT) as started:
        yield started


@pytest.fixture(scope="session")
def scenes(
    children: Children, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Scene]]:
    with all_scenes(children, tmp_path_factory.mktemp("inputs")) as found:
        folder = tmp_path_factory.mktemp("warm")  # not geometry: pyarrow would start threads
        found["evaluate"].prepare(folder)
        children.warm(found["evaluate"].arguments, folder)
        yield found


@pytest.fixture(scope="session")
def undisturbed(
    children: Children, scenes: dict[str, Scene], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Undisturbed]:
    """Return a function: name of a scene -> what it gives undisturbed."""
    known: dict[str, Undisturbed] = {}

    def get(name: str) -> Undisturbed:
        if name not in known:
            folder = tmp_path_factory.mktemp("undisturbed") / "case"
            known[name] = measure(children, scenes[name], folder)
        return known[name]

    return get


def pytest_report_header() -> str:
    return f"faults: {tally.FORM} form, POLYREFUSE_FAULT_SEED={tally.SEED}"


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ and tally.FORM == "full":
        ended = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        seconds = time.monotonic() - STARTED
        tally.finish(Path(__file__).parents[2], what_ran(session.config, ended), seconds)


def what_ran(config: pytest.Config, ended: bool) -> tally.Session:
    """Read from pytest's own counts what of this folder ran."""
    stats = config.pluginmanager.get_plugin("terminalreporter").stats
    here = Path(__file__).parent
    options = [config.option.keyword, config.option.markexpr]
    whole = [Path(name).resolve() for name in config.args] == [here] and not any(options)
    given = [name.removeprefix("tests/faults/") for name in config.args]
    reports = [*stats.get("failed", []), *stats.get("error", [])]
    return tally.Session(
        "" if whole else ", ".join([*given, *filter(None, options)]),
        ended,
        len(stats.get("passed", [])),
        len(stats.get("skipped", [])),
        sorted({report.nodeid for report in reports}),
    )
