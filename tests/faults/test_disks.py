"""Full disks, read-only folders, too few file handles: one line, exit 2, and then on as before."""

import signal

import pytest

from tests.faults import tally
from tests.faults.disturb import Case
from tests.faults.places import remount, size_of, small_disk

FULL = tally.FORM == "full"
SCENES = [
    "evaluate", "evaluate, endpoint", "geometry", "residual-space", "build run", "build translate",
    "build validate", "build card", "leaderboard submit", "leaderboard verify", "leaderboard build",
]  # fmt: skip
LARGE = 2**26


def chosen(short: list[str]) -> list[str]:
    return SCENES if FULL else short


def make_case(children, scenes, undisturbed, folder, scene, fault) -> Case:
    case = Case(children, scenes[scene], undisturbed(scene), folder, f"{fault} during {scene}")
    return case.prepare()


def partials(case: Case) -> set[str]:
    return {path.name for path in case.folder.rglob(".*") if path.name.endswith(".partial")}


def require_complaint(
    case: Case, ended, words: tuple[str, ...], before: frozenset[str] = frozenset()
) -> None:
    """One line that says what is wrong, exit code 2, and no half-written file."""
    said = ended.complaint[-1] if ended.complaint else ""
    # Two notices may come before the error: the lock of a killed process was taken over, and what
    # the requests may cost, which is said before the first is sent.
    stages = [
        line
        for line in ended.complaint[:-1]
        if not line.startswith("Estimate: ") and "took over the lock of" not in line
    ]
    building = case.scene.name.startswith("build")  # says its stages on stderr
    if ended.code != 2 or not said.startswith("polyrefuse: ") or not any(w in said for w in words):
        case.problems.append(f"exit {ended.code}, said {ended.stderr[-1500:]}")
    elif "Traceback" in ended.stderr or (stages and not building):
        case.problems.append(f"said more than one line: {ended.stderr[-1500:]}")
    if torn := partials(case) - before:
        case.problems.append(f"left {torn}")


@pytest.mark.parametrize("scene", chosen(["evaluate"]))
def test_a_full_disk(children, scenes, undisturbed, tmp_path, scene):
    rng = tally.randomness("full disk", scene)
    with small_disk(tmp_path / "case", LARGE) as folder:
        case = make_case(children, scenes, undisturbed, folder, scene, "full disk")
        inputs = size_of(folder)
        outputs = case.expected.size - inputs
        for share in sorted(rng.uniform(0.0, 0.6) for _ in range(2 if FULL else 1)):
            remount(folder, f"size={inputs + int(share * outputs) // 4096 * 4096}")
            ended = case.run()
            case.interruptions += 1
            if ended.code != case.expected.code:
                require_complaint(case, ended, ("No space left", "no space left", "MiB are free"))
            else:
                case.problems.append("the disk was not full")
        remount(folder, f"size={LARGE}")
        case.settle()
        case.require_sound()


@pytest.mark.parametrize("scene", chosen(["evaluate"]))
def test_a_read_only_folder(children, scenes, undisturbed, tmp_path, scene):
    rng = tally.randomness("read-only", scene)
    with small_disk(tmp_path / "case", LARGE) as folder:
        case = make_case(children, scenes, undisturbed, folder, scene, "read-only folder")
        case.kill(signal.SIGKILL, {"event": rng.randint(1, case.expected.events)})
        before = frozenset(partials(case))  # what the kill left cannot be removed there
        remount(folder, "ro")
        words = ("Read-only", "read-only", "cannot be written")
        require_complaint(case, case.run(), words, before)
        remount(folder, "rw")
        case.settle()
        case.require_sound()


@pytest.mark.parametrize("scene", chosen(["evaluate"]))
def test_too_few_file_handles(children, scenes, undisturbed, tmp_path, scene):
    rng = tally.randomness("file handles", scene)
    case = make_case(
        children, scenes, undisturbed, tmp_path / "case", scene, "file handles used up"
    )
    failed = 0
    for limit in rng.sample(range(5, 14), 3 if FULL else 1):
        ended = case.run(descriptors=limit)
        if ended.code != case.expected.code:
            failed += 1
            case.interruptions += 1
            words = ("Too many open files", "cannot be", "could not be", "unable to open")
            require_complaint(case, ended, words)
    case.settle()
    case.require_sound()
