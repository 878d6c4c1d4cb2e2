"""From activations to the table of cosines: pairs of languages, layers, controls.

Goes through the layers once a position, one place in memory at a time. Knows no model.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from polyrefuse_evaluation.directions import random_direction
from polyrefuse_evaluation.geometry.contrasts import (
    Contrasts,
    LanguageSample,
    concatenate,
    contrast,
)
from polyrefuse_evaluation.geometry.cosines import Cosines, cosines
from polyrefuse_evaluation.geometry.extract import Samples
from polyrefuse_evaluation.geometry.groups import Array, Groups
from polyrefuse_evaluation.geometry.permutation import deal, null_bound, null_cosines, p_values
from polyrefuse_evaluation.geometry.places import Places
from polyrefuse_evaluation.geometry.rows import CosineRow

PAIR, LAYERS, CONTROL = "pair", "layers", "control"


@dataclass(frozen=True)
class ReferenceCosines:
    """Cosines between languages at the reference place, as the subspace analyses need them.

    Attributes:
        contrasts: the differences.
        found: their cosines.
        null: (shuffles, L, L).
    """

    contrasts: Contrasts
    found: Cosines
    null: Array


class CosineAnalysis:
    """Cosines of one run: shared resamples and shuffles, so that all of them are paired."""

    def __init__(self, samples: Samples, places: Places, resamples: int, seed: int) -> None:
        self.samples = samples
        self.places = places
        self.seed = seed
        self.weights = samples.groups.draw(resamples, seed)
        reference = samples.at(places.reference.position, places.reference.layer)
        self.dealt = deal(reference, resamples, seed)
        self.reference = reference

    def at_reference(self) -> ReferenceCosines:
        """Return the cosines between all languages at the reference place."""
        contrasts = contrast(self.reference, self.samples.groups)
        found = cosines(contrasts, contrasts, self.weights)
        return ReferenceCosines(
            contrasts, found, null_cosines(self.reference, self.reference, self.dealt)
        )

    def pairs(self) -> Iterator[CosineRow]:
        """Yield language x language at the reference position, at every layer."""
        languages = self.samples.languages
        position = self.places.reference.position
        for layer in range(self.samples.store.layers):
            here = self.samples.at(position, layer)
            contrasts = contrast(here, self.samples.groups)
            found = cosines(contrasts, contrasts, self.weights)
            null = null_cosines(here, here, self.dealt)
            yield from _rows(
                PAIR, languages, languages, position, [layer] * len(here), layer, found, null
            )

    def layers(self) -> Iterator[CosineRow]:
        """Yield each source at its own place x each target at every layer (figure 4)."""
        by_position: dict[int, list[str]] = {}
        for source, place in self.places.of.items():
            by_position.setdefault(place.position, []).append(source)
        for position, sources in sorted(by_position.items()):
            own = [self._at(source) for source in sources]
            contrasts = concatenate([contrast([x], self.samples.groups) for x in own])
            order = [self.samples.languages.index(source) for source in sources]
            places = [self.places.of[source].layer for source in sources]
            for layer in range(self.samples.store.layers):
                here = self.samples.at(position, layer)
                found = cosines(contrasts, contrast(here, self.samples.groups), self.weights)
                null = null_cosines(own, here, self.dealt, order)
                yield from _rows(
                    LAYERS, sources, self.samples.languages, position, places, layer, found, null
                )

    def _at(self, source: str) -> LanguageSample:
        place = self.places.of[source]
        row = self.samples.languages.index(source)
        return self.samples.at(place.position, place.layer)[row]

    def controls(self) -> Iterator[CosineRow]:
        """Yield a random and a harmless direction x each language at the reference place."""
        place = self.places.reference
        directions = self.control_directions()
        fixed = fixed_contrasts(np.stack(list(directions.values())), self.samples.groups)
        found = cosines(fixed, contrast(self.reference, self.samples.groups), self.weights)
        yield from _rows(
            CONTROL,
            list(directions),
            self.samples.languages,
            place.position,
            [place.layer] * len(directions),
            place.layer,
            found,
            None,
        )

    def control_directions(self) -> dict[str, Array]:
        """Return unit directions that mean nothing: ``random`` and ``harmless``.

        ``harmless`` is the difference between two halves of the harmless prompts of the language
        whose place is the reference: what difference in means finds where there is no harm.
        """
        hidden = self.reference[0].harmful.shape[1]
        row = self.samples.languages.index(self.places.leader or self.samples.languages[0])
        harmless = self.reference[row].harmless.astype(np.float64)
        order = np.random.default_rng([self.seed, 7]).permutation(len(harmless))
        half = len(order) // 2
        split = harmless[order[:half]].mean(axis=0) - harmless[order[half:]].mean(axis=0)
        return {
            "random": random_direction(hidden, self.seed).double().numpy(),
            "harmless": _unit(split),
        }


def _unit(vector: Array) -> Array:
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0 else vector


def fixed_contrasts(directions: Array, groups: Groups) -> Contrasts:
    """Return directions that no prompt changes, to set beside estimated ones."""
    influence = np.zeros((len(directions), groups.n, directions.shape[1]), dtype=np.float32)
    return Contrasts(directions, influence, groups)


def _rows(
    kind: str,
    sources: Sequence[str],
    targets: Sequence[str],
    position: int,
    source_layers: Sequence[int],
    layer: int,
    found: Cosines,
    null: Array | None,
) -> Iterator[CosineRow]:
    nothing = np.full(found.plain.shape, np.nan)
    bound = nothing if null is None else null_bound(null)
    p = nothing if null is None else p_values(found.plain, null)
    for i, source in enumerate(sources):
        for j, target in enumerate(targets):
            yield CosineRow(
                kind=kind,
                source=source,
                target=target,
                position=position,
                source_layer=source_layers[i],
                layer=layer,
                cosine=float(found.corrected[i, j]),
                low=float(found.low[i, j]),
                high=float(found.high[i, j]),
                plain=float(found.plain[i, j]),
                determined=bool(found.determined[i, j]),
                null_bound=float(bound[i, j]),
                p_value=float(p[i, j]),
            )
