"""SIGKILL and SIGTERM at random moments of commands that build datasets; see kills.py."""

import pytest

from tests.faults.kills import kill_once, points

SCENES = ["build run", "build translate", "build validate", "build card"]


@pytest.mark.parametrize(
    ("scene", "number", "point"), points(SCENES, full=3, short={"build run": 1})
)
def test_killed_and_run_again(children, scenes, undisturbed, tmp_path, scene, number, point):
    kill_once(children, scenes[scene], undisturbed, tmp_path, number, point)
