"""Remove components from a model's residual stream, in memory, at chosen block inputs.

x <- x - dose V^T V x for the orthonormal rows V of each layer, at all positions. Removing one
direction everywhere is `polyrefuse_evaluation.ablate`; here each layer has its own.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from polyrefuse.errors import ModelError
from polyrefuse_evaluation.ablation import as_basis, saving_forbidden
from polyrefuse_evaluation.residual_stream import find_residual_stream


@contextmanager
def remove(
    model: nn.Module, directions: Mapping[int, Tensor], dose: float = 1.0
) -> Iterator[nn.Module]:
    """Remove each layer's own directions from the input of its block; restores on exit.

    Args:
        model: any loaded transformers causal LM.
        directions: block index in [0, L) -> unit vector (hidden,) or orthonormal basis (k, hidden).
        dose: how much of the projection is taken away: 0 nothing, 1 all of it.

    Raises:
        ModelError: directions or layers that do not fit the model.
    """
    stream = find_residual_stream(model)
    with ExitStack() as stack:
        stack.enter_context(saving_forbidden(model))
        for layer, rows in directions.items():
            if not 0 <= layer < len(stream.blocks):
                raise ModelError(f"layer {layer} is not in [0, {len(stream.blocks)}).")
            hook = _removing(as_basis(rows, stream.hidden_size), dose)
            handle = stream.blocks[layer].register_forward_pre_hook(hook, with_kwargs=True)
            stack.callback(handle.remove)
        yield model


def _removing(basis: Tensor, dose: float) -> Any:
    def removed(x: Tensor) -> Tensor:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        rows = basis.to(wide.device, wide.dtype)
        return (wide - dose * (wide @ rows.T) @ rows).to(x.dtype)

    def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args:
            return (removed(args[0]), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": removed(kwargs["hidden_states"])}

    return hook
