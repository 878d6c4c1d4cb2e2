"""Token ids of many prompts in one array: 4 bytes a token instead of 40. Knows no model."""

from array import array
from collections.abc import Iterable, Sequence
from typing import overload


class TokenRows(Sequence[list[int]]):
    """Rows of token ids; a row is made a list when it is asked for."""

    def __init__(self, rows: Iterable[Sequence[int]]) -> None:
        self._tokens = array("i")
        self._ends = array("q", [0])
        for row in rows:
            self._tokens.extend(row)
            self._ends.append(len(self._tokens))

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, at: int) -> list[int]: ...
    @overload
    def __getitem__(self, at: slice) -> list[list[int]]: ...
    def __getitem__(self, at: int | slice) -> list[int] | list[list[int]]:
        if isinstance(at, slice):
            return [self[place] for place in range(*at.indices(len(self)))]
        place = range(len(self))[at]  # raises for a place that there is not; knows -1
        return self._tokens[self._ends[place] : self._ends[place + 1]].tolist()
