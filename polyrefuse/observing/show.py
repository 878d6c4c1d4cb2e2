"""Show the status of a run: as plain text, as a rich table in a terminal, or as JSON values."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from polyrefuse.observing.status import QUIET, PartStatus, RunStatus, StageStatus

if TYPE_CHECKING:
    from rich.console import Group

HEADINGS = ("stage", "state", "done", "time", "a second (of late, overall)", "left")


def status_json(status: RunStatus) -> dict[str, Any]:
    """Return a status as JSON values; times in seconds, memory in MiB."""
    return {**asdict(status), "folder": str(status.folder)}


def status_text(status: RunStatus) -> str:
    """Return a status as plain lines, columns apart by two spaces or more."""
    rows = [list(HEADINGS), *map(stage_row, status.stages)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    table = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([*_above(status), *table, *_parts(status.stages), *_below(status)])


def status_table(status: RunStatus) -> "Group":
    """Return a status for a terminal."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(*HEADINGS, box=box.SIMPLE)
    for stage in status.stages:
        table.add_row(*map(Text, stage_row(stage)))
    below = [*_parts(status.stages), *_below(status)]
    return Group(*map(Text, _above(status)), table, *map(Text, below))


def stage_row(stage: StageStatus) -> list[str]:
    """Return the cells of one stage."""
    done = "" if stage.done is None else f"{stage.done}/{stage.total}"
    if done and stage.total:
        done += f" ({100 * stage.done // stage.total if stage.done else 0}%)"
    if stage.step and done:
        done += f" {_safe(stage.step)}"
    rates = [x for x in (stage.recent_rate, stage.rate) if x is not None]
    return [
        _safe(stage.name),
        stage.state,
        done,
        duration(stage.seconds),
        ", ".join(f"{rate:.3g}" for rate in rates),
        duration(stage.seconds_left),
    ]


def duration(seconds: float | None) -> str:
    """Return seconds as people say them: 4.2 s, 3 min 20 s, 2 h 5 min, 3 d 4 h."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    for size, name, smaller, part in (
        (86_400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if seconds >= size:
            return f"{int(seconds // size)} {name} {int(seconds % size // smaller)} {part}"
    return ""


def _above(status: RunStatus) -> list[str]:
    about = f", model {_safe(status.model)}" if status.model else ""
    several = f", {status.processes} processes" if status.processes > 1 else ""
    begun = f", started {status.sessions} times" if status.sessions > 1 else ""
    return [f"{_safe(str(status.folder))}: {status.state}{about}{several}{begun}", _who(status)]


def _who(status: RunStatus) -> str:
    age = status.log_age
    last = "the log's last line is from the future: the clock was set back" if age is None else ""
    if age is not None:
        last = f"last line {duration(age)} ago"
    if not status.sessions:
        return "No log: it could not be written, or this run is older than the log."
    worker = status.worker
    if worker is None:
        return f"No process is known to be at work on it; {last}."
    name = f"process {worker.pid} on {_safe(worker.host)}"
    if worker.alive is None:
        return f"It was begun by {name}, which cannot be seen from here; {last}."
    if not worker.alive or status.state != "at work":
        return f"No process is at work on it; the last was {name}; {last}."
    quiet = age is not None and age > QUIET
    doubt = " It lives and has finished nothing since: a long step, or it hangs." if quiet else ""
    return f"At work: {name}; {last}.{doubt}"


def _below(status: RunStatus) -> list[str]:
    lines = []
    if status.memory_mib is not None:
        more = status.accelerator_mib
        beside = "" if more is None else f"; {more:,.0f} MiB on an accelerator"
        lines.append(f"Most memory of a process: {status.memory_mib:,.0f} MiB{beside}")
    lines += [f"Warning: {_safe(message)}" for message in status.warnings[-3:]]
    if status.last_error:
        error = status.last_error
        said = error.get("message") or error.get("error", "")
        where = f", in {error['stage']}" if "stage" in error else ""
        lines.append(f"Last error ({_safe(error['time'])}{_safe(where)}): {_safe(said)}")
    return [*lines, f"To go on: {_safe(status.resume)}"]


def _parts(stages: Sequence[StageStatus]) -> list[str]:
    """Return a line for each condition of each stage, naming the languages that are not done."""
    lines = []
    for stage in stages:
        by_condition: dict[str | None, list[PartStatus]] = defaultdict(list)
        for part in stage.parts:
            by_condition[part.condition].append(part)
        for condition, parts in by_condition.items():
            name = _safe(condition or stage.name)
            lines.append(f"  {name}: {_counts(parts)}")
    return lines


def _counts(parts: Iterable[PartStatus]) -> str:
    parts = list(parts)
    done = sum(part.done for part in parts)
    totals = [part.total for part in parts if part.total is not None]
    said = f"{done}/{sum(totals)}" if totals else str(done)
    left = [x for x in parts if x.language and x.total is not None and x.done < x.total]
    if done and left:
        said += "; left: " + ", ".join(f"{_safe(str(x.language))} {x.done}/{x.total}" for x in left)
    return said


def _safe(text: str) -> str:
    """Return text of a file as a terminal may show it."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)
