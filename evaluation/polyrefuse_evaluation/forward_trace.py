"""Record what every module of a model is given and gives back in one forward pass.

Knows nothing of what the modules are for.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from polyrefuse.errors import ModelError


class ForwardTrace:
    """First tensors in and out of each module by name, copied to the CPU, and the order of calls.

    Of a module that is called twice `inputs` holds the first, `last_inputs` the last input and
    `outputs` the last output. `begins` and `ends` count calls: when a module was last called and
    when it last returned, `calls` how often it was. `order` lists names as they return.
    """

    def __init__(self) -> None:
        self.inputs: dict[str, Tensor] = {}
        self.last_inputs: dict[str, Tensor] = {}
        self.outputs: dict[str, Tensor] = {}
        self.order: list[str] = []
        self.begins: dict[str, int] = {}
        self.ends: dict[str, int] = {}
        self.calls: Counter[str] = Counter()
        self.logits: Tensor | None = None


def first_tensor(value: Any) -> Tensor | None:
    """Return the first tensor of a module's output or arguments, or None."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, (tuple, list)) and value and isinstance(value[0], Tensor):
        return value[0]
    return None


def given_tensor(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
    """Return the tensor that a module works on: its first argument, or ``hidden_states``."""
    given = first_tensor(args) if args else kwargs.get("hidden_states")
    return given if isinstance(given, Tensor) else None


def with_first(output: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Return a module's output with its first tensor changed."""
    if isinstance(output, Tensor):
        return change(output)
    if isinstance(output, (tuple, list)) and output and isinstance(output[0], Tensor):
        return type(output)((change(output[0]), *output[1:]))
    return output


def trace_forward(
    model: nn.Module, ids: Tensor, *, silent: Collection[nn.Module] = ()
) -> ForwardTrace:
    """Run token ids (1, tokens) through the model in eval mode, without gradients or cache.

    Args:
        model: the model.
        ids: token ids.
        silent: modules whose output is replaced by zeros.

    Raises:
        ModelError: the forward pass fails.
    """
    with evaluation_mode(model), ExitStack() as stack:
        for module in silent:
            hook = module.register_forward_hook(_zeros)
            stack.callback(hook.remove)
        trace = stack.enter_context(_recording(model))
        output = run(model, ids)
        logits = getattr(output, "logits", None)
        trace.logits = None if logits is None else _copy(logits)
    return trace


def run(model: nn.Module, ids: Tensor) -> Any:
    """Run token ids through the model without cache; return its output.

    Raises:
        ModelError: the forward pass fails.
    """
    try:
        with torch.no_grad():
            return model(input_ids=ids, use_cache=False)
    except Exception as error:  # whatever a model's own code raises
        raise ModelError(
            f"{type(model).__name__}: a forward pass on token ids failed: {error}.",
            "Only decoder-only language models can be evaluated.",
        ) from error


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put every module in eval mode, and each back in its own afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _zeros(_: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
    return with_first(output, torch.zeros_like)


@contextmanager
def _recording(model: nn.Module) -> Iterator[ForwardTrace]:
    trace, clock = ForwardTrace(), iter(range(1 << 62))

    def before(name: str) -> Any:
        def record(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            trace.begins[name] = next(clock)
            trace.calls[name] += 1
            given = given_tensor(args, kwargs)
            if given is not None:
                trace.last_inputs[name] = _copy(given)
                trace.inputs.setdefault(name, trace.last_inputs[name])

        return record

    def after(name: str) -> Any:
        def record(_: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            made = first_tensor(output)
            if made is not None:
                trace.outputs[name] = _copy(made)
            trace.order.append(name)
            trace.ends[name] = next(clock)

        return record

    with ExitStack() as stack:
        for name, module in model.named_modules():
            if name:
                pre = module.register_forward_pre_hook(before(name), with_kwargs=True)
                stack.callback(pre.remove)
                stack.callback(module.register_forward_hook(after(name)).remove)
        yield trace


def _copy(tensor: Tensor) -> Tensor:
    """Copy: some models add to a module's output in place (Falcon), or spread over devices."""
    return tensor.detach().to("cpu", copy=True)
