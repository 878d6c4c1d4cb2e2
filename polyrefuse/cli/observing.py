"""The commands that look and change nothing: status of a run, doctor of the installation."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyrefuse.errors import PolyRefuseError

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
