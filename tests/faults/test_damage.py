"""Files that were torn, cut or overwritten between two runs, and a clock that goes back."""

import json
import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults import tally
from tests.faults.disturb import Case

FULL = tally.FORM == "full"


def cut(path: Path, rng) -> None:
    """Take some of the end."""
    data = path.read_bytes()
    path.write_bytes(data[: rng.randint(1, max(1, len(data) - 1))])


def tear_end(path: Path, rng) -> None:
    """Take a part of the last line."""
    data = path.read_bytes()
    last = len(data) - data[:-1].rfind(b"\n") - 2
    path.write_bytes(data[: len(data) - rng.randint(1, max(1, last))])


def tear_middle(path: Path, rng) -> None:
    """Fill some bytes before the end with zeros, as a disk does that kept some blocks only."""
    data = bytearray(path.read_bytes())
    start = rng.randint(0, len(data) - 2)
    stop = min(len(data) - 1, start + rng.randint(1, 200))
    data[start:stop] = bytes(stop - start)
    path.write_bytes(data)


def overwrite(path: Path) -> None:
    """Damage a database: its second page, the root of the table."""
    data = bytearray(path.read_bytes())
    assert len(data) >= 8192
    data[4096:8192] = os.urandom(4096)
    path.write_bytes(data)


DAMAGES: list[tuple[str, str, str, Callable[..., None], int]] = [
    ("evaluate", "torn last line", "run/completions.jsonl", tear_end, 1),
    ("evaluate", "torn last line", "run/judgements.jsonl", tear_end, 1),
    ("evaluate", "torn last line", "run/selection.jsonl", tear_end, 16),
    ("evaluate", "torn last line", "run/first_tokens.jsonl", tear_end, 1),
    ("evaluate", "line torn in the middle", "run/completions.jsonl", tear_middle, 4),
    ("evaluate", "line torn in the middle", "run/judgements.jsonl", tear_middle, 4),
    ("evaluate", "truncated directions", "run/directions.safetensors", cut, 16),
    ("geometry", "truncated directions", "run/directions.safetensors", cut, 32),
    ("geometry", "torn last line", "run/judgements.jsonl", tear_end, 1),
    ("evaluate, endpoint", "torn last line", "run/completions.jsonl", tear_end, 1),
]
SHORT = (5, 6)


def killed_with(children, scenes, undisturbed, folder, scene, fault, needed) -> Case:
    """Return a case that was killed after the file `needed` was begun and before it was used up."""
    expected = undisturbed(scene)
    event, start = expected.events, 0.1 if "first_tokens" in needed else 0.55
    for attempt in range(8):
        case = Case(children, scenes[scene], expected, folder / f"{attempt}" / "case", fault)
        case.prepare().kill(signal.SIGKILL, {"event": int(event * (start + 0.05 * attempt))})
        path = case.folder / needed
        if path.is_file() and path.stat().st_size > 2:
            return case
    raise AssertionError(f"{needed} was never there")


@pytest.mark.parametrize(
    ("scene", "fault", "name", "damage", "redone"),
    DAMAGES if FULL else [DAMAGES[at] for at in SHORT],
)
def test_a_damaged_record(
    children, scenes, undisturbed, tmp_path, scene, fault, name, damage, redone
):
    rng = tally.randomness(scene, fault, name)
    case = killed_with(
        children, scenes, undisturbed, tmp_path, scene, f"{fault} of {Path(name).name}", name
    )
    damage(case.folder / name, rng)
    case.interruptions += redone  # what the damaged file held is made again, and no more
    case.settle()
    case.require_sound()


@pytest.mark.parametrize(
    ("scene", "name"),
    [
        ("geometry", "run/activations/en-harmful.npy"),
        ("residual-space", "run/tuned/activations/de-all.npy"),
    ],
)
@pytest.mark.slow
def test_truncated_activations_are_named_with_the_remedy(
    children, scenes, undisturbed, tmp_path, scene, name
):
    rng = tally.randomness(scene, name)
    case = killed_with(
        children, scenes, undisturbed, tmp_path, scene, f"truncated activations, {scene}", name
    )
    cut(case.folder / name, rng)
    named = case.run()
    assert named.code == 2
    assert name in named.complaint[-1]
    assert "Remove it; the run makes it again." in named.complaint[-1]
    (case.folder / name).unlink()
    case.interruptions += 2
    case.settle()
    case.require_sound()


@pytest.mark.slow
def test_truncated_weights_are_named(children, scenes, undisturbed, tmp_path):
    folder, expected = tmp_path / "case", undisturbed("evaluate")
    case = Case(children, scenes["evaluate"], expected, folder, "truncated weights").prepare()
    weights = next((folder / "tuned").glob("*.safetensors"))
    whole = weights.read_bytes()
    target = weights.resolve()
    weights.unlink()
    weights.write_bytes(whole[: tally.randomness("weights").randint(1, len(whole) - 1)])
    named = case.run()
    assert named.code == 2, named.stderr
    assert named.complaint[-1].startswith("polyrefuse: tuned: its weights could not be loaded")
    assert len(named.complaint) == 1
    weights.unlink()
    weights.symlink_to(target)
    case.settle()
    case.require_sound()


@pytest.mark.parametrize("scene", ["build run", "build translate"] if FULL else ["build run"])
def test_a_corrupt_translation_cache_is_kept_and_read_back(
    children, scenes, undisturbed, tmp_path, scene
):
    expected = undisturbed(scene)
    case = Case(children, scenes[scene], expected, tmp_path / "case", f"corrupt cache, {scene}")
    case.prepare().kill(signal.SIGKILL, {"requests": expected.requests - 2})
    cache = case.folder / "out.build" / "translations.sqlite"
    with closing(sqlite3.connect(cache)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    overwrite(cache)
    before = cache.read_bytes()
    case.interruptions += expected.requests  # all of it may be asked again, but it must be said
    ended = case.run()
    kept = cache.with_name("translations.sqlite.corrupt-1")
    assert ended.code == expected.code, ended.stderr
    assert kept.read_bytes() == before
    assert "was corrupt and is kept as translations.sqlite.corrupt-1" in ended.stderr
    kept.unlink()
    case.settle()
    case.require_sound()


@pytest.mark.parametrize("scene", ["evaluate", "build run"])
@pytest.mark.slow
def test_a_clock_that_goes_back(children, scenes, undisturbed, tmp_path, scene):
    expected = undisturbed(scene)
    case = Case(children, scenes[scene], expected, tmp_path / "case", f"clock back, {scene}")
    case.prepare().kill(signal.SIGKILL, {"event": expected.events // 2})
    case.settle(clock=3600.0)
    log = case.folder / "run" / "log.jsonl"
    if log.is_file():
        lines = [json.loads(line) for line in log.read_bytes().splitlines()]
        times = [line["time"] for line in lines]
        assert times != sorted(times), "the clock did go back"
        assert all(line.get("seconds", 0) >= 0 for line in lines)
        assert json.loads((case.folder / "run" / "result.json").read_bytes())["wall_seconds"] >= 0
    case.require_sound()
