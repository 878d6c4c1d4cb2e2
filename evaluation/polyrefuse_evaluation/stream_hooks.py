"""Hooks that change what a module reads or writes; each is called with (rows, tokens, hidden).

Nothing is changed in place. Knows no direction.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


def hook_input(block: nn.Module, change: Callable[[Tensor], Tensor]) -> Any:
    """Change the first tensor that a block is called with; return the handle."""

    def hook(
        _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if args:
            return (change(args[0]), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": change(kwargs["hidden_states"])}

    return block.register_forward_pre_hook(hook, with_kwargs=True)


def hook_output(module: nn.Module, change: Callable[[Tensor], Tensor]) -> Any:
    """Change the tensor that a module returns, or the first of a tuple; return the handle."""

    def hook(_: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        if isinstance(output, Tensor):
            return change(output)
        return type(output)((change(output[0]), *output[1:]))

    return module.register_forward_hook(hook)
