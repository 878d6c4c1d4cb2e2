"""SIGKILL, SIGTERM and Ctrl-C at random moments of every command that takes long or writes much.

``POLYREFUSE_FAULT_SEED`` and the name of a test decide the moment: each point can be run alone
again.
"""

import signal

import pytest

from tests.faults import tally
from tests.faults.children import Ended
from tests.faults.disturb import Case, draw_moment
from tests.faults.scenes import figures

POINTS = {
    "evaluate": 4,
    "evaluate, endpoint": 2,
    "geometry": 3,
    "residual-space": 3,
    "build run": 3,
    "build translate": 2,
    "build validate": 1,
    "build card": 1,
    "leaderboard submit": 2,
    "leaderboard verify": 1,
    "leaderboard build": 3,
}
"""How many points a command gets with each of the two signals, in the full form."""

INTERRUPTS = ["evaluate", "evaluate, endpoint", "geometry", "build run", "leaderboard build"]
"""Commands that get Ctrl-C once, too."""

SHORT = [
    ("evaluate", signal.SIGKILL),
    ("evaluate", signal.SIGTERM),
    ("build run", signal.SIGKILL),
    ("leaderboard build", signal.SIGINT),
]
TRIES = 5
INTERRUPTED = "polyrefuse: interrupted. Run the same command again to resume."


def points() -> list[object]:
    if tally.FORM == "full":
        signals = (signal.SIGKILL, signal.SIGTERM)
        chosen = [(x, y, n) for x, many in POINTS.items() for y in signals for n in range(many)]
        chosen += [(scene, signal.SIGINT, 0) for scene in INTERRUPTS]
        assert len(chosen) >= 50
    else:
        chosen = [(scene, number, 0) for scene, number in SHORT]
    return [
        pytest.param(scene, number, point, id=f"{scene}-{number.name}-{point}")
        for scene, number, point in chosen
    ]


def came_after_the_end(case: Case, ended: Ended, number: signal.Signals) -> bool:
    """Whether all was on the disk: Python gives both back to the system as it shuts down."""
    whole = figures(case.folder) == case.expected.figures
    return number is not signal.SIGKILL and ended.code == -number and whole


@pytest.mark.parametrize(("scene", "number", "point"), points())
def test_killed_and_run_again(children, scenes, undisturbed, tmp_path, scene, number, point):
    expected = undisturbed(scene)
    rng = tally.randomness(scene, number.name, point)
    fault = f"{number.name} during {scene}"
    for attempt in range(TRIES):  # a kill that comes after the end is drawn again
        folder = tmp_path / f"try{attempt}" / "case"
        case = Case(children, scenes[scene], expected, folder, fault).prepare()
        moment = draw_moment(rng, case.scene, expected, number)
        ended = case.kill(number, moment)
        if case.interruptions and not came_after_the_end(case, ended, number):
            break
    else:
        pytest.fail("the command ended before each kill")
    print(f"{fault}, point {point}: {moment}, exit {ended.code}")
    if number is signal.SIGKILL and ended.code != -signal.SIGKILL:
        case.problems.append(f"SIGKILL: exit {ended.code}: {ended.stderr[-500:]}")
    if number is not signal.SIGKILL and (ended.code, ended.complaint[-1:]) != (130, [INTERRUPTED]):
        case.problems.append(f"{number.name}: exit {ended.code}: {ended.stderr[-1500:]}")
    if "Traceback" in ended.stderr:
        case.problems.append(f"a traceback: {ended.stderr[-1500:]}")
    case.settle()
    case.require_sound()
