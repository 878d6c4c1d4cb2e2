"""SIGKILL and SIGTERM at random moments of commands with a model; see kills.py."""

import pytest

from tests.faults.kills import kill_once, points

SCENES = ["evaluate", "evaluate, endpoint"]


@pytest.mark.parametrize(
    ("scene", "number", "point"), points(SCENES, full=4, short={"evaluate": 2})
)
def test_killed_and_run_again(children, scenes, undisturbed, tmp_path, scene, number, point):
    kill_once(children, scenes[scene], undisturbed, tmp_path, number, point)
