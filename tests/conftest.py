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
