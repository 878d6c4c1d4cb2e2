"""One block input at a time: shift, components, spectrum, probes and meaning, as rows.

Holds the activations of one layer in memory. Knows what both sides did, and no model.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from polyrefuse_evaluation.residual_space import meaning, rows
from polyrefuse_evaluation.residual_space.components import Components, find_components
from polyrefuse_evaluation.residual_space.options import ResidualOptions
from polyrefuse_evaluation.residual_space.pair import SIDES, Side
from polyrefuse_evaluation.residual_space.probes import (
    LabelledScores,
    Probe,
    orthogonal_direction,
    probe,
)
from polyrefuse_evaluation.residual_space.recording import Recording
from polyrefuse_evaluation.residual_space.shift import Shift, fit_shift
from polyrefuse_evaluation.residual_space.spectrum import (
    halves_spectrum,
    noise_edge,
    rank_bands,
)

SHOWN_VARIANCES = 30


@dataclass
class LayerTables:
    """Rows of all layers, by table."""

    layers: list[rows.LayerRow] = field(default_factory=list)
    ranks: list[rows.RankRow] = field(default_factory=list)
    spectrum: list[rows.SpectrumRow] = field(default_factory=list)
    probes: list[rows.ProbeRow] = field(default_factory=list)
    cosines: list[rows.CosineRow] = field(default_factory=list)
    projections: list[rows.ProjectionRow] = field(default_factory=list)
    extremes: list[rows.ExtremeRow] = field(default_factory=list)
    features: list[rows.FeatureRow] = field(default_factory=list)


def analyse_layer(
    recording: Recording, layer: int, options: ResidualOptions, tables: LayerTables
) -> Components | None:
    """Add one block input's rows to `tables`; return its components, None where nothing varies.

    Components are fitted on train prompts and point to where the tuned model refuses.
    """
    fit = torch.from_numpy(recording.split("train"))
    base, tuned = recording.of("base", layer), recording.of("tuned", layer)
    prompts = [row for row, use in zip(recording.rows, fit.tolist(), strict=True) if use]
    ids = [row.id for row in prompts]
    shift = fit_shift(options.shift, base[fit], tuned[fit], ids, options.seed)
    try:
        found = find_components(shift.rows, options.components)
    except ValueError:  # nothing varies: template tokens at the embeddings
        mean = float(shift.mean.norm())
        nothing = (None, None, None, None, None, None, None)
        tables.layers.append(rows.LayerRow(layer, shift.kind, mean, *nothing, len(ids)))
        return None
    refused = torch.from_numpy(recording.refused["tuned"])
    head = found.oriented(shift.rows, refused[fit])
    languages = [row.language for row in prompts]
    null = halves_spectrum(base[fit], languages, options.seed)
    tables.layers.append(_layer_row(layer, shift, found.spectrum, null, found.directions.shape[1]))
    tables.spectrum += _spectrum_rows(layer, found.spectrum, null)
    bands = rank_bands(shift.rows, ids, resamples=options.resamples, seed=options.seed)
    tables.ranks += [
        rows.RankRow(layer, band.threshold, band.rank, band.low, band.high) for band in bands
    ]
    scores = head.project(shift.of(base, tuned))
    tables.probes += probe_rows(recording, layer, head, scores, tuned, shift, base, options)
    tables.cosines += meaning.cosine_rows(layer, head.directions, tuned[fit], prompts)
    tables.projections += meaning.projection_rows(layer, scores, recording.rows)
    tables.extremes += meaning.extreme_rows(layer, scores, recording.rows)
    tables.features += meaning.feature_rows(layer, scores, recording.rows)
    return head


def _layer_row(
    layer: int, shift: Shift, spectrum: Tensor, null: Tensor, hidden: int
) -> rows.LayerRow:
    edge = noise_edge(spectrum, len(shift.rows), hidden)
    shared = min(len(spectrum), len(null))
    above = spectrum[:shared] > null[:shared]
    return rows.LayerRow(
        layer,
        shift.kind,
        float(shift.mean.norm()),
        float(spectrum.sum()) ** 0.5,
        None if shift.map is None else shift.r2,
        shift.held_out_r2,
        None if shift.map is None else shift.map.penalty,
        edge,
        int((spectrum > edge).sum()),
        int(above.int().cumprod(0).sum()),
        len(shift.rows),
    )


def _spectrum_rows(layer: int, spectrum: Tensor, null: Tensor) -> list[rows.SpectrumRow]:
    total = float(spectrum.sum())
    return [
        rows.SpectrumRow(
            layer,
            component,
            float(variance),
            float(variance) / total,
            float(null[component]) if component < len(null) else None,
        )
        for component, variance in enumerate(spectrum[:SHOWN_VARIANCES])
    ]


def probe_rows(
    recording: Recording,
    layer: int,
    head: Components,
    scores: Tensor,
    tuned: Tensor,
    shift: Shift,
    base: Tensor,
    options: ResidualOptions,
) -> list[rows.ProbeRow]:
    """Return probes of each component and of the control, of shift and tuned, for both sides."""
    control = orthogonal_direction(head.directions, options.seed)[None]
    moved = shift.of(base, tuned) - head.mean
    projected = {
        "shift": torch.cat([scores, moved @ control.T], dim=1),
        "tuned": tuned.double() @ torch.cat([head.directions, control]).T,
    }
    found = []
    for answers in SIDES:
        for name, values in projected.items():
            for column in range(values.shape[1]):
                component = column if column < len(head.directions) else rows.CONTROL
                result = _probe(recording, answers, values[:, column].numpy(), options)
                found.append(_probe_row(recording, layer, component, name, answers, result))
    return found


def _probe(
    recording: Recording, side: Side, values: NDArray[np.float64], options: ResidualOptions
) -> Probe | None:
    parts = []
    for split in ("train", "test"):
        use = recording.split(split) & recording.judged[side]
        chosen = [row for row, kept in zip(recording.rows, use, strict=True) if kept]
        refused = recording.refused[side][use]
        if not refused.any() or refused.all():
            return None
        ids, languages = [row.id for row in chosen], [row.language for row in chosen]
        parts.append(LabelledScores(values[use], refused, ids, languages))
    return probe(parts[0], parts[1], options.permutations, options.seed)


def _probe_row(
    recording: Recording,
    layer: int,
    component: int,
    projected: str,
    side: Side,
    found: Probe | None,
) -> rows.ProbeRow:
    if found is None:
        use = recording.split("test") & recording.judged[side]
        refused = int((recording.refused[side] & use).sum())
        nothing = (None, None, None, None, None)
        return rows.ProbeRow(layer, component, projected, side, *nothing, refused, int(use.sum()))
    return rows.ProbeRow(
        layer,
        component,
        projected,
        side,
        found.accuracy,
        found.auroc,
        found.null_low,
        found.null_high,
        found.p_value,
        found.refused,
        found.rows,
    )


def reference_layer(tables: LayerTables) -> int | None:
    """Return the block input whose first component predicts the tuned model's refusals best.

    Ties go to the earlier one; None where it never refuses or always does.
    """
    known = [
        (row.auroc, -row.layer)
        for row in tables.probes
        if row.component == 0 and row.projected == "shift" and row.answers == "tuned"
        if row.auroc is not None
    ]
    return -max(known)[1] if known else None
