"""One pass without intervention, kept: its logits, and what every block was given.

A direction added at the input of block l changes nothing before it, so the pass with it is resumed
there: the blocks before l are passed over, and block l gets what it was given plus the direction.
`Resumer` proves this exact on each layer before it is used, and runs the plain pass where it is not
(models whose blocks share more than the residual stream).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from polyrefuse_evaluation.ablation import add, saving_forbidden
from polyrefuse_evaluation.block_forward import Forward, replaced_forward
from polyrefuse_evaluation.memory import is_out_of_memory
from polyrefuse_evaluation.models import LoadedModel
from polyrefuse_evaluation.padding import prompt_batches
from polyrefuse_evaluation.residual_stream import block_input
from polyrefuse_evaluation.row_ablation import close_logits
from polyrefuse_evaluation.stream_hooks import hook_input

MOST_KEPT_BYTES = 2 * 2**30
PROOF_ROWS = 2


@dataclass(frozen=True)
class KeptBatch:
    """One batch of the pass.

    Attributes:
        indices: which of the prompts its rows are, longest first.
        inputs: what each block was given, (rows, tokens, hidden) on the CPU; empty if not kept.
    """

    indices: list[int]
    inputs: tuple[Tensor, ...]


@dataclass(frozen=True)
class BasePass:
    """A pass over some prompts without intervention.

    Attributes:
        sequences: the prompts, token ids.
        logits: at the last position, (prompts, vocabulary), float32 on the CPU.
        batches: its batches.
        wraps: length of the tuple that each block returns, 0 where it is a plain tensor; empty if
            block inputs are not kept.
    """

    sequences: Sequence[Sequence[int]]
    logits: Tensor
    batches: tuple[KeptBatch, ...]
    wraps: tuple[int, ...]


def run_base_pass(
    loaded: LoadedModel,
    sequences: Sequence[Sequence[int]],
    batch_tokens: int,
    most_bytes: int = MOST_KEPT_BYTES,
) -> BasePass:
    """Run the prompts once and keep the pass.

    Args:
        loaded: the model.
        sequences: rendered prompts.
        batch_tokens: padded tokens a batch.
        most_bytes: block inputs are not kept if they would take more than this.
    """
    plan = list(prompt_batches(loaded, sequences, batch_tokens))
    padded = sum(len(indices) * len(sequences[indices[0]]) for indices in plan)
    stream = loaded.stream
    size = padded * len(stream.blocks) * stream.hidden_size * loaded.model.dtype.itemsize
    wraps: list[int] = []
    kept: list[KeptBatch] = []
    rows: dict[int, Tensor] = {}
    for indices in plan:
        inputs: list[Tensor] = []
        with _keeping(stream.blocks, inputs, wraps) if size <= most_bytes else ExitStack():
            logits = loaded.last_logits([sequences[i] for i in indices]).cpu()
        rows.update(zip(indices, logits, strict=True))
        kept.append(KeptBatch(indices, tuple(inputs)))
    ordered = torch.stack([rows[index] for index in range(len(sequences))])
    return BasePass(sequences, ordered, tuple(kept), tuple(wraps[: len(stream.blocks)]))


@contextmanager
def _keeping(blocks: Sequence[nn.Module], inputs: list[Tensor], wraps: list[int]) -> Iterator[None]:
    def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        inputs.append(block_input(args, kwargs).detach().to("cpu", copy=True))

    def after(_: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        wraps.append(0 if isinstance(output, Tensor) else len(output))

    with ExitStack() as stack:
        for block in blocks:
            stack.callback(block.register_forward_pre_hook(before, with_kwargs=True).remove)
            stack.callback(block.register_forward_hook(after).remove)
        yield


class Resumer:
    """Adds directions at a layer to a kept pass, computing only the blocks from there on."""

    def __init__(self, loaded: LoadedModel, base: BasePass) -> None:
        self.loaded = loaded
        self.base = base
        self.exact: dict[int, bool] = {}

    def added(
        self, layer: int, directions: Tensor, batch_tokens: int
    ) -> Iterator[tuple[int, list[int], Tensor]]:
        """Yield (number of the direction, prompts, last-position logits of these prompts).

        Args:
            layer: block to whose input a direction is added, at all positions.
            directions: raw differences in means, (k, hidden); added at their own length.
            batch_tokens: padded tokens a batch; several directions share one where it holds them.
        """
        run = self._resumed if self._is_exact(layer, directions[0]) else self._plain
        for batch in self.base.batches:
            width = len(self.base.sequences[batch.indices[0]])
            most = max(1, batch_tokens // (width * len(batch.indices)))
            for start in range(0, len(directions), most):
                some = directions[start : start + most]
                logits = run(batch, layer, some).split(len(batch.indices))
                for offset, rows in enumerate(logits):
                    yield start + offset, batch.indices, rows

    def _is_exact(self, layer: int, direction: Tensor) -> bool:
        """Prove on a few rows that resuming at this layer gives the logits of the plain pass."""
        if layer not in self.exact:
            first = self.base.batches[0]
            few = KeptBatch(
                first.indices[:PROOF_ROWS],  # the longest is first: the padding stays as it was
                tuple(rows[:PROOF_ROWS] for rows in first.inputs),
            )
            self.exact[layer] = (
                bool(few.inputs) and layer > 0 and self._agrees(few, layer, direction)
            )
        return self.exact[layer]

    def _agrees(self, batch: KeptBatch, layer: int, direction: Tensor) -> bool:
        expected = self._plain(batch, layer, direction[None])
        # Other tokens, so that nothing a block may have left aside fits by chance.
        sequences = [self.base.sequences[index] for index in batch.indices]
        self.loaded.last_logits([[*sequence[:1]] * len(sequence) for sequence in sequences])
        try:
            found = self._resumed(batch, layer, direction[None])
        except Exception as error:  # a model that needs what the blocks before would have made
            if is_out_of_memory(error):
                raise
            return False
        return close_logits(self.loaded, found, expected)

    def _resumed(self, batch: KeptBatch, layer: int, directions: Tensor) -> Tensor:
        stream = self.loaded.stream
        given = batch.inputs[layer]
        shifts = directions.to(given.dtype).repeat_interleave(len(given), dim=0)[:, None]
        start = given.repeat(len(directions), 1, 1) + shifts
        sequences = [self.base.sequences[index] for index in batch.indices] * len(directions)

        with ExitStack() as stack:
            stack.enter_context(saving_forbidden(self.loaded.model))
            for block, length in zip(stream.blocks[:layer], self.base.wraps, strict=False):
                stack.enter_context(replaced_forward([block], _pass_on(length)))
            hook = hook_input(stream.blocks[layer], lambda x: start.to(x.device, x.dtype))
            stack.callback(hook.remove)
            return self.loaded.last_logits(sequences)

    def _plain(self, batch: KeptBatch, layer: int, directions: Tensor) -> Tensor:
        sequences = [self.base.sequences[index] for index in batch.indices]
        logits = []
        for direction in directions:
            with add(self.loaded.model, direction, layer, stream=self.loaded.stream):
                logits.append(self.loaded.last_logits(sequences))
        return torch.cat(logits)


def _pass_on(length: int) -> Callable[[Forward], Forward]:
    """Return what replaces a block's ``forward`` by one that hands its input on.

    In a tuple of this length if it is not 0. What else the tuple would hold (attention weights,
    say) is left out; where a model reads it, the proof fails.
    """

    def forward(*args: Any, **kwargs: Any) -> Any:
        x = block_input(args, kwargs)
        return (x, *[None] * (length - 1)) if length else x

    return lambda _: forward
