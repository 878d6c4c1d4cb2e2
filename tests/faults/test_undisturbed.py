"""Two undisturbed runs are equal: what the other tests find is not noise."""

import pytest

from tests.faults.scenes import measure

SCENES = [
    "evaluate", "evaluate, endpoint", "geometry", "residual-space", "build run",
    "build translate", "build validate", "build card", "leaderboard submit",
    "leaderboard verify", "leaderboard build",
]  # fmt: skip


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.slow
def test_two_undisturbed_runs_are_equal(children, scenes, undisturbed, tmp_path, scene):
    first = undisturbed(scene)
    second = measure(children, scenes[scene], tmp_path / "case")
    different = [name for name in first.figures if first.figures[name] != second.figures.get(name)]
    assert different == []
    # Events are not compared: among them are the log's lines of progress, which follow the clock.
    assert (first.names, first.units, first.requests, first.code) == (
        second.names, second.units, second.requests, second.code,
    )  # fmt: skip
    print(
        scene,
        first.code,
        f"{first.seconds:.1f} s, {first.processor:.1f}",
        first.events,
        first.units,
        first.requests,
    )
