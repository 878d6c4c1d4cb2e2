"""Where each language's direction is read: the selected places, and one reference place for all.

Knows selections, not models.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from polyrefuse_evaluation.select_directions import SelectedDirection

PREFERRED = "en"
FALLBACK_DEPTH = 0.6


@dataclass(frozen=True)
class Place:
    """A token position (negative, from the end) and the layer at whose input it is read."""

    position: int
    layer: int


@dataclass(frozen=True)
class Places:
    """Places of a run.

    Attributes:
        of: by source language, where its direction is; the reference where none was selected.
        selected: source languages for which selection found a direction.
        reference: where languages are compared with each other.
        leader: the source language whose place it is; None where no source has a direction.
    """

    of: Mapping[str, Place]
    selected: frozenset[str]
    reference: Place
    leader: str | None

    @property
    def positions(self) -> list[int]:
        """Positions that the analyses need, ascending."""
        return sorted({self.reference.position, *(place.position for place in self.of.values())})


def choose_places(selected: Sequence[SelectedDirection], layers: int) -> Places:
    """Return the places of a run.

    The reference is English's, as in the paper; else the first source's that has a direction; else
    the last token at 60% of depth, so that a model without a direction can be looked at, too.
    """
    found = {
        item.record.language: Place(item.direction.position, item.direction.layer)
        for item in selected
        if item.direction is not None
    }
    if found:
        leader: str | None = PREFERRED if PREFERRED in found else next(iter(found))
        reference = found[str(leader)]
    else:
        leader, reference = None, Place(-1, int(FALLBACK_DEPTH * layers))
    of = {item.record.language: found.get(item.record.language, reference) for item in selected}
    return Places(of, frozenset(found), reference, leader)
