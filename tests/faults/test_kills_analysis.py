"""SIGKILL and SIGTERM at random moments of geometry and residual-space; see kills.py."""

import pytest

from tests.faults.kills import kill_once, points

SCENES = ["geometry", "residual-space"]


@pytest.mark.parametrize(("scene", "number", "point"), points(SCENES, full=4, short={}))
def test_killed_and_run_again(children, scenes, undisturbed, tmp_path, scene, number, point):
    kill_once(children, scenes[scene], undisturbed, tmp_path, number, point)
