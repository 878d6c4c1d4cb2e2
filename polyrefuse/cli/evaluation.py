"""The commands that evaluate models: demo, evaluate, check, report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyrefuse.cli import endpoint, loading
from polyrefuse.cli.common import needs_extra, quiet_libraries
from polyrefuse.cli.geometry import is_geometry_run, report_geometry
from polyrefuse.errors import AnswerIsNo, PolyRefuseError
from polyrefuse.plain_file import require_own_files

if TYPE_CHECKING:
    from polyrefuse.results import Result

evaluation_app = typer.Typer()

Languages = Annotated[str | None, typer.Option(help="Languages, e.g. 'en,de'; default: all.")]
Sources = Annotated[str, typer.Option(help="Languages whose refusal direction is ablated.")]
DatasetOption = Annotated[
    str | None, typer.Option(help="Dataset folder or Hub id; default: the packaged sample.")
]
Out = Annotated[Path | None, typer.Option(help="Run directory; run again to resume.")]
Limit = Annotated[int | None, typer.Option(help="Most test prompts of each label and language.")]


@evaluation_app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Run directory.")] = Path("runs/demo"),
    variant: Annotated[
        str, typer.Option(help="Planted model: single, two (two directions) or none (control).")
    ] = "single",
) -> None:
    """Train the planted model and evaluate it in 14 languages: the whole path, offline."""
    suffix = "" if variant == "single" else f":{variant}"
    evaluate(f"planted{suffix}", source_languages="en,de,zh", out=out)


@evaluation_app.command()
def evaluate(
    model: Annotated[
        str, typer.Argument(help="Hub id, folder, 'planted', or openai:MODEL behind an endpoint.")
    ],
    dataset: DatasetOption = None,
    dataset_revision: Annotated[str | None, typer.Option(help="Commit of a Hub dataset.")] = None,
    languages: Languages = None,
    source_languages: Sources = "en",
    judge: Annotated[
        list[str],
        typer.Option(
            help="Judge of the answers; given again, a second opinion. See 'polyrefuse judge'."
        ),
    ] = ["keyword"],  # noqa: B006 - typer reads the default and copies it
    max_new_tokens: Annotated[int, typer.Option(help="Limit on an answer, in tokens.")] = 512,
    limit: Limit = None,
    out: Out = None,
    revision: loading.Revision = None,
    dtype: loading.Dtype = "auto",
    device: loading.Device = None,
    device_map: loading.DeviceMap = None,
    quantization: loading.Quantization = None,
    offload_folder: loading.OffloadFolder = None,
    chat_template: loading.ChatTemplate = None,
    system_prompt: loading.SystemPrompt = None,
    trust_remote_code: loading.TrustRemoteCode = False,
    seed: Annotated[int, typer.Option(help="Seed of the controls.")] = 0,
    train_prompts: Annotated[int, typer.Option(help="Most train prompts of each label.")] = 128,
    full_scores: Annotated[
        bool, typer.Option("--full-scores", help="Score every candidate direction in full.")
    ] = False,
    refusal_tokens: Annotated[
        str | None, typer.Option(help="Token ids to use, e.g. '40,2121'; default: discovered.")
    ] = None,
    batch_tokens: Annotated[int, typer.Option(help="Padded tokens a batch.")] = 16_384,
    ablation_method: Annotated[str, typer.Option(help="auto, hooks or weights.")] = "auto",
    store_completions: Annotated[
        bool, typer.Option(help="Keep completions on disk, or labels and hashes only.")
    ] = True,
    show_completions: Annotated[
        bool, typer.Option("--show-completions", help="Show completions in the report.")
    ] = False,
    base_url: endpoint.BaseUrl = None,
    api_key_env: endpoint.KeyVariable = None,
    concurrency: endpoint.Concurrency = 8,
    timeout: endpoint.Timeout = 120.0,
    attempts: endpoint.Attempts = 8,
    stream: endpoint.Stream = False,
    price_in: endpoint.PriceIn = None,
    price_out: endpoint.PriceOut = None,
    max_cost: endpoint.MaxCost = None,
    dry_run: endpoint.DryRun = False,
) -> None:
    """Evaluate a model: refusal per language, before and after ablating refusal directions.

    Behind an endpoint (openai:MODEL) nothing can be ablated: refusal and over-refusal only.
    """
    given = dict(locals())
    endpoint.require_fitting_options(evaluate, given)
    if show_completions and not store_completions:
        raise PolyRefuseError(
            "--show-completions and --no-store-completions: none are kept that could be shown.",
            "Leave out one of the two.",
        )
    with needs_extra("evaluation"):
        quiet_libraries()
        if endpoint.is_endpoint(model):
            target = out or default_run_directory(model)
            answered = endpoint.evaluate_by_endpoint(given, target)
            if answered is not None:
                _conclude(answered, target, show_completions, resumable=True)
            return
        from polyrefuse_evaluation.evaluate import evaluate as run_evaluation
        from polyrefuse_evaluation.progress import leads
        from polyrefuse_evaluation.records import Options

        target = out or default_run_directory(model)
        options = Options(
            languages=languages,
            source_languages=source_languages,
            judges=tuple(judge),
            max_new_tokens=max_new_tokens,
            limit=limit,
            seed=seed,
            train_prompts=train_prompts,
            full_scores=full_scores,
            batch_tokens=batch_tokens,
            store_completions=store_completions,
            method=ablation_method,
            refusal_tokens=_parse_ids(refusal_tokens),
        )
        result = run_evaluation(
            model,
            target,
            dataset=dataset,
            dataset_revision=dataset_revision,
            options=options,
            **loading.load_options(given),
        )
        if not leads():
            return
        _conclude(result, target, show_completions, resumable=store_completions)


def _conclude(result: "Result", run_dir: Path, show_completions: bool, *, resumable: bool) -> None:
    if show_completions:
        _write_report(run_dir, show_completions=True)
    _print_result(result, run_dir)
    if result.endpoint is not None:
        typer.echo(endpoint.describe(result.endpoint))
    if result.failed:
        raise AnswerIsNo(
            f"{result.failed} verdicts are missing: the judge or the model could not be asked.",
            "Run the same command again: it asks only for those."
            if resumable
            else "Completions are not stored, so it takes a new run directory (--out).",
        )


def default_run_directory(model: str) -> Path:
    """Return ``runs/<model>``, with every character that is not plain replaced."""
    name = "".join(c if c.isalnum() or c in "-_." else "-" for c in model.strip("/."))
    return Path("runs") / (name or "model")


def _parse_ids(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        ids = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        ids = ()
    if not ids or min(ids) < 0:
        raise PolyRefuseError(
            f"--refusal-tokens {text!r} is no list of token ids.", "Example: '40,2121'."
        )
    return ids


@evaluation_app.command()
def check(
    model: Annotated[str, typer.Argument(help="Hub id, folder, or 'planted'.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
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
    """Prove by forward passes that ablation reaches everything this model writes."""
    given = dict(locals())
    with needs_extra("evaluation"):
        quiet_libraries()
        from polyrefuse_evaluation.ablation_proof import check_ablation, describe
        from polyrefuse_evaluation.models import load_model

        loaded = load_model(model, **loading.load_options(given))
        proof = check_ablation(loaded.model, loaded.tokenizer)
        typer.echo(proof.to_json() if as_json else describe(proof))
        if not proof.verified:
            raise AnswerIsNo(f"{model}: ablation is not verified: {proof.suspect}.")


@evaluation_app.command()
def report(
    run_dir: Annotated[Path, typer.Argument(help="A finished run directory.")],
    show_completions: Annotated[
        bool, typer.Option("--show-completions", help="Show completions in report.html.")
    ] = False,
) -> None:
    """Print the report of a run, and write its figures and page again."""
    require_own_files(run_dir)
    with needs_extra("evaluation"):
        if is_geometry_run(run_dir):
            report_geometry(run_dir)
            return
        result = _write_report(run_dir, show_completions=show_completions)
        _print_result(result, run_dir)


def _write_report(run_dir: Path, *, show_completions: bool) -> "Result":
    from polyrefuse.results import read_result
    from polyrefuse_evaluation.completions import read_completions
    from polyrefuse_evaluation.report import write_figures, write_report

    result = read_result(run_dir / "result.json")
    write_figures(result, run_dir)
    completions = read_completions(run_dir) if show_completions else None
    write_report(result, run_dir, completions=completions)
    return result


def _print_result(result: "Result", run_dir: Path) -> None:
    from rich.console import Console

    from polyrefuse_evaluation.report import terminal_tables

    console = Console()
    for table in terminal_tables(result):
        console.print(table)
    console.print(f"Report: {run_dir / 'report.html'}", soft_wrap=True, highlight=False)
