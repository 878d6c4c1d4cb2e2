"""Put something else in the place of blocks' ``forward``, and put it back on exit.

Hooks on a block still run; only what it computes is replaced. Knows nothing of what for.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import nn

Forward = Callable[..., Any]


@contextmanager
def replaced_forward(
    blocks: Sequence[nn.Module], replace: Callable[[Forward], Forward]
) -> Iterator[None]:
    """Replace the ``forward`` of each block by ``replace(forward)``, on the instance.

    What stood on the instance before (as accelerate's offloading puts there) comes back on exit.
    """
    before = [block.__dict__.get("forward") for block in blocks]
    for block in blocks:
        block.__dict__["forward"] = replace(block.forward)
    try:
        yield
    finally:
        for block, forward in zip(blocks, before, strict=True):
            if forward is None:
                del block.__dict__["forward"]
            else:
                block.__dict__["forward"] = forward
