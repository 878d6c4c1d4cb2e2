"""The command line: thin commands over documented functions.

The only place that knows all three packages, and it imports them lazily: ``polyrefuse --help``
never imports torch. Exit codes: 0 done, 1 the answer is no, 2 bad input, 130 interrupted (by
Ctrl-C or SIGTERM).
"""

import os
import sys
from typing import Annotated

import typer

from polyrefuse.cli.build import build_app
from polyrefuse.cli.calibration import calibration_app
from polyrefuse.cli.common import one_line, unexpected
from polyrefuse.cli.data import data_app
from polyrefuse.cli.edge import safe_output, say_traceback
from polyrefuse.cli.evaluation import evaluation_app
from polyrefuse.cli.geometry import geometry_app
from polyrefuse.cli.importing import importing_app
from polyrefuse.cli.interrupts import end_on_sigterm
from polyrefuse.cli.judging import judging_app
from polyrefuse.cli.leaderboard import leaderboard_app
from polyrefuse.cli.observing import observing_app
from polyrefuse.cli.residual_space import residual_space_app
from polyrefuse.errors import PolyRefuseError

app = typer.Typer(
    help=(
        "PolyRefuse: does this model still say no in Thai, "
        "and how much of its no hangs on a single direction?"
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(evaluation_app)
app.add_typer(judging_app)
app.add_typer(calibration_app)
app.add_typer(geometry_app)
app.add_typer(importing_app)
app.add_typer(residual_space_app)
app.add_typer(observing_app)
app.add_typer(data_app, name="data")
app.add_typer(build_app, name="build")
app.add_typer(leaderboard_app, name="leaderboard")

INTERRUPTED = 130
"""Exit code after Ctrl-C or SIGTERM."""

UNEXPECTED = 1
"""Exit code after an error of the program itself: not 2, which says that the input was at fault."""


def main() -> None:
    """Run the command line; turns errors a user can meet into one line and an exit code."""
    end_on_sigterm()
    with safe_output():
        _run()


def _run() -> None:
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        app(args=arguments, prog_name="polyrefuse", standalone_mode=True)
    except PolyRefuseError as error:
        if debug:
            say_traceback(type(error), error, error.__traceback__)
        else:
            _say(f"polyrefuse: {one_line(str(error))}")
        sys.exit(error.exit_code)
    except SystemExit as stop:  # typer turns Ctrl-C into exit code 130, without a word
        if stop.code == INTERRUPTED:
            _say("polyrefuse: interrupted. Run the same command again to resume.")
        raise
    except KeyboardInterrupt:  # before typer took over
        _say("polyrefuse: interrupted. Run the same command again to resume.")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        _drop_output()
        sys.exit(1)
    except Exception as error:
        _drop_output()
        if debug:
            say_traceback(type(error), error, error.__traceback__)
            sys.exit(PolyRefuseError.exit_code if isinstance(error, OSError) else UNEXPECTED)
        sys.exit(_explain(error))


def _explain(error: Exception) -> int:
    """Say in one line what went wrong; return the exit code."""
    if isinstance(error, OSError):
        problem = one_line(f"{error.filename or 'output'}: {error.strerror or error}.")
        _say(f"polyrefuse: {problem} Check the path, its permissions and the free space.")
        return PolyRefuseError.exit_code
    _say(f"polyrefuse: {unexpected(error)}")
    return UNEXPECTED


def _drop_output() -> None:
    """Flush standard output, or discard what can no longer be written."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201


def _version(value: bool) -> None:
    if value:
        from polyrefuse import __version__

        typer.echo(f"polyrefuse {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show full tracebacks; works after a command, too.")
    ] = False,
) -> None:
    """Take the options of every command; `main` reads ``--debug`` before typer does."""
