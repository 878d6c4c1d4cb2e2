"""Record the residual stream at block inputs, at the post-instruction positions.

One pass a batch gives all layers and positions at once, prompt by prompt or summed. Knows nothing
of labels or directions.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from polyrefuse.errors import ModelError
from polyrefuse_evaluation.models import LoadedModel
from polyrefuse_evaluation.residual_stream import block_input


@torch.no_grad()
def record(loaded: LoadedModel, sequences: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Run one batch and return its activations and last-position logits.

    Args:
        loaded: the model.
        sequences: rendered prompts, token ids.

    Returns:
        Activations (n, positions, layers, hidden): the residual stream at the input of each block,
        at the post-instruction positions; and logits (n, vocabulary) at the last position.

    Raises:
        ModelError: an activation is not finite; names the layer and the row.
    """
    # Copied: some models write to the stream in place later.
    layers, logits = _watch(loaded, sequences, lambda x: x.to(torch.float32, copy=True).cpu())
    activations = torch.stack(layers, dim=2)
    if not torch.isfinite(activations).all():
        row, _, layer, _ = (~torch.isfinite(activations)).nonzero()[0].tolist()
        raise ModelError(
            f"{loaded.name}: activations are not finite at the input of layer {layer}, row {row} "
            "of the batch.",
            "Load the model in bfloat16 or float32 (--dtype).",
        )
    return activations, logits.cpu()


@torch.no_grad()
def record_sum(loaded: LoadedModel, sequences: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Run one batch and return the sum of its activations, and its last-position logits.

    What it keeps does not grow with the batch: each layer is summed as soon as it is seen.

    Args:
        loaded: the model.
        sequences: rendered prompts, token ids.

    Returns:
        Sums over the batch (positions, layers, hidden), float64 on the CPU; and logits
        (n, vocabulary) on the model's device.

    Raises:
        ModelError: as `record`.
    """
    layers, logits = _watch(loaded, sequences, lambda x: wide(x).sum(dim=0))
    total = torch.stack([layer.cpu() for layer in layers], dim=1)
    if not torch.isfinite(total).all():  # float32 sums cannot overflow float64
        record(loaded, sequences)  # raises, and names the place
    return total, logits


def wide(x: Tensor) -> Tensor:
    """Return `x` in float64, on its own device where that has float64 (mps does not)."""
    return x.cpu().double() if x.device.type == "mps" else x.double()


def _watch(
    loaded: LoadedModel, sequences: Sequence[Sequence[int]], keep: Callable[[Tensor], Tensor]
) -> tuple[list[Tensor], Tensor]:
    """Return what `keep` makes of each block's input at the span's positions, and the logits."""
    positions = len(loaded.chat.post_instruction)
    shape = (len(sequences), max(len(sequence) for sequence in sequences))
    kept: list[Tensor] = []

    def see(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        kept.append(keep(one_stream(block_input(args, kwargs), shape)[:, -positions:]))

    with ExitStack() as stack:
        for block in loaded.stream.blocks:
            handle = block.register_forward_pre_hook(see, with_kwargs=True)
            stack.callback(handle.remove)
        logits = loaded.last_logits(sequences)
    return kept, logits


def one_stream(x: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return a block's input as (rows, tokens, hidden): the mean of a model's several streams.

    Some have their axis before those of rows and tokens (Gemma 3n), some after (DeepSeek V4).
    """
    if x.ndim == 4 and x.shape[:2] == shape:
        return x.mean(dim=2)
    if x.ndim == 4 and x.shape[1:3] == shape:
        return x.mean(dim=0)
    if x.shape[:-1] != shape:
        raise ModelError(
            f"a decoder block was given {tuple(x.shape)} for {shape[0]} prompts of {shape[1]} "
            "tokens.",
            "Activations of this architecture cannot be read; report it with the model id.",
        )
    return x


def batches(
    sequences: Sequence[Sequence[int]],
    batch_tokens: int,
    extra: int = 0,
    *,
    one_length: bool = False,
) -> Iterator[list[int]]:
    """Yield lists of indices, longest first, each within a budget of padded tokens.

    Args:
        sequences: token ids of each prompt.
        batch_tokens: most tokens a batch may hold, padding included; a longer prompt goes alone.
        extra: tokens that each row will grow by (generation).
        one_length: put only prompts of one length into a batch, so that nothing is padded.
    """
    order = sorted(range(len(sequences)), key=lambda index: (-len(sequences[index]), index))
    start = 0
    while start < len(order):
        width = len(sequences[order[start]]) + extra
        batch = order[start : start + max(1, batch_tokens // width)]
        if one_length:
            batch = [index for index in batch if len(sequences[index]) + extra == width]
        yield batch
        start += len(batch)
