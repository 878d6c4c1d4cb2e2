"""The order of things: prompts, directions, activations, analyses, answers, tables, pages.

`geometry` is what ``polyrefuse geometry`` runs. Each step keeps what it made in the run directory,
so that a run that was stopped goes on where it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from polyrefuse.observing import stage
from polyrefuse_evaluation.evaluate import require_proven_ablation
from polyrefuse_evaluation.geometry import analyse
from polyrefuse_evaluation.geometry.analyse_cosines import CosineAnalysis, ReferenceCosines
from polyrefuse_evaluation.geometry.contrasts import difference_in_means
from polyrefuse_evaluation.geometry.extract import Samples, extract, read_samples
from polyrefuse_evaluation.geometry.groups import Array
from polyrefuse_evaluation.geometry.options import (
    GeometryOptions,
    require_sane,
    settings_on_disk,
)
from polyrefuse_evaluation.geometry.places import Places, choose_places
from polyrefuse_evaluation.geometry.prompts import GeometryPrompts, read_geometry_prompts
from polyrefuse_evaluation.geometry.rank_relation import rank_relation
from polyrefuse_evaluation.geometry.results import GeometryTables, load_tables, save_tables
from polyrefuse_evaluation.geometry.rows import LanguageRow, RelationRow, SeparationRow
from polyrefuse_evaluation.geometry.store import ActivationStore
from polyrefuse_evaluation.geometry.subspace import shared_directions
from polyrefuse_evaluation.geometry.transfer import (
    SHARED,
    answer_interventions,
    plan_interventions,
)
from polyrefuse_evaluation.geometry.transfer_rows import (
    NONE,
    Answers,
    source_rows,
    transfer_rows,
)
from polyrefuse_evaluation.judges import RegisteredJudge, get_judge
from polyrefuse_evaluation.models import LoadedModel, load_model
from polyrefuse_evaluation.run_directory import RunDirectory, open_run_directory
from polyrefuse_evaluation.select_directions import SelectedDirection, select_directions

STAGES = ("prove", "select", "extract", "analyse", "answer", "publish")


@dataclass(frozen=True)
class GeometryReport:
    """A finished run.

    Attributes:
        folder: the run directory.
        page: the interactive page.
        tables: every table.
        paragraphs: by section, what the figures show, in words and numbers.
    """

    folder: Path
    page: Path
    tables: GeometryTables
    paragraphs: dict[str, str]


def geometry(
    model: str | LoadedModel,
    out: str | Path,
    *,
    dataset: str | Path | None = None,
    dataset_revision: str | None = None,
    options: GeometryOptions | None = None,
    **load_options: Any,
) -> GeometryReport:
    """Compare the refusal directions of languages in one model; running it again resumes.

    Args:
        model: name for `load_model`, or a model already loaded.
        out: run directory; tables, figures and the page go there.
        dataset: folder or Hub id; the packaged sample by default.
        dataset_revision: commit or tag of a Hub dataset.
        options: choices of the run.
        **load_options: passed to `load_model`.

    Raises:
        PolyRefuseError: bad input, a model that cannot be analysed, a directory that cannot be
            used; `AnswerIsNo` if ablation cannot be proven on this model.
    """
    options = options or GeometryOptions()
    require_sane(options)
    judge = get_judge(options.judge)
    prompts = read_geometry_prompts(dataset, dataset_revision, options)
    if isinstance(model, str):
        model = load_model(model, seed=options.seed, **load_options)
    record = prompts.sets.record
    settings = settings_on_disk(
        model,
        options,
        prompts.languages,
        prompts.sources,
        (record.name, record.content_digest),
        judge.version,
    )
    stages = STAGES if options.transfer else [x for x in STAGES if x not in ("prove", "answer")]
    with open_run_directory(Path(out), settings, stages) as run:
        run.watch(model.files, prompts.sets.files)
        save_tables(run.path, _analyse(model, prompts, judge, run, options))
        tables = load_tables(run.path)  # figures and page show what is on disk
        from polyrefuse_evaluation.geometry.publish import publish

        with stage("publish"):
            page, paragraphs = publish(run.path, tables, model.name)
        return GeometryReport(run.path, page, tables, paragraphs)


def _analyse(
    loaded: LoadedModel,
    prompts: GeometryPrompts,
    judge: RegisteredJudge,
    run: RunDirectory,
    options: GeometryOptions,
) -> GeometryTables:
    if options.transfer:
        with stage("prove"):
            require_proven_ablation(loaded)
    layers = len(loaded.stream.blocks)
    with stage("select"):
        selected = select_directions(
            loaded, prompts.sets, judge, run, batch_tokens=options.batch_tokens
        )
    places = choose_places(selected, layers)
    store = ActivationStore(run.path, places.positions, layers, loaded.stream.hidden_size)
    with stage("extract"):
        extract(loaded, prompts.sets, prompts.analysed, store, options.batch_tokens)
    samples = read_samples(prompts.sets, prompts.analysed, store)
    with stage("analyse"):
        tables, reference, cosine = analyse_samples(samples, places, options)
    tables.languages = language_rows(prompts, selected)
    if options.transfer:
        interventions = plan_interventions(
            _differences(samples, places),
            cosine.control_directions(),
            _shared(reference),
            places,
        )
        with stage("answer"):
            rows = answer_interventions(loaded, prompts, interventions, judge, run, options)
        answers = Answers(rows)
        tables.transfer = list(transfer_rows(answers))
        tables.sources = list(source_rows(answers, options.seed))
        tables.relations = relation_rows(tables, places, options.seed)
    return tables


def analyse_samples(
    samples: Samples, places: Places, options: GeometryOptions
) -> tuple[GeometryTables, ReferenceCosines, CosineAnalysis]:
    """Return all tables that need no answers, and what the interventions are made of.

    Args:
        samples: the activations.
        places: where directions are read.
        options: resamples and seed are used.
    """
    seed = options.seed
    cosine = CosineAnalysis(samples, places, options.resamples, seed)
    reference = cosine.at_reference()
    here = cosine.reference
    spectrum, spectrum_rows = analyse.spectrum_rows(reference)
    points, arrows = analyse.component_rows(samples, here)
    tables = GeometryTables(
        cosines=[*cosine.pairs(), *cosine.layers(), *cosine.controls()],
        points=points,
        arrows=arrows,
        separation=list(analyse.separation_rows(samples, places.reference.position, seed)),
        probes=list(analyse.probe_rows(samples, here, seed)),
        reliability=list(analyse.reliability_rows(samples, here, seed)),
        learning=list(analyse.learning_rows(samples, here, seed)),
        spectrum=spectrum_rows,
        left_out=list(analyse.left_out_rows(samples.languages, reference, spectrum.rank)),
        angles=list(analyse.angle_rows(samples, here)),
        position=places.reference.position,
        layer=places.reference.layer,
        leader=places.leader,
    )
    return tables, reference, cosine


def _differences(samples: Samples, places: Places) -> dict[str, Array]:
    """Return each source's difference in means at its own place."""
    found = {}
    for source, place in places.of.items():
        row = samples.languages.index(source)
        found[source] = difference_in_means(samples.at(place.position, place.layer)[row])
    return {source: vector for source, vector in found.items() if np.linalg.norm(vector) > 0}


def _shared(reference: ReferenceCosines) -> dict[str, Array]:
    """Return the first shared direction, and all that are shared if they are more."""
    spectrum, _ = analyse.spectrum_rows(reference)
    differences = reference.contrasts.differences[list(spectrum.rows)]
    ranks = [1] if spectrum.rank < 2 else [1, spectrum.rank]
    return {f"{SHARED}-{k}": shared_directions(differences, k) for k in ranks}


def language_rows(
    prompts: GeometryPrompts, selected: Sequence[SelectedDirection]
) -> list[LanguageRow]:
    """Return one row a language of the run, analysed or not."""
    records = {item.record.language: item.record for item in selected}
    rows = []
    for language in prompts.languages:
        record = records.get(language)
        rows.append(
            LanguageRow(
                language=language,
                status=prompts.status[language],
                harmful_train=prompts.counts.get((language, "train", "harmful"), 0),
                harmless_train=prompts.counts.get((language, "train", "harmless"), 0),
                harmful_test=prompts.counts.get((language, "test", "harmful"), 0),
                harmless_test=prompts.counts.get((language, "test", "harmless"), 0),
                source=record is not None,
                position=record.position if record else None,
                layer=record.layer if record else None,
                rung=record.rung if record else None,
                planted_cosine=record.planted_cosine if record else None,
            )
        )
    return rows


def relation_rows(tables: GeometryTables, places: Places, seed: int) -> list[RelationRow]:
    """Return rank correlations over languages of separation with base compliance."""
    compliance = {
        row.target: row.compliance
        for row in tables.transfer
        if row.intervention == NONE and row.label == "harmful"
    }
    here = [row for row in tables.separation if row.layer == places.reference.layer]
    rows = []
    for measure in ("silhouette", "scaled_distance", "auroc"):
        pairs = [(_value(row, measure), compliance.get(row.language)) for row in here]
        x, y = (
            np.array([np.nan if v is None else v for v in side])
            for side in zip(*pairs, strict=True)
        )
        found = rank_relation(x, y, seed)
        rows.append(
            RelationRow(
                measure, found.rho, found.low, found.high, found.p_value, found.n, found.distinct
            )
        )
    return rows


def _value(row: SeparationRow, measure: str) -> float | None:
    value = getattr(row, measure)
    return None if value is None else float(value)
