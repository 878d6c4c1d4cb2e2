"""Many submissions: what is kept of each is small, one bad one stops no other, pairs are exact."""

import cProfile
import gc
import pstats
import shutil
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.synthetic_board import write_submissions
from polyrefuse_evaluation.leaderboard import pair_counts
from polyrefuse_evaluation.leaderboard.board import read_board
from polyrefuse_evaluation.leaderboard.evidence import pack
from polyrefuse_evaluation.leaderboard.pair_counts import count_pairs
from polyrefuse_evaluation.leaderboard.ranks import pair_intervals, told_apart
from polyrefuse_evaluation.leaderboard.recompute import recompute
from polyrefuse_evaluation.leaderboard.verify import outline, verify, whole

KEPT = 60_000
"""Bytes of one verdict of 2,688 labels that are kept; whole it is 2 MB and more."""


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Return the folder of six submissions, after one that warms up what is read once."""
    folder = tmp_path_factory.mktemp("many") / "results"
    write_submissions(folder, 6, patterns=1)
    return folder


def kept_bytes(paths, keep) -> float:
    """Return what verification leaves in memory, in bytes a submission."""
    tracemalloc.start()
    try:
        first = verify(paths[:2], keep=keep)  # what is imported and read once
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        rest = verify(paths[2:], keep=keep)
        gc.collect()
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert all(verdict.accepted for verdict in [*first, *rest])
    return (after - before) / len(rest)


def test_what_is_kept_of_a_verdict_is_small(many):
    paths = sorted(many.iterdir())[:4]
    assert kept_bytes(paths, outline) < KEPT
    assert kept_bytes(paths, whole) > 10 * KEPT, "the mutation: a verdict kept whole"


def calls(paths, keep) -> int:
    profile = cProfile.Profile()
    profile.runcall(verify, paths, keep=keep)
    return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]


def test_the_work_is_linear_in_the_number_of_submissions(many):
    """Counted in function calls: the same on a busy machine."""
    paths = sorted(many.iterdir())
    verify(paths[:1])  # what is read and computed once
    one, two, three = (calls(paths[:n], outline) for n in (1, 2, 3))
    assert three - two <= 1.2 * (two - one)
    seen = []

    def compares_with_all(verdict):
        for other in seen:
            recompute(other.rows, other.result, {})
        seen.append(verdict)
        return verdict

    two, three = (calls(paths[:n], compares_with_all) for n in (2, 3))
    assert three - two > 1.2 * (two - one), "the mutation: all before it are looked at again"


def test_one_that_cannot_be_read_stops_no_other_and_copies_are_found(many, tmp_path, monkeypatch):
    folder = tmp_path / "results"
    shutil.copytree(many, folder)
    names = sorted(path.name for path in folder.iterdir())
    unreadable, twin = folder / names[1], folder / f"{names[2]}x"
    shutil.copytree(folder / names[2], twin)
    read = type(folder).iterdir

    def denied(self):
        if self == unreadable:
            raise PermissionError(13, "Permission denied")
        return read(self)

    monkeypatch.setattr(type(folder), "iterdir", denied)
    verdicts = {verdict.where: verdict for verdict in verify([folder], keep=outline)}
    assert len(verdicts) == 7
    assert [str(x) for x in verdicts[str(unreadable)].problems] == [
        f"file: {names[1]}: cannot be read (Permission denied)"
    ]
    for place, other in ((twin, names[2]), (folder / names[2], twin.name)):
        kinds = {x.kind: str(x) for x in verdicts[str(place)].problems}
        assert other in kinds["duplicate"]
    good = [name for at, name in enumerate(names) if at not in (1, 2)]
    assert all(verdicts[str(folder / name)].accepted for name in good)
    board = read_board([folder])
    assert sorted(row.folder for row in board.rows) == good


def test_a_packed_result_is_the_result(many):
    [verdict] = verify(sorted(many.iterdir())[:1])
    packed = pack(verdict.result)
    assert packed.unpack() == verdict.result
    assert len(packed.data) < 100_000


def answers(seed: int, models: int = 14, missing: float = 0.0):
    rng = np.random.default_rng(seed)
    hard = rng.normal(size=(1, 60, 1)) + rng.normal(size=(models, 60, 5))
    found = (hard < np.linspace(-1.5, 2.5, models)[:, None, None]).astype(float)
    found[rng.random(found.shape) < missing] = np.nan
    return found


@pytest.mark.parametrize("seed", range(4))
def test_pairs_without_gaps_are_counted_as_all_others_are(seed, monkeypatch):
    happened = answers(seed)
    quick = count_pairs(happened)
    monkeypatch.setattr(pair_counts, "MOST_BITS", 0)  # no model counts as whole
    slow = count_pairs(happened)
    assert np.array_equal(quick.counts, slow.counts)
    assert quick.correlation == pytest.approx(slow.correlation, abs=1e-12)
    assert quick.counts.dtype == np.uint8, "a byte for up to 255 prompts"


@pytest.mark.parametrize("missing", [0.0, 0.05])
@pytest.mark.parametrize("seed", range(3))
def test_pairs_are_told_apart_as_in_holms_procedure(seed, missing):
    pairs = count_pairs(answers(seed, missing=missing))

    def holm(level) -> np.ndarray:
        told = np.zeros(len(pairs.first), dtype=bool)
        while True:
            low, high = pair_intervals(pairs, 1 - level(told))
            now = (low > 0) | (high < 0)
            if not np.any(now & ~told):
                return (np.where(low > 0, 1, -1) * told).astype(np.int8)
            told |= now

    right = holm(lambda told: 0.05 / max(1, (~told).sum()))
    assert np.array_equal(told_apart(pairs), right)
    bonferroni = holm(lambda told: 0.05 / len(told))
    assert not np.array_equal(bonferroni, right), "the mutation: a level that does not rise"


def test_pairs_of_many_models_take_little_memory():
    """400 models, 80,000 pairs."""
    happened = np.concatenate([answers(seed, models=20)[:, :, :1] for seed in range(20)])
    tracemalloc.start()
    try:
        pairs = count_pairs(happened)
        told_apart(pairs)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak / len(pairs.first) < 160
    wide = replace(pairs, counts=pairs.counts.astype(float))
    assert wide.counts.nbytes == 8 * pairs.counts.nbytes
