"""The commands that look and change nothing: status of a run, doctor of the installation."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyrefuse.errors import AnswerIsNo, PolyRefuseError

if TYPE_CHECKING:
    from polyrefuse.observing.status import RunStatus

observing_app = typer.Typer()


@observing_app.command("status")
def status_command(
    run_dir: Annotated[Path, typer.Argument(help="Run directory, or the folder of a build.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    watch: Annotated[
        float | None, typer.Option(help="Look again every so many seconds while it is at work.")
    ] = None,
) -> None:
    """Say what a run has done, how fast, what is left, and what went wrong; changes nothing."""
    from polyrefuse.observing.status import read_status

    if watch is not None and not 0 < watch < 1e6:
        raise PolyRefuseError(f"--watch is {watch}.", "Give seconds above 0.")
    status = read_status(run_dir)
    if watch is None or as_json or not _terminal():
        _print_status(status, as_json=as_json)
        while watch is not None and status.state == "at work":
            time.sleep(watch)
            status = read_status(run_dir)
            _print_status(status, as_json=as_json)
        return
    from rich.live import Live

    from polyrefuse.observing.show import status_table

    with Live(status_table(status), auto_refresh=False) as live:
        while status.state == "at work":
            time.sleep(watch)
            status = read_status(run_dir)
            live.update(status_table(status), refresh=True)


def _print_status(status: "RunStatus", *, as_json: bool) -> None:
    from polyrefuse.observing.show import status_json, status_table, status_text

    if as_json:
        typer.echo(json.dumps(status_json(status)))
    elif _terminal():
        from rich.console import Console

        Console().print(status_table(status))
    else:
        typer.echo(status_text(status))


def _terminal() -> bool:
    import sys

    return sys.stdout.isatty()


COLOURS = {"ok": "green", "not tried": "bright_black", "warning": "yellow", "problem": "red"}


@observing_app.command("doctor")
def doctor_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    online: Annotated[
        bool, typer.Option("--online", help="Ask whether the Hub can be reached.")
    ] = False,
) -> None:
    """Examine the installation and say what to do; exits 1 if something is broken."""
    from dataclasses import asdict

    from polyrefuse.cli.common import one_line
    from polyrefuse.doctor import examine, problems

    findings = examine(online=online)
    broken = problems(findings)
    if as_json:
        said = {"ok": not broken, "findings": [asdict(finding) for finding in findings]}
        typer.echo(json.dumps(said))
    else:
        for found in findings:
            level = typer.style(f"{found.level:<9}", fg=COLOURS[found.level])
            remedy = f" -> {found.remedy}" if found.remedy else ""
            typer.echo(f"{level}  {found.name}: {one_line(found.detail + remedy)}")
    if broken:
        names = ", ".join(found.name for found in broken)
        raise AnswerIsNo(f"{len(broken)} broken: {names}.", "Each line above says what to do.")
