"""What is kept of one submission among thousands: small, and enough for a board.

A result is some 700 kB as objects and 20 kB packed; the labels of a condition are 100 bytes each as
rows and one byte in an array. Knows nothing of ranks or pages.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from polyrefuse.results import Result


@lru_cache(maxsize=2)
def _unpack(data: bytes) -> Result:
    return Result.model_validate_json(zlib.decompress(data))


@dataclass(frozen=True)
class PackedResult:
    """A result as compressed JSON; `unpack` takes milliseconds, and remembers the last."""

    data: bytes

    def unpack(self) -> Result:
        """Return the result."""
        return _unpack(self.data)


def pack(result: Result) -> PackedResult:
    """Return a result, packed."""
    return PackedResult(zlib.compress(result.model_dump_json().encode(), 6))


@dataclass(frozen=True)
class Happened:
    """Whether something happened, by prompt and language.

    Attributes:
        ids: of the prompts, sorted; submissions of the same prompts share them.
        languages: sorted.
        values: 1 or 0, -1 for no verdict: (prompts, languages).
    """

    ids: tuple[str, ...]
    languages: tuple[str, ...]
    values: NDArray[np.int8]

    def of(self, language: str) -> "Happened":
        """Return what happened in one language, which there may be nothing of."""
        places = [at for at, code in enumerate(self.languages) if code == language]
        return Happened(self.ids, (language,)[: len(places)], self.values[:, places])


@lru_cache(maxsize=64)
def _shared(ids: tuple[str, ...]) -> tuple[str, ...]:
    """Return the same object for the same ids."""
    return ids


def happened_array(verdicts: Mapping[str, Mapping[str, bool]]) -> Happened:
    """Return verdicts by language and prompt id as an array."""
    languages = tuple(sorted(verdicts))
    ids = _shared(tuple(sorted({key for rows in verdicts.values() for key in rows})))
    places = {key: at for at, key in enumerate(ids)}
    values = np.full((len(ids), len(languages)), -1, dtype=np.int8)
    for at, code in enumerate(languages):
        found = verdicts[code]
        values[[places[key] for key in found], at] = list(found.values())
    return Happened(ids, languages, values)


def as_array(models: Sequence[Happened]) -> NDArray[np.float64]:
    """Return models as (models, prompts, languages), NaN where there is no verdict."""
    languages = sorted({code for one in models for code in one.languages})
    ids = sorted({key for shared in {one.ids for one in models} for key in shared})
    places = {key: at for at, key in enumerate(ids)}
    columns = {code: at for at, code in enumerate(languages)}
    array = np.full((len(models), len(ids), len(languages)), np.nan)
    for at, one in enumerate(models):
        rows = [places[key] for key in one.ids]
        chosen = [columns[code] for code in one.languages]
        array[at, np.array(rows, dtype=int)[:, None], chosen] = np.where(
            one.values < 0, np.nan, one.values
        )
    return array
