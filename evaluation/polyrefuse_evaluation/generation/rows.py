"""A greedy decoding loop in which finished rows leave the batch.

It is run by `model.generate(custom_generate=...)`, which prepares inputs, positions, masks and
cache as it does for its own loop, so that every architecture is decoded as transformers means it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from polyrefuse_evaluation.generation.completion import Decoded, cut_at_end
from polyrefuse_evaluation.generation.room import keep_rows, make_roomy, rows_can_leave

CACHES = ("past_key_values", "cache_params")
BY_ROW = ("attention_mask", "token_type_ids", "position_ids")
LEAVE_AT = 8
"""Rows leave when one in so many has finished: copying the cache costs a tenth of a step."""

Settle = Callable[[int, Sequence[int]], int]
"""From a row's number and the tokens it has said to its next token, found on its own."""


class GreedyRows:
    """A decoding loop for one call of `model.generate`; afterwards `answers` holds the result.

    Args:
        ends: tokens that end an answer.
        limits: most tokens of each row's answer.
        settle: decides where two tokens are so near that company in the batch could turn them
            round; None leaves it to the batch.
        near: difference of two logits, relative to the largest, that counts as near.
    """

    def __init__(
        self,
        ends: frozenset[int],
        limits: Sequence[int],
        settle: Settle | None = None,
        near: float = 0.0,
    ) -> None:
        self.ends = ends
        self.limits = list(limits)
        self.settle = settle
        self.near = near
        self.settled = 0  # how often `settle` was asked
        self.rows: list[list[int]] = [[] for _ in limits]
        self.row_steps = 0  # rows in the batch, summed over steps: the work that was done

    @property
    def answers(self) -> list[Decoded]:
        """One answer a row, in the order of the inputs."""
        return [cut_at_end(row, self.ends) for row in self.rows]

    def __call__(
        self,
        model: Any,
        input_ids: Tensor,
        generation_config: Any,
        logits_processor: Any = None,
        stopping_criteria: Any = None,
        **state: Any,
    ) -> Tensor:
        """Decode until every row has finished; the tensor returned means nothing."""
        state = {key: value for key, value in state.items() if value is not None}
        make_roomy(_cache(state))
        batch = list(range(len(input_ids)))  # which row of the inputs stands at each place
        outputs = model._prefill(input_ids, generation_config, state)
        with model._optimize_model_for_decode():
            while True:
                state = model._update_model_kwargs_for_generation(outputs, state)
                chosen = self._choose(batch, outputs.logits[:, -1].to(torch.float32))
                del outputs  # its logits may be large
                self.row_steps += len(batch)
                waiting = self._take(batch, chosen)
                if not waiting:
                    return input_ids
                tokens = torch.tensor(chosen, device=input_ids.device)
                input_ids = torch.cat([input_ids, tokens[:, None]], dim=1)
                if LEAVE_AT * (len(batch) - len(waiting)) >= len(batch) and _separable(state):
                    input_ids = _keep(input_ids, state, waiting)
                    batch = [batch[place] for place in waiting]
                inputs = model.prepare_inputs_for_generation(
                    input_ids, next_sequence_length=1 if state.get("use_cache") else None, **state
                )
                outputs = model(**inputs, return_dict=True)

    def _choose(self, batch: list[int], logits: Tensor) -> list[int]:
        """Return the next token of each place from its logits (rows, vocabulary)."""
        if self.settle is None:
            return logits.argmax(dim=-1).tolist()
        best, order = logits.topk(2, dim=-1)
        near = best[:, 0] - best[:, 1] <= self.near * logits.abs().amax(dim=-1)
        chosen: list[int] = order[:, 0].tolist()
        for place in near.nonzero().flatten().tolist():
            row = batch[place]
            if self._wants_more(row):
                chosen[place] = self.settle(row, self.rows[row])
                self.settled += 1
        return chosen

    def _wants_more(self, row: int) -> bool:
        said = self.rows[row]
        return len(said) < self.limits[row] and not (said and said[-1] in self.ends)

    def _take(self, batch: list[int], tokens: list[int]) -> list[int]:
        """Add the new tokens to rows that still want them; return the places that go on."""
        waiting = []
        for place, (row, token) in enumerate(zip(batch, tokens, strict=True)):
            if not self._wants_more(row):
                continue  # it had finished, and waits for others to leave with
            said = self.rows[row]
            said.append(token)
            if token not in self.ends and len(said) < self.limits[row]:
                waiting.append(place)
        return waiting


def _cache(state: dict[str, Any]) -> Any:
    return next((state[name] for name in CACHES if name in state), None)


def _separable(state: dict[str, Any]) -> bool:
    """Whether rows can be taken out of all that the model carries from step to step."""
    # Without a cache whole sequences are fed at every step.
    cached = not state.get("use_cache") or rows_can_leave(_cache(state))
    others = [value for name, value in state.items() if name not in (*CACHES, *BY_ROW)]
    return cached and not any(isinstance(value, Tensor) for value in others)


def _keep(input_ids: Tensor, state: dict[str, Any], places: list[int]) -> Tensor:
    index = torch.tensor(places, device=input_ids.device)
    for name in BY_ROW:
        value = state.get(name)
        if value is not None:  # positions may be (sections, rows, tokens)
            state[name] = value.index_select(value.ndim - 2, index.to(value.device))
    if state.get("use_cache"):
        keep_rows(_cache(state), index)
    return input_ids[index]
