"""Kill a scene at a random moment that the seed and the number of the point decide."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import tally
from tests.faults.children import Children
from tests.faults.disturb import Case, draw_moment
from tests.faults.scenes import Scene, Undisturbed

TRIES = 4


def kill_once(
    children: Children,
    scene: Scene,
    undisturbed: Callable[[str], Undisturbed],
    folder: Path,
    number: signal.Signals,
    point: int,
) -> None:
    """Kill, look at how it ended, run again, compare; a kill that comes too late is drawn again."""
    expected = undisturbed(scene.name)
    rng = tally.randomness(scene.name, number.name, point)
    for attempt in range(TRIES):
        fault = f"{number.name} during {scene.name}"
        case = Case(children, scene, expected, folder / f"try{attempt}" / "case", fault).prepare()
        moment = draw_moment(rng, scene, expected, number)
        ended = case.kill(number, moment)
        if case.interruptions:
            break
    else:
        pytest.fail("the command ended before each kill")
    print(f"{fault}, point {point}: {moment}, exit {ended.code}")
    if number is signal.SIGTERM:
        words = "polyrefuse: interrupted. Run the same command again to resume."
        if ended.code != 130 or ended.complaint[-1:] != [words] or len(ended.complaint) != 1:
            case.problems.append(f"SIGTERM: exit {ended.code}, said {ended.complaint}")
    elif ended.code != -signal.SIGKILL:
        case.problems.append(f"SIGKILL: exit {ended.code}: {ended.stderr[-500:]}")
    case.settle()
    case.require_sound()


def points(scenes: list[str], *, full: int, short: dict[str, int]) -> list[object]:
    """Return (scene, signal, number) of every point of this form; `short` has some SIGKILLs."""
    chosen = []
    for scene in scenes:
        for place, number in enumerate((signal.SIGKILL, signal.SIGTERM)):
            many = full if tally.FORM == "full" else short.get(scene, 0) - place
            chosen += [(scene, number, point) for point in range(many)]
    return [
        pytest.param(*point, id="-".join((point[0], point[1].name, str(point[2]))))
        for point in chosen
    ]
