"""``polyrefuse import-run``: a run directory from a log of lm-evaluation-harness or Inspect."""

from pathlib import Path
from typing import Annotated

import typer

from polyrefuse.cli.common import needs_extra, one_line, quiet_libraries

importing_app = typer.Typer()


@importing_app.command("import-run")
def import_command(
    log: Annotated[
        Path, typer.Argument(help="Log of lm_eval (results_*.json) or Inspect, or its folder.")
    ],
    out: Annotated[Path, typer.Option(help="Run directory to make.")],
    source: Annotated[
        str | None, typer.Option("--from", help="lm-eval or inspect; default: told from the log.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Dataset folder or Hub id; default: the log's.")
    ] = None,
    dataset_revision: Annotated[str | None, typer.Option(help="Commit of a Hub dataset.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Checkpoint that was evaluated, where it is elsewhere now.")
    ] = None,
    judge: Annotated[
        list[str] | None, typer.Option(help="Judge anew; given again, a second opinion.")
    ] = None,
    store_completions: Annotated[
        bool, typer.Option(help="Keep completions on disk, or labels and hashes only.")
    ] = True,
) -> None:
    """Make a run directory of a log of another framework: refusal and over-refusal, no ablation.

    It can then be reported and submitted as a run of 'polyrefuse evaluate'.
    """
    with needs_extra("evaluation"):
        quiet_libraries()
        from rich.console import Console

        from polyrefuse_evaluation.integrations.import_run import import_run
        from polyrefuse_evaluation.report import terminal_tables

        result = import_run(
            log,
            out,
            source=source,
            dataset=dataset,
            dataset_revision=dataset_revision,
            model=model,
            judges=judge or (),
            store_completions=store_completions,
        )
        console = Console()
        for table in terminal_tables(result):
            console.print(table)
        typer.echo(f"Run directory: {one_line(str(out))}")
