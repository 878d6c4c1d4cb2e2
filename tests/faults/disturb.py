"""Disturb a scene once, run it again, and compare with the undisturbed run."""

import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults import tally
from tests.faults.children import Children, Ended, units
from tests.faults.scenes import Scene, Undisturbed, figures, names


@dataclass
class Case:
    """One scene in one folder, disturbed any number of times, then run to its end."""

    children: Children
    scene: Scene
    expected: Undisturbed
    folder: Path
    fault: str
    interruptions: int = 0
    problems: list[str] = field(default_factory=list)
    _asked_before: int = 0

    def prepare(self) -> "Case":
        self.folder.mkdir(parents=True, exist_ok=True)
        self.scene.prepare(self.folder)
        self._asked_before = len(self.scene.requests()) if self.scene.requests else 0
        return self

    def run(self, **fault: Any) -> Ended:
        return self.children.run(self.scene.arguments, self.folder, **fault)

    def kill(self, number: signal.Signals, moment: dict[str, Any]) -> Ended:
        """Run until `moment`, when the process gets the signal; count it if it came in time."""
        if "event" in moment:
            ended = self.run(signal=number.name, **moment)
        else:
            child = self.children.start(self.scene.arguments, self.folder)
            if "requests" in moment:
                self._wait_for_requests(moment["requests"])
            else:
                time.sleep(moment["seconds"])
            child.kill(number)
            ended = child.wait()
        self.interruptions += ended.code not in (0, 1)
        return ended

    def _wait_for_requests(self, wanted: int) -> None:
        assert self.scene.requests is not None
        deadline = time.monotonic() + 60
        while len(self.scene.requests()) - self._asked_before < wanted:
            assert time.monotonic() < deadline
            time.sleep(0.001)

    def settle(self, **fault: Any) -> Ended:
        """Run to the end and compare; counts the case in the table."""
        ended = self.run(**fault)
        found = figures(self.folder)
        wanted = self.expected.figures
        lost = sorted(name for name in wanted if found.get(name) != wanted[name])
        left = sorted(names(self.folder) - self.expected.names)
        again = self.duplicated()
        tally.count(self.fault, len(lost), again, len(left))
        if ended.code != self.expected.code:
            self.problems.append(f"exit code {ended.code}: {ended.stderr[-800:]}")
        for what, items in (("lost or changed", lost), ("left over", left)):
            if items:
                self.problems.append(f"{what}: {items}")
        if again:
            self.problems.append(f"{again} units made again beyond those under way")
        return ended

    def duplicated(self) -> int:
        """Return how many units were made again beyond those that a kill may cost."""
        allowed = self.interruptions * self.scene.in_flight
        again = units(self.folder) - self.expected.units
        if self.scene.requests:
            asked = Counter(self.scene.requests()[self._asked_before :])
            again = max(again, sum(asked.values()) - self.expected.requests)
        return max(0, again - allowed)

    def require_sound(self) -> None:
        """Fail with everything that was found wrong."""
        assert not self.problems, "\n".join([self.fault, *self.problems])


def draw_moment(
    rng: random.Random, scene: Scene, expected: Undisturbed, number: signal.Signals
) -> dict[str, Any]:
    """Return when to send the signal: at an event, in the middle of a write, by request or time."""
    kinds = ["event"] * 3 + ["seconds"]
    kinds += ["torn"] if number is signal.SIGKILL else []
    kinds += ["requests"] * 3 if scene.requests else []
    kind = rng.choice(kinds)
    if kind == "requests":
        return {"requests": rng.randint(1, expected.requests)}
    if kind == "seconds":
        return {"seconds": rng.uniform(0.15, 0.9) * expected.seconds}
    return {"event": rng.randint(1, expected.events), "torn": kind == "torn"}
