"""``polyrefuse build``: make dataset folders."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polyrefuse.cli.common import needs_extra, one_line
from polyrefuse.errors import AnswerIsNo, PolyRefuseError
from polyrefuse.observing import observed, stage
from polyrefuse.plain_file import require_replaceable

if TYPE_CHECKING:
    from rich.console import Console

    from polyrefuse_builders.translation import Engine
    from polyrefuse_builders.validation import ValidationFigures, ValidationReport

build_app = typer.Typer(help="Build dataset folders.", no_args_is_help=True)


@build_app.command("import-upstream")
def build_import_upstream(
    upstream: Annotated[Path, typer.Argument(help="Folder with PolyRefuse/ and splits/.")],
    out: Annotated[Path, typer.Option(help="Dataset folder to write.")],
) -> None:
    """Turn the released PolyRefuse files into a dataset folder; list every fault as an erratum."""
    with needs_extra("builders"):
        from rich.console import Console

        from polyrefuse_builders.errata_summary import errata_table
        from polyrefuse_builders.import_upstream import import_upstream

        report = import_upstream(upstream, out)
        console = Console()
        console.print(errata_table(report.errata))
        console.print(
            f"Wrote {len(report.prompts)} rows to {out}; {len(report.quarantined)} rows that are "
            "not parallel to English are kept in quarantine.jsonl."
        )


Folder = Annotated[Path, typer.Argument(help="Dataset folder.")]
OutFolder = Annotated[Path, typer.Option(help="Dataset folder to write.")]
EngineName = Annotated[str | None, typer.Option(help="Translation engine; default: the recipe's.")]
EngineSettings = Annotated[
    list[str] | None, typer.Option("--engine-setting", help="Of the engine, e.g. url=http://...")
]
Cache = Annotated[Path | None, typer.Option(help="Translation cache (SQLite).")]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="Ask again only for what failed before.")
]


@build_app.command("run")
def build_run(
    recipe: Annotated[Path, typer.Argument(help="Recipe, or a manifest of sources.")],
    out: OutFolder,
    engine: EngineName = None,
    engine_setting: EngineSettings = None,
    languages: Annotated[str | None, typer.Option(help="Languages besides English.")] = None,
    mirror: Annotated[
        Path | None, typer.Option(help="Folder with <source>/<file>, used before any download.")
    ] = None,
    cache: Cache = None,
    state: Annotated[Path | None, typer.Option(help="What the build remembers.")] = None,
    limit: Annotated[int | None, typer.Option(help="Most prompts of each source.")] = None,
    retry_failed: RetryFailed = False,
) -> None:
    """Build a dataset from its sources: read, split, translate, validate, document. Resumes."""
    with needs_extra("builders"):
        from polyrefuse_builders.build import run_build
        from polyrefuse_builders.sources import overlap_table

        report = run_build(
            recipe,
            out,
            engine=_engine(engine, engine_setting),
            languages=languages,
            mirror=mirror,
            cache=cache,
            state=state,
            limit=limit,
            retry_failed=retry_failed,
            progress=True,
        )
        console = _console()
        console.print(overlap_table(report.prepared.overlaps))
        _print_build(console, report)


@build_app.command("translate")
def build_translate(
    folder: Folder,
    languages: Annotated[str, typer.Option(help="Languages to add.")],
    engine: Annotated[str, typer.Option(help="Translation engine.")],
    out: OutFolder,
    engine_setting: EngineSettings = None,
    cache: Cache = None,
    retry_failed: RetryFailed = False,
) -> None:
    """Add languages to a dataset folder: translate its English, validate, list, write."""
    with needs_extra("builders"):
        from polyrefuse_builders.translate_folder import translate_folder

        chosen = _engine(engine, engine_setting)
        assert chosen is not None
        report = translate_folder(
            folder,
            out,
            languages,
            engine=chosen,
            cache=cache,
            retry_failed=retry_failed,
            progress=True,
        )
        _print_build(_console(), report)


@build_app.command("validate")
def build_validate(
    folder: Folder,
    report: Annotated[Path, typer.Option(help="File to write: one line a row.")],
    languages: Annotated[str | None, typer.Option(help="Languages; default: all.")] = None,
    back_translate: Annotated[
        str | None, typer.Option(help="Engine to translate back with, compared by chrF.")
    ] = None,
    engine_setting: EngineSettings = None,
    cache: Cache = None,
    embeddings: Annotated[
        str | None, typer.Option(help="Multilingual encoder (folder or Hub id) to compare with.")
    ] = None,
) -> None:
    """Validate every translation, row by row; exits 1 if a row failed."""
    with needs_extra("builders"):
        from polyrefuse.folder import data_size
        from polyrefuse.progress import progress_bar
        from polyrefuse_builders.validation import (
            report_table,
            validate_folder,
            validate_to_file,
            write_report,
        )
        from polyrefuse_builders.validation.report import BEGIN

        require_replaceable(report, BEGIN)
        found: ValidationFigures
        log = report.with_suffix(".log.jsonl")
        with observed(report.parent, ("validate",), file=log), stage("validate"):
            if back_translate or embeddings:  # which take all rows at once
                engine = _engine(back_translate, engine_setting)
                held = validate_folder(folder, languages=languages)
                held = _evidence(held, folder, languages, engine, cache, embeddings)
                write_report(held.rows, report)
                found = held
            else:
                size = data_size(folder)
                with progress_bar("Validating", size, unit="bytes") as advance:
                    found = validate_to_file(folder, report, languages=languages, advance=advance)
        _console().print(report_table(found))
        if not found.ok:
            raise AnswerIsNo(f"{folder}: rows failed; see {report}.")


def _evidence(
    found: "ValidationReport",
    folder: Path,
    languages: str | None,
    engine: "Engine | None",
    cache: Path | None,
    embeddings: str | None,
) -> "ValidationReport":
    """Add what was asked for on top of the checks that cost nothing."""
    from polyrefuse.folder import read_prompts
    from polyrefuse_builders.translation import TranslationCache
    from polyrefuse_builders.validation import on_request

    prompts = read_prompts(folder, languages.split(",") if languages else None)
    if engine is not None:
        with TranslationCache(cache or Path(f"{folder}.back.sqlite")) as kept:
            back = on_request.back_translate(prompts, engine, kept)
        evidence = on_request.back_translation_evidence(prompts, back)
        found = on_request.add_evidence(found, "back_translation", evidence)
    if embeddings is not None:
        from polyrefuse_builders.validation.encoder import transformers_encoder

        evidence = on_request.embedding_evidence(prompts, transformers_encoder(embeddings))
        found = on_request.add_evidence(found, "embedding", evidence)
    return found


@build_app.command("card")
def build_card(
    folder: Folder,
    upstream: Annotated[
        Path | None, typer.Option(help="Import of the upstream release, to say what differs.")
    ] = None,
) -> None:
    """Render the documents of a dataset folder: card, datasheet, Croissant, language pages."""
    with needs_extra("builders"):
        from polyrefuse_builders.documents.render import render_folder

        files = render_folder(folder, upstream=upstream)
        typer.echo(f"Wrote {len(files)} documents to {folder}.")


@build_app.command("diff-upstream")
def build_diff_upstream(
    folder: Folder,
    upstream: Annotated[Path, typer.Argument(help="Import of the upstream release.")],
) -> None:
    """Say what a dataset shares with the upstream release, changed, dropped and added."""
    with needs_extra("builders"):
        from polyrefuse_builders.diff_upstream import diff_upstream, render_diff

        typer.echo(render_diff(diff_upstream(folder, upstream)))


@build_app.command("publish")
def build_publish(
    folder: Folder,
    repo: Annotated[str, typer.Option(help="Hub dataset repository, e.g. ORG/polyrefuse.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do what the dry run showed.")] = False,
    create_pr: Annotated[
        bool, typer.Option("--create-pr", help="Open a pull request instead of committing.")
    ] = False,
) -> None:
    """Show what publishing would upload (a dry run); with --yes, upload exactly that."""
    with needs_extra("builders"):
        from polyrefuse_builders.publish.command import publish
        from polyrefuse_builders.publish.show import describe_plan

        report = publish(folder, repo, yes=yes, create_pr=create_pr)
        typer.echo(describe_plan(report.plan, create_pr=create_pr))
        if report.outcome is not None:
            done = report.outcome
            where = done.pull_request or done.commit or "nothing to do"
            typer.echo(f"{len(done.uploaded)} uploaded, {len(done.removed)} removed: {where}")
        elif report.plan.refusals:
            raise AnswerIsNo(f"{folder}: cannot be published: {report.plan.refusals[0]}")


def _console() -> "Console":
    from rich.console import Console

    return Console()


def _engine(name: str | None, settings: list[str] | None) -> "Engine | None":
    """Return the engine with its settings, each ``key=value``; None for the recipe's own."""
    if name is None:
        if settings:
            raise PolyRefuseError("--engine-setting needs --engine.", "Name the engine.")
        return None
    from polyrefuse_builders.translation import get_engine

    pairs: dict[str, Any] = {}
    for setting in settings or []:
        key, equals, value = setting.partition("=")
        if not equals:
            raise PolyRefuseError(f"--engine-setting {setting!r} is not key=value.")
        pairs[key] = value
    return get_engine(name, **pairs)


def _print_build(console: "Console", report: Any) -> None:
    from polyrefuse_builders.errata_summary import errata_table
    from polyrefuse_builders.validation import report_table

    console.print(report_table(report.validation))
    for notice in report.outcome.notices:
        console.print(one_line(notice), soft_wrap=True, highlight=False, markup=False)
    if report.errata:
        console.print(errata_table(report.errata))
    console.print(f"Wrote {len(report.prompts)} rows to {report.out}.", soft_wrap=True)
    if not report.ok:
        broken = f"; the first unlisted violation: {report.unlisted[0]}" if report.unlisted else ""
        raise AnswerIsNo(
            one_line(f"{report.out}: rows failed to translate or to validate{broken}."),
            "They are kept and listed; see errata.jsonl, or run again with --retry-failed.",
        )
