"""What all tests share: nothing of the user's own data gets in."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def no_calibrations_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep stored calibrations of judges out of results; subprocesses inherit it."""
    folder = tmp_path_factory.mktemp("calibrations")
    before = os.environ.get("POLYREFUSE_CALIBRATIONS")
    os.environ["POLYREFUSE_CALIBRATIONS"] = str(folder)
    yield folder
    if before is None:
        del os.environ["POLYREFUSE_CALIBRATIONS"]
    else:
        os.environ["POLYREFUSE_CALIBRATIONS"] = before


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long files first, so that no worker is left alone with one at the end."""
    items.sort(key=lambda item: "end_to_end" not in item.path.parts)
