"""``polyrefuse data``: export and check dataset folders."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyrefuse.cli.common import one_line
from polyrefuse.errors import AnswerIsNo

if TYPE_CHECKING:
    from polyrefuse.check import CheckReport

data_app = typer.Typer(help="Export and check dataset folders.", no_args_is_help=True)


@data_app.command("export")
def data_export(
    folder: Annotated[Path, typer.Argument(help="Folder to write; must be new or empty.")],
    dataset: Annotated[
        str | None, typer.Option(help="Dataset folder or Hub id; default: the packaged sample.")
    ] = None,
) -> None:
    """Copy a dataset to a loadable folder, every row checked on the way: whole, or not at all.

    What is copied is the card, the rows and errata.jsonl. A violation that errata.jsonl does not
    list ends the export (exit code 1).
    """
    from polyrefuse.dataset import resolve_folder
    from polyrefuse.export import export_dataset
    from polyrefuse.folder import data_size
    from polyrefuse.progress import progress_bar

    source = resolve_folder(dataset)
    with progress_bar("Exporting", data_size(source), unit="bytes") as advance:
        report = export_dataset(folder, source, advance)
    codes = {language for language, *_ in report.tally}
    shown = "de" if "de" in codes else min(codes)
    typer.echo(
        f"Wrote {report.rows} rows. Load them: datasets.load_dataset({str(folder)!r}, {shown!r})"
    )


@data_app.command("check")
def data_check(
    folder: Annotated[
        Path | None, typer.Argument(help="Dataset folder; default: the packaged sample.")
    ] = None,
) -> None:
    """Count a dataset folder by language and list every violated invariant."""
    from polyrefuse.check import check_folder
    from polyrefuse.dataset import SAMPLE_FOLDER
    from polyrefuse.folder import data_size
    from polyrefuse.progress import progress_bar

    folder = folder or SAMPLE_FOLDER
    with progress_bar("Checking", data_size(folder), unit="bytes") as advance:
        report = check_folder(folder, advance)
    _print_check(report)
    if not report.ok:
        raise AnswerIsNo(
            f"violations not listed in errata.jsonl: {len(report.unlisted)}; the first: "
            f"{report.unlisted[0]}."
        )


def _print_check(report: "CheckReport") -> None:
    from rich.console import Console
    from rich.markup import escape

    from polyrefuse.check import count_table

    console = Console()
    console.print(count_table(report))
    for violation in report.unlisted:
        line = escape(one_line(str(violation)))
        console.print(f"[red]violated[/] {line}", soft_wrap=True, highlight=False)
    listed = len(report.violations) - len(report.unlisted)
    console.print(
        f"{report.rows} rows, {len(report.violations)} violations, {listed} of them listed "
        f"in errata.jsonl. {report.digest}",
        soft_wrap=True,
    )
