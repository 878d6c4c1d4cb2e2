"""The rules of layer-wise relevance propagation, as changes to a transformer's backward pass.

AttnLRP (Achtibat et al. 2024, arXiv 2402.05602) written as gradient x input, so that autograd does
the propagation: inside `relevance_rules` the forward pass gives what it always gave, and gradients
are relevances divided by activations. For blocks of RMSNorm, gated MLP and softmax attention
(Llama, Qwen 2 and 3, Gemma 1 to 3, Mistral); any other module with weights is an error.

- RMSNorm, activation, soft cap: y = x * (y / x) with the ratio held constant (identity rule).
- products (attention x values, queries x keys, gate x up): each factor gets half (uniform rule).
- softmax: its gradient, which leaks, since a softmax is not homogeneous (AttnLRP). CP-LRP (Ali et
  al. 2022) holds attention weights and gates constant instead, and conserves exactly.
- linear maps: the epsilon rule with epsilon 0. Biases keep what they contribute; `biases` are the
  leaves that it is read from.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from polyrefuse.errors import ModelError

Rule = Literal["attnlrp", "cp-lrp"]
RULES: tuple[Rule, ...] = ("attnlrp", "cp-lrp")

NEVER = -1e30
"""Score of what cannot be seen."""

_GATED = ("gate_proj", "up_proj", "down_proj", "act_fn")
_PLAIN = (nn.Linear, nn.Embedding, nn.Dropout, nn.Identity)


class _Proportional(torch.autograd.Function):
    """Forward y; backward as if y were x times a constant, element by element."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
        ctx.save_for_backward(x, y)
        return y.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        x, y = ctx.saved_tensors
        ratio = torch.where(x == 0, 0, y / torch.where(x == 0, 1, x))
        return grads[0] * ratio, None


class _Half(torch.autograd.Function):
    """Forward x; backward half of the gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0] / 2


def proportional(x: Tensor, y: Tensor) -> Tensor:
    """Return y, through which relevance passes to x element by element (identity rule)."""
    result: Tensor = _Proportional.apply(x, y.detach())  # type: ignore[no-untyped-call]
    return result


def half(x: Tensor) -> Tensor:
    """Return x, of whose gradient half is kept: one factor of a product (uniform rule)."""
    result: Tensor = _Half.apply(x)  # type: ignore[no-untyped-call]
    return result


@contextmanager
def relevance_rules(model: nn.Module, rule: Rule = "attnlrp") -> Iterator[list[nn.Parameter]]:
    """Make gradients of `model` obey a rule; restores everything on exit.

    Yields the biases, which require gradients inside; no other parameter does.

    Args:
        model: a transformers causal LM in eval mode.
        rule: ``attnlrp`` or ``cp-lrp``.

    Raises:
        ModelError: a module that no rule covers, named; or attention that cannot be replaced.
    """
    _require_covered(model)
    with ExitStack() as stack:
        biases = stack.enter_context(_only_biases_learn(model))
        for module in model.modules():
            if _is_rms_norm(module):
                stack.enter_context(_replaced(module, _norm_forward(module)))
            elif _is_gated(module):
                stack.enter_context(_replaced(module, _gated_forward(module, rule)))
        stack.enter_context(_attention(model, rule))
        yield biases


def _is_rms_norm(module: nn.Module) -> bool:
    return type(module).__name__.endswith("RMSNorm")


def _is_gated(module: nn.Module) -> bool:
    return all(hasattr(module, name) for name in _GATED)


def _require_covered(model: nn.Module) -> None:
    for name, module in model.named_modules():
        owns = any(True for _ in module.parameters(recurse=False))
        if owns and not isinstance(module, _PLAIN) and not _is_rms_norm(module):
            raise ModelError(
                f"{type(model).__name__}: no relevance rule covers {name} "
                f"({type(module).__name__}).",
                "Relevance is propagated through RMSNorm, gated MLPs and softmax attention only; "
                "leave it out with --no-relevance.",
            )
        if type(module).__name__.endswith("MLP") and not _is_gated(module):
            raise ModelError(
                f"{type(model).__name__}: no relevance rule covers {name} "
                f"({type(module).__name__}): it is no gated MLP of {', '.join(_GATED)}.",
                "Leave relevance out with --no-relevance.",
            )


@contextmanager
def _only_biases_learn(model: nn.Module) -> Iterator[list[nn.Parameter]]:
    before = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    biases = [p for name, p in model.named_parameters() if name.endswith(".bias")]
    try:
        for parameter, _ in before:
            parameter.requires_grad_(False)
        for bias in biases:
            bias.requires_grad_(True)
        yield biases
    finally:
        for parameter, wanted in before:
            parameter.requires_grad_(wanted)


@contextmanager
def _replaced(module: nn.Module, forward: Any) -> Iterator[None]:
    own = module.__dict__.get("forward")
    module.__dict__["forward"] = forward
    try:
        yield
    finally:
        if own is None:
            del module.__dict__["forward"]
        else:
            module.__dict__["forward"] = own


def _norm_forward(module: nn.Module) -> Any:
    plain = module.forward

    def forward(x: Tensor) -> Tensor:
        with torch.no_grad():
            y = plain(x)
        return proportional(x, y)

    return forward


def _gated_forward(module: Any, rule: Rule) -> Any:
    def forward(x: Tensor) -> Tensor:
        gate, up = module.gate_proj(x), module.up_proj(x)
        with torch.no_grad():
            opened = module.act_fn(gate)
        if rule == "cp-lrp":
            result: Tensor = module.down_proj(opened * up)
            return result
        return module.down_proj(half(proportional(gate, opened)) * half(up))  # type: ignore[no-any-return]

    return forward


@contextmanager
def _attention(model: Any, rule: Rule) -> Iterator[None]:
    """Send attention through `attend`, by transformers' own registry of attention functions."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import eager_mask

    name = f"polyrefuse_{rule}"
    AttentionInterface.register(name, _attention_function(rule))
    AttentionMaskInterface.register(name, eager_mask)
    configs = {id(m.config): m.config for m in model.modules() if hasattr(m, "config")}
    before = [(config, config._attn_implementation) for config in configs.values()]
    try:
        for config, _ in before:
            config._attn_implementation_internal = name
        yield
    finally:
        for config, implementation in before:
            config._attn_implementation_internal = implementation


def _attention_function(rule: Rule) -> Any:
    def function(
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        scaling: float | None = None,
        softcap: float | None = None,
        **others: Any,
    ) -> tuple[Tensor, None]:
        if others.get("s_aux") is not None:
            raise ModelError("no relevance rule covers attention sinks.", "Use --no-relevance.")
        groups = query.shape[1] // key.shape[1]
        key, value = (part.repeat_interleave(groups, dim=1) for part in (key, value))
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        output = attend(query, key, value, attention_mask, scale, softcap, rule)
        return output.transpose(1, 2).contiguous(), None

    return function


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    scale: float,
    softcap: float | None,
    rule: Rule,
) -> Tensor:
    """Return softmax attention (n, heads, tokens, width) whose gradients obey `rule`.

    Args:
        query: (n, heads, tokens, width); `key` and `value` likewise.
        key: see `query`.
        value: see `query`.
        mask: added to the scores, 0 or very negative; None attends everywhere.
        scale: factor on the scores.
        softcap: bound of the scores (Gemma 2), or None.
        rule: ``attnlrp`` or ``cp-lrp``.
    """
    if rule == "cp-lrp":
        query, key = query.detach(), key.detach()
    else:
        query, key = half(query), half(key)
    scores = query @ key.transpose(-1, -2) * scale
    if softcap is not None:
        with torch.no_grad():
            capped = softcap * torch.tanh(scores / softcap)
        scores = proportional(scores, capped)
    if mask is not None:
        scores = scores + mask.clamp_min(NEVER)  # the lowest number of all would overflow
    wide = torch.promote_types(query.dtype, torch.float32)
    weights = torch.softmax(scores, dim=-1, dtype=wide).to(query.dtype)
    if rule == "cp-lrp":
        return weights @ value
    return half(weights) @ half(value)
