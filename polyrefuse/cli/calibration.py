"""``polyrefuse calibrate`` and ``polyrefuse judge-sample``: how far a judge can be trusted."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polyrefuse.cli.common import needs_extra, one_line, quiet_libraries
from polyrefuse.plain_file import require_replaceable

if TYPE_CHECKING:
    from polyrefuse.calibration_schema import Calibration

calibration_app = typer.Typer()


@calibration_app.command("calibrate")
def calibrate_command(
    judge: Annotated[str, typer.Option(help="Judge to measure, as in 'polyrefuse judge'.")],
    reference: Annotated[
        list[Path],
        typer.Option(
            help="JSONL with language, response and reference_outcome or reference_refusal, or a "
            "labelled sheet of judge-sample (.csv); may be given twice."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Calibration to write; default: the user's data folder.")
    ] = None,
    column: Annotated[str | None, typer.Option(help="Column of the label, in JSONL.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the intervals of weighted samples.")] = 0,
    fallback: Annotated[
        str | None, typer.Option(help="Second judge, for what the first leaves unparsed.")
    ] = None,
    judge_url: Annotated[str | None, typer.Option(help="openai: base URL.")] = None,
    device: Annotated[str | None, typer.Option(help="Guard models: torch device.")] = None,
    dtype: Annotated[str | None, typer.Option(help="Guard models: torch dtype.")] = None,
    batch_tokens: Annotated[
        int | None, typer.Option(help="Guard models: padded tokens a batch.")
    ] = None,
) -> None:
    """Compare a judge with a reference: precision, recall, F1 and kappa in each language."""
    with needs_extra("evaluation"):
        quiet_libraries()
        from polyrefuse_evaluation.calibration import calibrate, read_references, save_calibration
        from polyrefuse_evaluation.calibration.store import BEGIN
        from polyrefuse_evaluation.judges import get_judge

        require_replaceable(out, BEGIN)
        data = read_references(reference, column)  # before a model is loaded
        settings: dict[str, Any] = {
            "url": judge_url,
            "device": device,
            "dtype": dtype,
            "batch_tokens": batch_tokens,
        }
        given = {name: value for name, value in settings.items() if value is not None}
        calibration = calibrate(get_judge(judge, fallback=fallback, **given), data, seed)
        path = save_calibration(calibration, out)
        _print_calibration(calibration, path)


@calibration_app.command("judge-sample")
def judge_sample_command(
    run_dir: Annotated[Path, typer.Argument(help="A finished run directory.")],
    out: Annotated[Path, typer.Option(help="Sheet to write: SHEET.csv, and SHEET.key.jsonl.")],
    per_stratum: Annotated[
        int, typer.Option(help="Most rows of each language, condition and verdict.")
    ] = 3,
    seed: Annotated[int, typer.Option(help="Seed of the draw and of the order.")] = 0,
    judge: Annotated[
        str | None, typer.Option(help="Judge whose verdicts stratify; default: the run's first.")
    ] = None,
) -> None:
    """Write a blinded sheet for two people to label; 'calibrate' reads it back."""
    with needs_extra("evaluation"):
        from polyrefuse_evaluation.calibration import sample_run, write_sheet

        rows = sample_run(run_dir, per_stratum=per_stratum, seed=seed, judge=judge)
        key = write_sheet(rows, out)
        languages = len({row.language for row in rows})
        typer.echo(
            f"Wrote {len(rows)} responses in {languages} languages to {one_line(str(out))}.\n"
            "Annotators write refused, complied, deflected or broken (or the first letter) into "
            "annotator_1 and annotator_2, without seeing each other's labels.\n"
            f"Keep {one_line(str(key))} from them, and beside the sheet: it says which row is what."
        )


def _print_calibration(calibration: "Calibration", path: Path) -> None:
    from rich.console import Console

    from polyrefuse_evaluation.calibration import calibration_tables

    console = Console()
    for part in calibration_tables(calibration):
        console.print(part)
    console.print(f"Wrote {one_line(str(path))}", soft_wrap=True, highlight=False, markup=False)
