"""SIGKILL and SIGTERM at random moments of the leaderboard commands; see kills.py."""

import pytest

from tests.faults.kills import kill_once, points

SCENES = ["leaderboard submit", "leaderboard verify", "leaderboard build"]


@pytest.mark.parametrize(
    ("scene", "number", "point"), points(SCENES, full=2, short={"leaderboard build": 1})
)
def test_killed_and_run_again(children, scenes, undisturbed, tmp_path, scene, number, point):
    kill_once(children, scenes[scene], undisturbed, tmp_path, number, point)
