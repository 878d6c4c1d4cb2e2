"""The order of things: two checkpoints, prompts, activations, layers, relevance, removals, pages.

`residual_space` is what ``polyrefuse residual-space`` runs. Each step keeps what it made in the run
directory, so that a run that was stopped goes on where it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from polyrefuse.dataset import SAMPLE_NAME, resolve_folder
from polyrefuse.errors import RunDirectoryError
from polyrefuse.folder import folder_languages
from polyrefuse.languages import parse_languages
from polyrefuse.observing import stage
from polyrefuse_evaluation.geometry.tables import FOLDER, read_table, write_table
from polyrefuse_evaluation.judges import RegisteredJudge, get_judge
from polyrefuse_evaluation.progress import progress_bar
from polyrefuse_evaluation.prompt_sets import PromptSets, read_prompt_sets
from polyrefuse_evaluation.residual_space import rows as tables
from polyrefuse_evaluation.residual_space.components import Components
from polyrefuse_evaluation.residual_space.effects import RELEVANCE, Effects, measure_effects
from polyrefuse_evaluation.residual_space.kept_answers import KeptAnswers
from polyrefuse_evaluation.residual_space.layers import (
    LayerTables,
    analyse_layer,
    reference_layer,
)
from polyrefuse_evaluation.residual_space.options import ResidualOptions, require_sane
from polyrefuse_evaluation.residual_space.pair import CheckpointPair, open_pair
from polyrefuse_evaluation.residual_space.recording import Recording, record_pair
from polyrefuse_evaluation.run_directory import RunDirectory, open_run_directory

Row = TypeVar("Row")
PLANTED_PAIR = ("planted:residual-base", "planted:residual")
STAGES = ("record", "layers", "effects", "publish")

TABLES: dict[str, type] = {
    "layers": tables.LayerRow,
    "ranks": tables.RankRow,
    "spectrum": tables.SpectrumRow,
    "probes": tables.ProbeRow,
    "cosines": tables.CosineRow,
    "projections": tables.ProjectionRow,
    "extremes": tables.ExtremeRow,
    "features": tables.FeatureRow,
}
"""Tables of the layers by name: fields of `LayerTables`."""


@dataclass(frozen=True)
class ResidualReport:
    """A finished run.

    Attributes:
        folder: the run directory.
        page: the page.
        sentences: what the run found, in words and numbers.
        layers: tables of all block inputs.
        effects: relevance, removals and deletions; empty lists where they were left out.
        reference: block input whose first component predicts refusal best, or None.
        planted: cosines with the planted vectors; empty for real models.
        components: components of each block input where the shift varies.
    """

    folder: Path
    page: Path
    sentences: list[str]
    layers: LayerTables
    effects: Effects
    reference: int | None
    planted: list[tables.PlantedRow]
    components: dict[int, Components]


def residual_space(
    base: str,
    tuned: str,
    out: str | Path,
    *,
    dataset: str | Path | None = None,
    dataset_revision: str | None = None,
    options: ResidualOptions | None = None,
    **load_options: Any,
) -> ResidualReport:
    """Describe what tuning changed between two checkpoints; running it again resumes.

    Args:
        base: Hub id or folder of the base model, or ``planted:residual-base``.
        tuned: the same of the tuned model, or ``planted:residual``.
        out: run directory; tables, figures and the page go there.
        dataset: folder or Hub id; the packaged sample by default, for the planted pair its own.
        dataset_revision: commit or tag of a Hub dataset.
        options: choices of the run.
        **load_options: passed to `open_pair` (chat_template, revisions, dtype, device).

    Raises:
        PolyRefuseError: bad input, checkpoints that cannot be compared (says in what they differ),
            or a directory that cannot be used.
    """
    options = options or ResidualOptions()
    require_sane(options)
    judge = get_judge(options.judge)
    pair = open_pair(base, tuned, **load_options)
    sets = _read(dataset, dataset_revision, (base, tuned), options)
    settings = {
        "base": base,
        "tuned": tuned,
        "revisions": [pair.revisions["base"], pair.revisions["tuned"]],
        "base_digest": pair.digests["base"],
        "tuned_digest": pair.digests["tuned"],
        "dataset": [sets.record.name, sets.record.content_digest],
        "template": pair.chat.digest,
        "judge_version": judge.version,
        **options.settings(),
        "languages": sets.languages,
    }
    with open_run_directory(Path(out), settings, STAGES) as run:
        run.watch(pair.files, sets.files)
        return _run(pair, sets, judge, run, options)


def _read(
    dataset: str | Path | None,
    revision: str | None,
    names: tuple[str, str],
    options: ResidualOptions,
) -> PromptSets:
    if dataset is None and names == PLANTED_PAIR:
        from polyrefuse_evaluation.planted_residual import planted_residual_pair

        dataset = planted_residual_pair().folder / "prompts"

    known = folder_languages(resolve_folder(dataset, revision))
    given = options.languages
    return read_prompt_sets(
        dataset,
        revision=revision,
        languages=options.languages,
        source_languages=known if given is None else parse_languages(given),
        limit=options.limit,
        train_prompts=options.train_prompts,
    )


def _run(
    pair: CheckpointPair,
    sets: PromptSets,
    judge: RegisteredJudge,
    run: RunDirectory,
    options: ResidualOptions,
) -> ResidualReport:
    with stage("record"):
        recording = record_pair(
            pair,
            sets,
            judge,
            run,
            batch_tokens=options.batch_tokens,
            max_new_tokens=options.max_new_tokens,
        )
    layers, components = LayerTables(), {}
    with stage("layers"), progress_bar("Analysing layers", pair.layers) as advance:
        for layer in range(pair.layers):
            found = analyse_layer(recording, layer, options, layers)
            if found is not None:
                components[layer] = found
            advance(1)
    for name, row in TABLES.items():
        write_table(run.path, name, row, getattr(layers, name))
    planted = _planted_rows(pair, components)
    write_table(run.path, "planted", tables.PlantedRow, planted)
    reference = reference_layer(layers)
    effects = Effects()
    if components:
        with stage("effects"):
            real = {row.layer: row.above_null or 0 for row in layers.layers}
            effects = _effects(
                pair, recording, components, real, reference, judge, run, options, sets
            )
    KeptAnswers(run).forget()
    from polyrefuse_evaluation.residual_space.page import publish

    names = [pair.names["base"], pair.names["tuned"]]
    facts = {
        "Dataset": "planted prompts" if planted else sets.record.name,
        "Prompts": f"{len(recording.rows)} in {len(recording.languages)} languages",
        "Shift": options.shift,
        "Judge": judge.name,
    }
    with stage("publish"):
        page, said = publish(run, names, layers, effects, reference, planted, options, facts)
    return ResidualReport(
        run.path, page, said.sentences(), layers, effects, reference, planted, components
    )


def _effects(
    pair: CheckpointPair,
    recording: Recording,
    components: dict[int, Components],
    real: dict[int, int],
    reference: int | None,
    judge: RegisteredJudge,
    run: RunDirectory,
    options: ResidualOptions,
    sets: PromptSets,
) -> Effects:
    """Return what needs the tuned model again: read from disk, or measured and written."""
    wanted = [
        *(RELEVANCE if options.relevance else []),
        *(["effects"] if options.interventions else []),
    ]
    kept = Effects()
    missing = [name for name in wanted if not _readable(run, name)]

    def keep(name: str, rows: Sequence[Any]) -> None:
        if name in missing:
            run.require_inputs()
            write_table(run.path, name, Effects.ROWS[name], rows)

    if missing:
        relevance = options.relevance and missing != ["effects"]
        interventions = options.interventions and "effects" in missing
        measure_effects(
            pair,
            recording,
            components,
            real,
            reference,
            judge,
            run,
            options,
            relevance=relevance,
            interventions=interventions,
            sample=may_show_text(sets),
            keep=keep,
        )
    for name in wanted:
        setattr(kept, name, read_table(run.path, name, Effects.ROWS[name]))
    return kept


def _readable(run: RunDirectory, name: str) -> bool:
    """Whether a table is there, whole; a damaged one is measured again."""
    try:
        read_table(run.path, name, Effects.ROWS[name])
    except RunDirectoryError:
        return False
    return _table(run, name).is_file()


def may_show_text(sets: PromptSets) -> bool:
    """Whether tokens of single prompts may be shown: the packaged sample, or planted prompts."""
    planted = all(row.source == "planted" for found in sets.rows.values() for row in found)
    return planted or sets.record.name == SAMPLE_NAME


def _table(run: RunDirectory, name: str) -> Path:
    return run.path / FOLDER / f"{name}.parquet"


def _planted_rows(
    pair: CheckpointPair, components: dict[int, Components]
) -> list[tables.PlantedRow]:
    if (pair.names["base"], pair.names["tuned"]) != PLANTED_PAIR:
        return []
    from polyrefuse_evaluation.planted_residual import planted_residual_vectors
    from polyrefuse_evaluation.planted_residual_training import NAMES

    vectors = planted_residual_vectors(0).double()
    return [
        tables.PlantedRow(layer, component, name, float(direction @ vector))
        for layer, found in components.items()
        for component, direction in enumerate(found.directions)
        for name, vector in zip(NAMES, vectors, strict=True)
    ]
