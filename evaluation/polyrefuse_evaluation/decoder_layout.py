"""Where things stand in a decoder: its blocks, its final norm, where its stream begins.

Read from a trace of one forward pass. Knows nothing of what writes to the stream.
"""

import itertools
from typing import Any

import torch
from torch import Tensor, nn

from polyrefuse.errors import ModelError
from polyrefuse_evaluation.forward_trace import ForwardTrace, evaluation_mode, run
from polyrefuse_evaluation.stream_probe import is_norm


def text_config(model: nn.Module) -> Any:
    """Return the configuration of the language model (of a multimodal model: its text part)."""
    return model.config.get_text_config(decoder=True)  # type: ignore[operator, union-attr]


def input_device(model: nn.Module) -> torch.device:
    """Return the device that token ids go to: where the embedding runs, even if it is offloaded."""
    embedding = model.get_input_embeddings()  # type: ignore[operator]
    hook = getattr(embedding, "_hf_hook", None)  # accelerate's, where it moves weights about
    device = getattr(hook, "execution_device", None)
    if device is None:
        device = next(embedding.parameters()).device
    found = torch.device(device)
    return torch.device("cpu") if found.type == "meta" else found


def require_causal(model: nn.Module, ids: Tensor, trace: ForwardTrace) -> None:
    """Refuse a model whose answers at early positions depend on later tokens."""
    before = trace.logits
    if before is None or before.ndim != 3 or before.shape[1] != ids.shape[1]:
        return
    half = ids.shape[1] // 2
    changed = torch.cat([ids[:, :half], ids[:, half:].flip(1)], dim=1)
    with evaluation_mode(model):
        after = run(model, changed).logits
    moved = (after[0, :half].cpu().float() - before[0, :half].float()).abs().amax(dim=-1)
    # Most positions: rounding may send a single token to another expert.
    if (moved > 1e-2 * before.float().std()).float().mean() > 0.5:
        raise ModelError(
            f"{type(model).__name__} reads tokens that come later: it is not a causal model.",
            "Only decoder-only language models can be evaluated.",
        )


def find_blocks(model: nn.Module, trace: ForwardTrace) -> tuple[str, nn.ModuleList]:
    """Return the list of decoder blocks: of lists called in order, the one of the right length."""
    depth = int(getattr(text_config(model), "num_hidden_layers", 0))
    lists = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) and _in_order(name, module, trace)
    ]
    right = [item for item in lists if len(item[1]) == depth]
    if not lists:
        raise ModelError(
            f"{type(model).__name__}: found no list of {depth} decoder blocks.",
            "Only decoder-only language models can be evaluated.",
        )
    # Of several the decoder holds the most parameters.
    name, blocks = max(
        right or lists, key=lambda item: sum(p.numel() for p in item[1].parameters())
    )
    for other, stack in lists:
        if not f"{other}.".startswith(f"{name}.") and any(any(m.children()) for m in stack):
            raise ModelError(
                f"{type(model).__name__} runs two stacks of blocks, {other} and {name}.",
                "Only models with one residual stream can be evaluated.",
            )
    return name, blocks


def _in_order(name: str, blocks: nn.ModuleList, trace: ForwardTrace) -> bool:
    """Whether blocks were called one after another, each on a tensor, each returning one."""
    names = [f"{name}.{index}" for index in range(len(blocks))]
    if not all(block in trace.inputs and block in trace.outputs for block in names):
        return False
    return all(trace.ends[a] < trace.begins[b] for a, b in itertools.pairwise(names))


def find_final_norm(
    model: nn.Module, list_name: str, last: str, trace: ForwardTrace
) -> tuple[str, list[str]]:
    """Return the norm after the last block, or what reads it, and all that read its very output."""
    outside = [
        (name, module)
        for name, module in model.named_modules()
        if name in trace.last_inputs
        and trace.begins[name] > trace.ends[last]
        and not name.startswith(list_name + ".")
    ]
    outside.sort(key=lambda item: trace.begins[item[0]])
    made = trace.outputs[last]
    direct = [name for name, _ in outside if _is_part(trace.last_inputs[name], made)]
    norms = [name for name, module in outside if is_norm(module)]
    for name in [*(name for name in direct if name in norms), *norms[-1:], *direct]:
        return name, direct
    raise ModelError(
        f"{type(model).__name__}: nothing reads the last block's output.", "Report this model."
    )


def _is_part(given: Tensor, made: Tensor) -> bool:
    """Whether one tensor is the other, or one of the streams it is stacked of."""
    parts = made if made.ndim == given.ndim + 1 else [made]
    return any(torch.equal(given, part) for part in parts)


def find_origin(model: nn.Module, first_block: str, trace: ForwardTrace) -> nn.Module | None:
    """Return the module that makes the first block's input, called once, before it."""
    start = trace.inputs[first_block]
    makers = [
        name
        for name, made in trace.outputs.items()
        if trace.ends[name] < trace.begins[first_block]
        and trace.calls[name] == 1
        and torch.equal(made, start)
    ]
    last = max(makers, key=lambda name: trace.begins[name], default=None)
    return None if last is None else model.get_submodule(last)
