"""``polyrefuse leaderboard``: submit a run's labels, verify submissions, build the site."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyrefuse.atomic import write_whole
from polyrefuse.cli.common import needs_extra, one_line
from polyrefuse.errors import AnswerIsNo, PolyRefuseError
from polyrefuse.observing import observed, stage
from polyrefuse.plain_file import require_replaceable

if TYPE_CHECKING:
    from polyrefuse_evaluation.leaderboard.pull_request import PullRequestPlan
    from polyrefuse_evaluation.leaderboard.rescore import Rescore
    from polyrefuse_evaluation.leaderboard.verify import Verdict

leaderboard_app = typer.Typer(help="Submit, verify and show results.", no_args_is_help=True)


@leaderboard_app.command("submit")
def submit_command(
    run_dir: Annotated[Path, typer.Argument(help="A finished run directory.")],
    out: Annotated[Path, typer.Option(help="Folder of submissions.")] = Path("submissions"),
    name: Annotated[
        str | None, typer.Option(help="Public name of a model that was a folder: org/model.")
    ] = None,
    dataset_name: Annotated[
        str | None, typer.Option(help="Hub id of a dataset that was a folder.")
    ] = None,
    dataset_revision: Annotated[str | None, typer.Option(help="Its commit or tag.")] = None,
    licence: Annotated[str | None, typer.Option(help="Licence of the model, e.g. mit.")] = None,
    family: Annotated[str | None, typer.Option(help="Family of the model, e.g. Qwen2.5.")] = None,
    to: Annotated[
        str | None, typer.Option(help="Results repository (Hub dataset) to open a pull request on.")
    ] = None,
    eval_results: Annotated[
        bool, typer.Option("--eval-results", help="Also write .eval_results for the model's page.")
    ] = False,
    eval_results_pr: Annotated[
        bool, typer.Option("--eval-results-pr", help="... and open that pull request.")
    ] = False,
    model_card: Annotated[
        bool, typer.Option("--model-card", help="Print the block for the model's card.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be sent; send nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before sending.")] = False,
) -> None:
    """Make a submission: labels and hashes, no completions. Without --to nothing is sent."""
    with needs_extra("leaderboard"):
        from polyrefuse_evaluation.leaderboard.model_card import render_model_card
        from polyrefuse_evaluation.leaderboard.submission import PublicNames, make_submission
        from polyrefuse_evaluation.leaderboard.submit import (
            plan_eval_results,
            plan_submission,
            write_eval_results,
        )

        names = PublicNames(name, dataset_name, dataset_revision, licence, family)
        with _observed(run_dir / "submit.log.jsonl", "submit", beside=run_dir / "result.json"):
            made = make_submission(run_dir, out, names)
        typer.echo(f"Wrote {one_line(str(made.path))}: {len(made.rows)} labels, no completions.")
        if made.manifest.self_test:
            typer.echo("It is of the planted model: a self-test, never ranked among models.")
        plans = [plan_submission(made, to)] if to else []
        if eval_results or eval_results_pr:
            written = write_eval_results(made, out, to)
            typer.echo(f"Wrote {one_line(str(written))}")
            plans += [plan_eval_results(made, written)] if eval_results_pr else []
        for plan in plans:
            _send(plan, dry_run=dry_run, yes=yes)
        if model_card:
            typer.echo(render_model_card(made.result))


@contextmanager
def _observed(log: Path | None, name: str, beside: Path | None = None) -> Iterator[None]:
    """Log a stage of its own, where there is a place for its log."""
    if log is None or (beside is not None and not beside.is_file()):
        yield
        return
    with observed(log.parent, (name,), file=log), stage(name):
        yield


def _send(plan: "PullRequestPlan", *, dry_run: bool, yes: bool) -> None:
    """Show the plan, then carry it out; a person at a terminal is asked first."""
    import sys

    from polyrefuse_evaluation.leaderboard.pull_request import open_pull_request

    typer.echo(plan.describe())
    if dry_run or plan.empty:
        return
    if not yes and sys.stdin.isatty() and not typer.confirm("Open this pull request?"):
        typer.echo("Nothing was sent.")
        return
    url = open_pull_request(plan)
    typer.echo(f"Pull request: {one_line(str(url))}")


@leaderboard_app.command("verify")
def verify_command(
    paths: Annotated[list[Path], typer.Argument(help="Submissions, or folders of submissions.")],
    dataset: Annotated[
        list[str] | None,
        typer.Option(help="Pinned dataset: ORG/NAME@COMMIT, or a folder; may be given again."),
    ] = None,
    rescore: Annotated[
        int, typer.Option(min=0, help="Ask the model again: this many random prompts.")
    ] = 0,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the draw; default: a fresh one, which is shown.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Hub id or folder to load for --rescore.")
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Share of labels that may differ where the text does, too."
        ),
    ] = 0.0,
    record: Annotated[
        Path | None, typer.Option(help="JSONL to append what --rescore showed to.")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Write the verdict as Markdown, for a CI comment.")
    ] = None,
) -> None:
    """Verify submissions: exit code 0 if all are accepted, 1 if one is rejected."""
    with needs_extra("leaderboard"):
        from polyrefuse_evaluation.leaderboard import summary
        from polyrefuse_evaluation.leaderboard.sources import all_sources
        from polyrefuse_evaluation.leaderboard.verify import outline, verify, whole

        require_replaceable(markdown, summary.BEGIN)
        # Asking again takes labels and prompts; without it, thousands of verdicts are kept small.
        verdicts = verify(paths, all_sources(dataset or []), whole if rescore else outline)
        rescores: dict[str, Rescore] = {}
        if rescore:
            log = None if record is None else record.with_suffix(".log.jsonl")
            with needs_extra("evaluation"), _observed(log, "rescore"):
                verdicts, rescores = _rescore(verdicts, rescore, seed, model, tolerance, record)
        for line in summary.terminal_lines(verdicts, rescores):
            typer.echo(line)
        if markdown is not None:
            _write(markdown, summary.markdown(verdicts, rescores))
        rejected = sum(not verdict.accepted for verdict in verdicts)
        if rejected:
            raise AnswerIsNo(f"{rejected} of {len(verdicts)} submissions rejected.")


def _rescore(
    verdicts: "list[Verdict]",
    n: int,
    seed: int | None,
    model: str | None,
    tolerance: float,
    record: Path | None,
) -> "tuple[list[Verdict], dict[str, Rescore]]":
    import secrets
    from dataclasses import replace

    from polyrefuse.cli.common import quiet_libraries
    from polyrefuse_evaluation.leaderboard.rescore import rescore
    from polyrefuse_evaluation.leaderboard.rescored import record_rescore

    if model is not None and len(verdicts) != 1:
        raise PolyRefuseError("--model goes with one submission.", "Verify it alone.")
    quiet_libraries()
    drawn = secrets.randbits(32) if seed is None else seed
    found, judged = {}, []
    for verdict in verdicts:
        if verdict.accepted:
            again = rescore(verdict, n, drawn, model=model, tolerance=tolerance)
            found[verdict.where] = again
            if record is not None and again.n:
                record_rescore(record, verdict, again)
            verdict = replace(verdict, problems=[*verdict.problems, *again.problems])
        judged.append(verdict)
    return judged, found


@leaderboard_app.command("build")
def build_command(
    results: Annotated[list[Path], typer.Argument(help="Submissions, or folders of submissions.")],
    out: Annotated[Path, typer.Option(help="Folder of the site.")],
    dataset: Annotated[
        list[str] | None,
        typer.Option(help="Pinned dataset: ORG/NAME@COMMIT, or a folder; may be given again."),
    ] = None,
    rescored: Annotated[
        Path | None, typer.Option(help="The record that 'verify --rescore --record' keeps.")
    ] = None,
) -> None:
    """Write the static site of verified submissions: exit code 1 if one was rejected."""
    with needs_extra("leaderboard"):
        from polyrefuse_evaluation.leaderboard import summary
        from polyrefuse_evaluation.leaderboard.site.build import build_site
        from polyrefuse_evaluation.leaderboard.sources import all_sources

        board = build_site(results, out, all_sources(dataset or []), rescored)
        hidden = sum(row.manifest.self_test for row in board.rows)
        shown = f"models: {len(board.rows) - hidden}, self-tests: {hidden}"
        typer.echo(f"Wrote {one_line(str(out / 'index.html'))} ({shown}).")
        for line in summary.terminal_lines(board.rejected):
            typer.echo(line)
        if board.rejected:
            raise AnswerIsNo(
                f"{len(board.rejected)} submissions were rejected and left out of the site."
            )


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text)
