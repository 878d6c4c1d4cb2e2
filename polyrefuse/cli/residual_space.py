"""The command that compares a base model with what safety tuning made of it."""

from pathlib import Path
from typing import Annotated

import typer

from polyrefuse.cli.common import needs_extra, quiet_libraries

residual_space_app = typer.Typer()


@residual_space_app.command("residual-space")
def residual_space(
    base: Annotated[str, typer.Argument(help="Base: Hub id, folder or 'planted:residual-base'.")],
    tuned: Annotated[str, typer.Argument(help="Tuned: Hub id, folder or 'planted:residual'.")],
    out: Annotated[Path, typer.Option(help="Run directory; run again to resume.")],
    dataset: Annotated[
        str | None, typer.Option(help="Dataset folder or Hub id; default: the packaged sample.")
    ] = None,
    dataset_revision: Annotated[str | None, typer.Option(help="Commit of a Hub dataset.")] = None,
    languages: Annotated[
        str | None, typer.Option(help="Languages, e.g. 'en,de'; default: all.")
    ] = None,
    shift: Annotated[str, typer.Option(help="identity or ridge.")] = "identity",
    components: Annotated[int, typer.Option(help="Leading components to describe.")] = 6,
    judge: Annotated[str, typer.Option(help="Judge of the answers.")] = "keyword",
    max_new_tokens: Annotated[int, typer.Option(help="Limit on an answer, in tokens.")] = 64,
    limit: Annotated[
        int | None, typer.Option(help="Most test prompts of each label and language.")
    ] = None,
    train_prompts: Annotated[
        int, typer.Option(help="Most train prompts of each label and language.")
    ] = 128,
    chat_template: Annotated[
        Path | None, typer.Option(help="Jinja chat template for both; default: the tuned model's.")
    ] = None,
    relevance: Annotated[
        bool, typer.Option(help="Propagate relevance to components and tokens.")
    ] = True,
    rule: Annotated[str, typer.Option(help="Relevance rule: attnlrp or cp-lrp.")] = "attnlrp",
    deletions: Annotated[int, typer.Option(help="Tokens deleted of each refused prompt.")] = 1,
    interventions: Annotated[
        bool, typer.Option(help="Remove components and measure the effect.")
    ] = True,
    seed: Annotated[int, typer.Option(help="Seed of folds, nulls and controls.")] = 0,
    batch_tokens: Annotated[int, typer.Option(help="Padded tokens a batch.")] = 16_384,
    base_revision: Annotated[str | None, typer.Option(help="Commit of a Hub base model.")] = None,
    tuned_revision: Annotated[str | None, typer.Option(help="Commit of a Hub tuned model.")] = None,
    dtype: Annotated[str, typer.Option(help="Torch dtype, or 'auto'.")] = "auto",
    device: Annotated[str | None, typer.Option(help="Torch device.")] = None,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run code that a checkpoint brings.")
    ] = False,
) -> None:
    """Compare a base with a tuned model: what changed, in how many directions, what they do."""
    with needs_extra("evaluation"):
        quiet_libraries()
        from polyrefuse_evaluation.residual_space import ResidualOptions
        from polyrefuse_evaluation.residual_space import residual_space as run

        report = run(
            base,
            tuned,
            out,
            dataset=dataset,
            dataset_revision=dataset_revision,
            options=ResidualOptions(
                languages=languages,
                shift=shift,  # type: ignore[arg-type]  # checked by the run
                components=components,
                judge=judge,
                max_new_tokens=max_new_tokens,
                limit=limit,
                train_prompts=train_prompts,
                seed=seed,
                batch_tokens=batch_tokens,
                relevance=relevance,
                rule=rule,  # type: ignore[arg-type]  # checked by the run
                interventions=interventions,
                deletions=deletions,
            ),
            chat_template=chat_template,
            base_revision=base_revision,
            tuned_revision=tuned_revision,
            dtype=dtype,
            device=device,
            trust_remote_code=trust_remote_code,
        )
        for sentence in report.sentences:
            typer.echo(sentence)
        typer.echo(f"Page: {report.page}")
