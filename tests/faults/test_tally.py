"""The document says what ran, and never more."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.faults import tally
from tests.faults.tally import Case, Session

WHOLE = Session("", True, 3, 0, [])
NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
CASES = [Case("torn line", 0, 0, 0), Case("torn line", 1, 2, 3), Case("full disk", 0, 0, 0)]


def run(session: Session = WHOLE, seed: int = 1) -> dict[str, Any]:
    return tally.summary(CASES, session, 90.0, NOW, seed)


def test_three_whole_runs_of_different_seeds_are_three_passes() -> None:
    text = tally.render([run(seed=seed) for seed in (1, 2, 3)])
    assert "passed with 3 of 3 different seeds" in text
    assert text.count("| torn line | 2 | 1 | 2 | 3 |") == 3
    assert text.count("| **all** | **3** | **1** | **2** | **3** |") == 3


@pytest.mark.parametrize(
    ("session", "said"),
    [
        (Session("test_kills.py", True, 3, 0, []), "only test_kills.py; the rest did not run"),
        (Session("", False, 3, 0, []), "stopped before its end"),
        (Session("", True, 3, 0, ["test_kills.py::one"]), "- `test_kills.py::one`"),
        (Session("", True, 3, 1, []), "1 were skipped"),
        (Session("", True, 0, 0, []), "0 tests passed"),
    ],
)
def test_what_is_no_pass_is_not_counted_and_is_said(session: Session, said: str) -> None:
    text = tally.render([run(seed=1), run(session, seed=2)])
    assert "passed with 1 of 3 different seeds" in text
    assert said in text


def test_one_seed_three_times_is_one_pass() -> None:
    assert "passed with 1 of 3" in tally.render([run(), run(), run()])


def test_the_newest_three_runs_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    monkeypatch.setattr(tally, "FILE", str(tmp_path / "cases"))
    tally.count("torn line")
    choices = ["", "a.py", "b.py", "a.py"]
    for only in choices:
        tally.finish(tmp_path, Session(only, True, 1, 0, []), 1.0)
    kept = tally.kept_runs(tmp_path / tally.DOCUMENT)
    assert [one["session"]["only"] for one in kept] == ["", "b.py", "a.py"]
