"""What the lines of a log say of each stage: counts, seconds, and how fast it goes.

Rates come from monotonic seconds within one session, never from the clock. Knows no files.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from polyrefuse.observing.record import LogRecord
from polyrefuse.observing.stages import Part

RECENT = 60.0
"""Seconds that a recent rate looks back."""


@dataclass
class StageView:
    """One stage of one process, over its last session.

    Attributes:
        name: of the stage.
        session: number of the session.
        step: the part of it that is counted, where it has several.
        ended: whether it came to its end.
        done: how many are done.
        total: how many there are.
        seconds: since it began in this session.
        parts: (condition, language) -> [done, total].
        history: (seconds, done) since the count began.
        earlier: (done, seconds) of earlier sessions, for the overall rate.
    """

    name: str
    session: int
    step: str | None = None
    ended: bool = False
    done: int | None = None
    total: int | None = None
    seconds: float = 0.0
    parts: dict[Part, list[int | None]] = field(default_factory=dict)
    history: list[tuple[float, int]] = field(default_factory=list)
    earlier: tuple[int, float] = (0, 0.0)

    def take(self, record: LogRecord) -> None:
        """Take one more line on this stage."""
        self.seconds = max(self.seconds, record.seconds or 0.0)
        if record.language is not None or record.condition is not None:
            self.parts[record.condition, record.language] = [record.done or 0, record.total]
            return
        self.ended = record.event == "end"
        self.done, self.total = record.done, record.total
        if record.step != self.step or (self.history and (record.done or 0) < self.history[-1][1]):
            self.step, self.history = record.step, []
        if record.done is not None:
            self.history.append((self.seconds, record.done))

    @property
    def gained(self) -> tuple[int, float]:
        """What this session did of what is counted, and in how many seconds."""
        if not self.history:
            return 0, 0.0
        (began, first), (ended, last) = self.history[0], self.history[-1]
        return last - first, ended - began

    @property
    def recent_rate(self) -> float | None:
        """How many a second of late; None before anything was done."""
        if not self.history:
            return None
        ended, last = self.history[-1]
        since = [point for point in self.history if point[0] <= ended - RECENT]
        began, first = since[-1] if since else self.history[0]
        return _rate(last - first, ended - began)

    @property
    def overall_rate(self) -> float | None:
        """How many a second over all sessions."""
        done, seconds = self.gained
        return _rate(done + self.earlier[0], seconds + self.earlier[1])


def _rate(done: int, seconds: float) -> float | None:
    return done / seconds if done > 0 and seconds > 0 else None


def view_stages(records: Iterable[LogRecord]) -> dict[str, StageView]:
    """Return the last state of each stage, in the order in which they first began."""
    views: dict[str, StageView] = {}
    session = 0
    for record in records:
        session += record.event == "begin"
        if record.stage is None or record.event not in ("start", "progress", "end"):
            continue
        view = views.get(record.stage)
        if view is None or record.event == "start" or view.session != session:
            fresh = StageView(record.stage, session)
            if view is not None:
                done, seconds = view.gained
                fresh.earlier = (view.earlier[0] + done, view.earlier[1] + seconds)
            views[record.stage] = view = fresh
        view.take(record)
    return views


def last_session(records: Sequence[LogRecord]) -> list[LogRecord]:
    """Return the lines from the last ``begin`` on."""
    begun = [number for number, record in enumerate(records) if record.event == "begin"]
    return list(records[begun[-1] if begun else 0 :])


def join(view: StageView, others: Sequence[StageView]) -> dict[Part, list[int | None]]:
    """Add what other processes did to the first one's counts; return the parts of all."""
    parts = {part: list(counts) for part, counts in view.parts.items()}
    for other in others:
        for part, (done, _) in other.parts.items():
            counts = parts.setdefault(part, [0, None])
            counts[0] = (counts[0] or 0) + (done or 0)
        if other.done is not None and view.done is not None:
            view.done += other.done
    return parts
