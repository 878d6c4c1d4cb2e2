"""From activations to every other table: components, separation, reliability, subspaces.

Knows no model and draws no figure; each function yields the rows of one table.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from polyrefuse_evaluation.geometry.analyse_cosines import ReferenceCosines
from polyrefuse_evaluation.geometry.components import Basis, own_basis, shared_basis
from polyrefuse_evaluation.geometry.contrasts import LanguageSample, difference_in_means
from polyrefuse_evaluation.geometry.extract import Samples
from polyrefuse_evaluation.geometry.groups import HARMFUL, HARMLESS, Array
from polyrefuse_evaluation.geometry.intervals import auroc_interval, basic_interval
from polyrefuse_evaluation.geometry.permutation import NULL_QUANTILE
from polyrefuse_evaluation.geometry.probes import deal_folds, transfer_auroc, within_auroc
from polyrefuse_evaluation.geometry.reliability import learning_curve, split_half
from polyrefuse_evaluation.geometry.rows import (
    AngleRow,
    ArrowRow,
    LearningRow,
    LeftOutRow,
    PointRow,
    ProbeRow,
    ReliabilityRow,
    SeparationRow,
    SpectrumRow,
)
from polyrefuse_evaluation.geometry.separation import separation
from polyrefuse_evaluation.geometry.subspace import (
    LeftOut,
    SharedSpectrum,
    language_subspace,
    leave_one_out,
    principal_angles,
    shared_spectrum,
)

SHARED, CENTRED, OWN = "shared", "centred", "own"
HALVES = 200
CURVE_SEEDS = 20
ANGLES = 3


def component_rows(
    samples: Samples, here: Sequence[LanguageSample]
) -> tuple[list[PointRow], list[ArrowRow]]:
    """Return prompts and arrows in the shared, the centred and each language's own plane."""
    points: list[PointRow] = []
    arrows: list[ArrowRow] = []
    shared, centred = shared_basis(here), shared_basis(here, centre_languages=True)
    for language, sample in zip(samples.languages, here, strict=True):
        middle = sample.stacked.mean(axis=0, dtype=np.float64)
        for name, basis, shift in (
            (SHARED, shared, np.zeros_like(middle)),
            (CENTRED, centred, middle - centred.mean),
            (OWN, own_basis(sample), np.zeros_like(middle)),
        ):
            for label, values in ((HARMFUL, sample.harmful), (HARMLESS, sample.harmless)):
                at = basis.project(values - shift)
                points += [
                    PointRow(name, language, label, key, float(x), float(y))
                    for key, (x, y) in zip(samples.ids[language, label], at, strict=True)
                ]
            arrows.append(_arrow(name, language, basis, sample, shift))
    return points, arrows


def _arrow(
    name: str, language: str, basis: Basis, sample: LanguageSample, shift: Array
) -> ArrowRow:
    ends = basis.project(
        np.stack([sample.harmless.mean(axis=0), sample.harmful.mean(axis=0)]) - shift
    )
    whole = float(np.linalg.norm(difference_in_means(sample)))
    return ArrowRow(
        basis=name,
        language=language,
        from_x=float(ends[0, 0]),
        from_y=float(ends[0, 1]),
        to_x=float(ends[1, 0]),
        to_y=float(ends[1, 1]),
        explained_x=float(basis.explained[0]),
        explained_y=float(basis.explained[1]),
        in_plane=float(np.linalg.norm(ends[1] - ends[0])) / whole if whole > 0 else float("nan"),
    )


def separation_rows(samples: Samples, position: int, seed: int) -> Iterator[SeparationRow]:
    """Yield the separation of each language at every layer."""
    halves = samples.groups.draw_halves(HALVES, seed)
    folds = deal_folds(samples.groups, seed)
    for layer in range(samples.store.layers):
        for language, sample in zip(samples.languages, samples.at(position, layer), strict=True):
            found = separation(sample, samples.groups, halves)
            area = within_auroc(sample, folds)
            low, high = _auroc_bounds(area, sample)
            yield SeparationRow(
                language=language,
                position=position,
                layer=layer,
                silhouette=found.silhouette,
                silhouette_low=found.silhouette_low,
                silhouette_high=found.silhouette_high,
                centroid_distance=found.centroid_distance,
                scaled_distance=found.scaled_distance,
                scaled_low=found.scaled_low,
                scaled_high=found.scaled_high,
                auroc=area,
                auroc_low=low,
                auroc_high=high,
            )


def probe_rows(samples: Samples, here: Sequence[LanguageSample], seed: int) -> Iterator[ProbeRow]:
    """Yield the AUROC of each language's probe in each language."""
    areas = transfer_auroc(here, deal_folds(samples.groups, seed))
    for i, fitted in enumerate(samples.languages):
        for j, read in enumerate(samples.languages):
            area = float(areas[i, j])
            yield ProbeRow(fitted, read, area, *_auroc_bounds(area, here[j]))


def _auroc_bounds(area: float, sample: LanguageSample) -> tuple[float, float]:
    if not np.isfinite(area):
        return float("nan"), float("nan")
    return auroc_interval(area, len(sample.harmful), len(sample.harmless))


def reliability_rows(
    samples: Samples, here: Sequence[LanguageSample], seed: int
) -> Iterator[ReliabilityRow]:
    """Yield the split-half reliability of each language's direction."""
    for language, sample in zip(samples.languages, here, strict=True):
        found = split_half(sample, samples.groups, seed)
        yield ReliabilityRow(language, found.cosine, found.low, found.high, found.full)


def learning_rows(
    samples: Samples, here: Sequence[LanguageSample], seed: int
) -> Iterator[LearningRow]:
    """Yield the learning curve of each language's direction."""
    for language, sample in zip(samples.languages, here, strict=True):
        for point in learning_curve(sample, CURVE_SEEDS, seed):
            yield LearningRow(
                language,
                point.size,
                point.seeds,
                point.to_full,
                point.low,
                point.high,
                point.between_seeds,
                point.to_rest,
            )


def spectrum_rows(reference: ReferenceCosines) -> tuple[SharedSpectrum, list[SpectrumRow]]:
    """Return the spectrum of the stacked directions, also as rows."""
    found = shared_spectrum(reference.found, reference.null)
    rows = [
        SpectrumRow(
            at + 1,
            float(found.share[at]),
            float(found.low[at]),
            float(found.high[at]),
            float(found.null[at]),
            at < found.rank,
        )
        for at in range(len(found.share))
    ]
    return found, rows


def left_out_rows(
    languages: Sequence[str], reference: ReferenceCosines, rank: int
) -> Iterator[LeftOutRow]:
    """Yield how well the other languages foretell each language's direction."""
    rank = max(1, rank)
    for row, language in enumerate(languages):
        found = leave_one_out(reference.found.plain, row, rank)
        drawn = leave_one_out(reference.found.resampled.plain, row, rank)
        null = leave_one_out(reference.null, row, rank)
        yield _left_out(language, rank, found, drawn, null)


def _left_out(
    language: str, rank: int, found: LeftOut, drawn: LeftOut, null: LeftOut
) -> LeftOutRow:
    low, high = basic_interval(found.cosine, drawn.cosine)
    captured = basic_interval(found.captured, drawn.captured)
    return LeftOutRow(
        language=language,
        rank=rank,
        cosine=float(found.cosine),
        low=float(np.clip(low, -1, 1)),
        high=float(np.clip(high, -1, 1)),
        captured=float(found.captured),
        captured_low=float(np.clip(captured[0], 0, 1)),
        captured_high=float(np.clip(captured[1], 0, 1)),
        null_bound=float(np.quantile(null.captured, NULL_QUANTILE)),
    )


def angle_rows(samples: Samples, here: Sequence[LanguageSample]) -> Iterator[AngleRow]:
    """Yield the principal angles between every two languages' subspaces, in degrees."""
    bases = [language_subspace(sample, ANGLES) for sample in here]
    for i, language in enumerate(samples.languages):
        for j in range(i + 1, len(here)):
            angles = np.degrees(principal_angles(bases[i], bases[j]))
            yield AngleRow(language, samples.languages[j], *(float(x) for x in angles))
