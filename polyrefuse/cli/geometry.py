"""``polyrefuse geometry``: is the refusal direction one and the same in every language?"""

import json
from pathlib import Path
from typing import Annotated

import typer

from polyrefuse.cli import loading
from polyrefuse.cli.common import needs_extra, quiet_libraries
from polyrefuse.errors import RunDirectoryError
from polyrefuse.plain_file import plain

geometry_app = typer.Typer()


@geometry_app.command("geometry")
def geometry_command(
    model: Annotated[str, typer.Argument(help="Hub id, folder, or 'planted'.")],
    out: Annotated[Path, typer.Option(help="Run directory; run again to resume.")],
    dataset: Annotated[
        str | None, typer.Option(help="Dataset folder or Hub id; default: the packaged sample.")
    ] = None,
    dataset_revision: Annotated[str | None, typer.Option(help="Commit of a Hub dataset.")] = None,
    languages: Annotated[
        str | None, typer.Option(help="Languages to compare, e.g. 'en,de'; default: all.")
    ] = None,
    sources: Annotated[
        str | None,
        typer.Option(help="Languages whose direction is ablated; the paper's: 'en,zh,de,th'."),
    ] = None,
    transfer: Annotated[
        bool, typer.Option(help="Generate answers for the transfer matrix, or leave it out.")
    ] = True,
    limit: Annotated[
        int | None, typer.Option(help="Most test prompts of each label and language.")
    ] = None,
    judge: Annotated[str, typer.Option(help="Judge of the answers.")] = "keyword",
    max_new_tokens: Annotated[int, typer.Option(help="Limit on an answer, in tokens.")] = 512,
    train_prompts: Annotated[int, typer.Option(help="Most train prompts of each label.")] = 128,
    resamples: Annotated[
        int, typer.Option(help="Bootstrap samples, and shuffles of the null.")
    ] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn.")] = 0,
    batch_tokens: Annotated[int, typer.Option(help="Padded tokens a batch.")] = 16_384,
    store_completions: Annotated[
        bool, typer.Option(help="Keep completions on disk, or labels and hashes only.")
    ] = True,
    revision: loading.Revision = None,
    dtype: loading.Dtype = "auto",
    device: loading.Device = None,
    device_map: loading.DeviceMap = None,
    quantization: loading.Quantization = None,
    offload_folder: loading.OffloadFolder = None,
    chat_template: loading.ChatTemplate = None,
    system_prompt: loading.SystemPrompt = None,
    trust_remote_code: loading.TrustRemoteCode = False,
) -> None:
    """Compare refusal directions across languages: transfer, cosines, separation, certainty."""
    given = dict(locals())
    with needs_extra("evaluation"):
        quiet_libraries()
        from polyrefuse_evaluation.geometry import GeometryOptions, geometry

        report = geometry(
            model,
            out,
            dataset=dataset,
            dataset_revision=dataset_revision,
            options=GeometryOptions(
                languages=languages,
                sources=sources,
                judge=judge,
                max_new_tokens=max_new_tokens,
                limit=limit,
                train_prompts=train_prompts,
                resamples=resamples,
                seed=seed,
                batch_tokens=batch_tokens,
                transfer=transfer,
                store_completions=store_completions,
            ),
            **loading.load_options(given),
        )
        _print_paragraphs(report.paragraphs, report.page)


def is_geometry_run(run_dir: Path) -> bool:
    """Say whether a run directory is one of ``polyrefuse geometry``."""
    return (run_dir / "tables" / "cosines.parquet").is_file()


def report_geometry(run_dir: Path) -> None:
    """Print the paragraphs of a run, and write its figures and page again."""
    from polyrefuse_evaluation.geometry.publish import publish
    from polyrefuse_evaluation.geometry.results import load_tables

    page, texts = publish(run_dir, load_tables(run_dir), settings_model(run_dir))
    _print_paragraphs(texts, page)


def settings_model(run_dir: Path) -> str:
    """Return the model that the settings of a run name.

    Raises:
        RunDirectoryError: they cannot be read.
    """
    path = run_dir / "settings.json"
    try:
        return str(json.loads(plain(path).read_text(encoding="utf-8"))["model"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise RunDirectoryError(
            f"{path}: does not say which model it is of ({type(error).__name__}).",
            "Run 'polyrefuse geometry' again.",
        ) from error


def _print_paragraphs(paragraphs: dict[str, str], page: Path) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console()
    for title, text in paragraphs.items():
        console.print(Text(title.capitalize(), style="bold"))
        console.print(Text(text))
        console.print()
    console.print(f"Report: {page}", soft_wrap=True, highlight=False, markup=False)
