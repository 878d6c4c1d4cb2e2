"""A key-value cache layer with room to grow, which rows can leave.

Transformers' dynamic layer copies all it holds at every token. Knows nothing of models.
"""

from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

ROOM = 64
"""Tokens of room that a layer takes when it is full."""


class RoomyLayer(DynamicLayer):
    """A `DynamicLayer` whose keys and values are views of tensors with room at the end."""

    _key_room: Tensor
    _value_room: Tensor

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Begin empty, without room."""
        super().lazy_initialization(key_states, value_states)
        self.keys = self._key_room = key_states[..., :0, :]
        self.values = self._value_room = value_states[..., :0, :]

    def update(
        self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """Append keys and values (rows, heads, tokens, width); return all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        if end > self._key_room.shape[-2]:
            self._key_room = _grown(self._key_room, start, key_states, end + ROOM)
            self._value_room = _grown(self._value_room, start, value_states, end + ROOM)
        self._key_room[..., start:end, :] = key_states
        self._value_room[..., start:end, :] = value_states
        return self._view(end)

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Keep the rows `beam_idx`, in that order."""
        if self.get_seq_length() > 0:
            end = self.get_seq_length()
            self._key_room = self._key_room.index_select(0, beam_idx.to(self._key_room.device))
            self._value_room = self._value_room.index_select(
                0, beam_idx.to(self._value_room.device)
            )
            self._view(end)

    def _view(self, end: int) -> tuple[Tensor, Tensor]:
        self.keys = self._key_room[..., :end, :]
        self.values = self._value_room[..., :end, :]
        return self.keys, self.values


def _grown(before: Tensor, filled: int, like: Tensor, length: int) -> Tensor:
    grown = like.new_empty((*like.shape[:2], length, like.shape[-1]))
    grown[..., :filled, :] = before[..., :filled, :]
    return grown


def make_roomy(cache: Any) -> None:
    """Give the plain dynamic layers of a fresh cache room; leave all others as they are."""
    if isinstance(cache, Cache) and not cache.offloading:
        cache.layers = [
            RoomyLayer() if type(layer) is DynamicLayer else layer  # type: ignore[no-untyped-call]
            for layer in cache.layers
        ]


def rows_can_leave(cache: Any) -> bool:
    """Whether all that `cache` holds by row is held in layers known to select rows rightly."""
    known = (RoomyLayer.__module__, Cache.__module__)
    return isinstance(cache, Cache) and all(type(x).__module__ in known for x in cache.layers)


def keep_rows(cache: Cache, rows: Tensor) -> None:
    """Keep only `rows` of the cache."""
    with torch.no_grad():
        cache.reorder_cache(rows)  # type: ignore[arg-type]
