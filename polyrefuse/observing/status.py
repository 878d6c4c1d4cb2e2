"""The status of a run: what is done, how fast, what is left, who is at work, what went wrong.

Reads the run's log and settings, and takes no lock. Counts are as old as the log's last line.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from polyrefuse.errors import RunDirectoryError
from polyrefuse.observing.holder import Worker, find_worker
from polyrefuse.observing.record import LogRecord
from polyrefuse.observing.run_log import LOG, log_file, read_log
from polyrefuse.observing.stages import Part
from polyrefuse.observing.views import StageView, join, last_session, view_stages
from polyrefuse.outside_json import parse_json
from polyrefuse.plain_file import plain

SETTINGS, RESULT = "settings.json", "result.json"
QUIET = 120.0
"""Seconds without a line after which it is said that a living process has written none."""

State = Literal["at work", "stopped", "failed", "finished", "unknown"]
StageState = Literal["done", "at work", "stopped", "waiting"]


@dataclass(frozen=True)
class PartStatus:
    """Counts of one condition and language (None where a stage has none)."""

    condition: str | None
    language: str | None
    done: int
    total: int | None


@dataclass(frozen=True)
class StageStatus:
    """One stage.

    Attributes:
        name: what is done in it.
        state: ``done``, ``at work``, ``stopped`` or ``waiting``.
        step: what its count is of, where it counts several things one after another.
        done: how many are done, None where nothing is counted.
        total: how many there are.
        seconds: its time in the last session.
        rate: how many a second over all sessions.
        recent_rate: how many a second over the last minute.
        seconds_left: at the recent rate; None where that is not known.
        parts: counts of each condition and language.
    """

    name: str
    state: StageState
    step: str | None = None
    done: int | None = None
    total: int | None = None
    seconds: float | None = None
    rate: float | None = None
    recent_rate: float | None = None
    seconds_left: float | None = None
    parts: tuple[PartStatus, ...] = ()


@dataclass(frozen=True)
class RunStatus:
    """A run at this moment.

    Attributes:
        folder: the run directory.
        state: of the whole run; ``failed`` where an error ended it, ``unknown`` where its process
            is on another machine.
        model: what its settings say of the model, if they do.
        worker: the process that is at work on it, or was last; None where nothing says.
        processes: how many share it.
        sessions: how often it was started.
        stages: in order.
        log_age: seconds since the log's last line; None without a log, or where clocks disagree.
        memory_mib: most memory of a process of the last session.
        accelerator_mib: the same of an accelerator.
        last_error: of the log, by time of its line: ``time``, ``error``, ``message``, ``stage``.
        warnings: of the last session.
        resume: what to do to go on, or with what is there.
    """

    folder: Path
    state: State
    model: str | None
    worker: Worker | None
    processes: int
    sessions: int
    stages: tuple[StageStatus, ...]
    log_age: float | None
    memory_mib: float | None
    accelerator_mib: float | None
    last_error: dict[str, str] | None
    warnings: tuple[str, ...]
    resume: str


def read_status(path: Path) -> RunStatus:
    """Return the status of a run.

    Args:
        path: a run directory, the state folder of a build or its dataset folder, or a log.

    Raises:
        RunDirectoryError: it is none of these; says what was looked for.
    """
    folder, file = _find(path)
    try:
        records = read_log(file)
        others = [read_log(other) for other in sorted(folder.glob("log.*.jsonl"))]
    except OSError as error:
        raise RunDirectoryError(
            f"{file}: cannot be read ({error.strerror}).", "Check its permissions."
        ) from error
    current = last_session(records)
    begun = [record for record in records if record.event == "begin"]
    name = current[0].session if current else None
    shared = [x for x in map(last_session, others) if x and name and x[0].session == name]
    worker = find_worker(folder, begun)
    state = _state(folder, current, worker)
    everyone = [*current, *(record for lines in shared for record in lines)]
    return RunStatus(
        folder=folder,
        state=state,
        model=_model(folder),
        worker=worker,
        processes=(begun[-1].processes or 1) if begun else 1,
        sessions=len(begun),
        stages=_stages(records, current, shared, state),
        log_age=_age(everyone),
        memory_mib=_most(everyone, "memory_mib"),
        accelerator_mib=_most(everyone, "accelerator_mib"),
        last_error=_last_error([records, *others]),
        warnings=tuple(x.message for x in everyone if x.event == "warning" and x.message),
        resume=_resume(folder, state, worker, begun),
    )


def _find(path: Path) -> tuple[Path, Path]:
    """Return the run's folder and its log, which need not be there."""
    if path.is_file() and path.suffix == ".jsonl" and read_log(path):
        return path.parent, path
    build = path.absolute().parent / f"{path.name}.build"
    for folder in (path, build):
        if log_file(folder).is_file() or (folder / SETTINGS).is_file():
            return folder, log_file(folder)
    raise RunDirectoryError(
        f"{path}: is no run: there is no {LOG} and no {SETTINGS} in it, nor in {build.name} "
        "beside it.",
        "Name the folder given as --out to the command that runs.",
    )


def _state(folder: Path, current: Sequence[LogRecord], worker: Worker | None) -> State:
    last = current[-1].event if current else None
    if worker is not None and worker.alive and last != "finish":
        return "at work"
    if last == "finish" or (last is None and (folder / RESULT).is_file()):
        return "finished"
    if last == "error":
        interrupted = current[-1].error == "KeyboardInterrupt"
        return "stopped" if interrupted else "failed"
    if worker is not None and worker.alive is None:
        return "unknown"
    return "stopped"


def _stages(
    records: Sequence[LogRecord],
    current: Sequence[LogRecord],
    shared: Sequence[Sequence[LogRecord]],
    state: State,
) -> tuple[StageStatus, ...]:
    views = view_stages(records)
    session = sum(record.event == "begin" for record in records)
    planned = next((x.stages for x in current if x.event == "begin" and x.stages), ())
    others = [view_stages(lines) for lines in shared]
    found = []
    for name in dict.fromkeys([*planned, *views]):
        view = views.get(name)
        if view is None:
            found.append(StageStatus(name, "waiting"))
            continue
        beside = [their[name] for their in others if name in their]
        parts = join(view, beside) if view.session == session else dict(view.parts)
        active = view.session == session and state in ("at work", "unknown")
        found.append(_stage(view, beside, parts, active))
    return tuple(found)


def _stage(
    view: StageView,
    beside: Sequence[StageView],
    parts: Mapping[Part, Sequence[int | None]],
    active: bool,
) -> StageStatus:
    everyone = [view, *beside]
    recent = sum(x.recent_rate or 0.0 for x in everyone) or None
    overall = sum(x.overall_rate or 0.0 for x in everyone) or None
    left = None
    if active and not view.ended and recent and view.total is not None:
        left = max(0, view.total - (view.done or 0)) / recent
    return StageStatus(
        name=view.name,
        state="done" if view.ended else "at work" if active else "stopped",
        step=None if view.ended else view.step,
        done=view.done if view.total is not None else None,
        total=view.total,
        seconds=view.seconds,
        rate=overall,
        recent_rate=recent if active and not view.ended else None,
        seconds_left=left,
        parts=tuple(
            PartStatus(condition, language, done or 0, total)
            for (condition, language), (done, total) in parts.items()
        ),
    )


def _model(folder: Path) -> str | None:
    try:
        settings: Any = parse_json(plain(folder / SETTINGS).read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(settings, dict):
        return None
    names = [settings[key] for key in ("model", "base", "tuned") if key in settings]
    return " and ".join(map(str, names)) or None


def _age(records: Sequence[LogRecord]) -> float | None:
    """Return the age of the newest line; None where the clock has gone back since."""
    times = [time for time in map(_time, records) if time is not None]
    if not times:
        return None
    age = (datetime.now(UTC) - max(times)).total_seconds()
    return age if age > -1 else None


def _time(record: LogRecord) -> datetime | None:
    try:
        found = datetime.fromisoformat(record.time)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _most(records: Sequence[LogRecord], name: str) -> float | None:
    values = [getattr(record, name) for record in records]
    return max((value for value in values if value is not None), default=None)


def _last_error(logs: Sequence[Sequence[LogRecord]]) -> dict[str, str] | None:
    """Return the last error; what stopped others only because one stopped comes last."""
    errors = [record for log in logs for record in reversed(log) if record.event == "error"]
    own = [record for record in errors if record.error != "OtherProcessError"]
    for record in [*own, *errors]:
        found = {name: getattr(record, name) for name in ("time", "error", "message", "stage")}
        return {name: value for name, value in found.items() if value is not None}
    return None


def _resume(folder: Path, state: State, worker: Worker | None, begun: Sequence[LogRecord]) -> str:
    if state == "finished":
        return "nothing is left to do."
    if state == "at work":
        return "nothing to do: it is at work."
    if state == "unknown" and worker is not None:
        return f"see on {worker.host} whether process {worker.pid} still runs before starting it."
    command = begun[-1].command if begun else None
    alone = (begun[-1].processes or 1) == 1 if begun else True
    with_launcher = "" if alone else " with the same launcher"
    if command is None:
        return f"run the same command again{with_launcher}: it goes on where it was."
    return f"run the same command again{with_launcher}: {command}"
