"""Count the work of forward passes in token-layers: tokens without padding x blocks computed.

A measure of cost that does not depend on the machine. Knows nothing of what the passes are for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from polyrefuse_evaluation.block_forward import replaced_forward
from polyrefuse_evaluation.residual_stream import ResidualStream, find_residual_stream


class ForwardWork:
    """Work done so far.

    Attributes:
        token_layers: tokens without padding, summed over the blocks that computed them.
        passes: forward passes of the model.
    """

    def __init__(self) -> None:
        self.token_layers = 0
        self.passes = 0
        self._tokens = 0

    def begin(self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note how many tokens a pass of the whole model is given (a forward pre-hook)."""
        self.passes += 1
        self._tokens = _real_tokens(args, kwargs)

    def block(self) -> None:
        """Note that one block was computed."""
        self.token_layers += self._tokens


@contextmanager
def count_work(model: nn.Module, stream: ResidualStream | None = None) -> Iterator[ForwardWork]:
    """Count the work of all passes of `model` inside the context.

    A block that is passed over (`base_pass.py`) is called but computes nothing, so what is counted
    is its ``forward``, which passing over replaces.

    Args:
        model: any loaded transformers causal LM.
        stream: its blocks; found by `find_residual_stream` by default.
    """
    stream = stream or find_residual_stream(model)
    work = ForwardWork()

    def counted(forward: Any) -> Any:
        def run(*args: Any, **kwargs: Any) -> Any:
            work.block()
            return forward(*args, **kwargs)

        return run

    handle = model.register_forward_pre_hook(work.begin, with_kwargs=True)
    try:
        with replaced_forward(stream.blocks, counted):
            yield work
    finally:
        handle.remove()


def _real_tokens(args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    """Return the tokens of a pass that are not padding; a cache's past is not counted again."""
    ids = args[0] if args else kwargs.get("input_ids")
    if not isinstance(ids, Tensor):
        ids = kwargs["inputs_embeds"][..., 0]
    mask = kwargs.get("attention_mask")
    if isinstance(mask, Tensor) and mask.ndim == 2:
        return int(mask[:, -ids.shape[1] :].sum())
    return ids.numel()
