"""Selection of a refusal direction as published, for comparison only.

Arditi et al. 2024 (arXiv 2406.11717) and its multilingual follow-up (arXiv 2505.17306): three
passes over the validation prompts for every position and layer, in fixed batches of 32 in the order
of the data set, padded to the longest, with the logits of all positions; hooks on every block,
attention and MLP that normalise the direction again at each call; a pass each for the baseline
scores and for the baseline logits. Nothing is shared with the package: the formulas are written out
once more. One departure: the KL is exact, where the published code adds 1e-6 to each probability.
Llama-shaped models only, known by their module names.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from polyrefuse_evaluation.models import LoadedModel

BATCH_SIZE = 32
KL_THRESHOLD = 0.1
INDUCE_THRESHOLD = 0.0
PRUNE_LAYERS = 0.2

Prompts = Sequence[Sequence[int]]
Hooks = list[tuple[nn.Module, str, Callable[..., Any]]]


@dataclass(frozen=True)
class ReferenceScores:
    """Scores of one candidate; all three are always computed."""

    position: int
    layer: int
    bypass: float
    induce: float
    kl: float


@dataclass(frozen=True)
class ReferenceSelection:
    """The winner, or None if no candidate passes, and every candidate's scores."""

    winner: ReferenceScores | None
    scores: tuple[ReferenceScores, ...]


def select_as_published(
    loaded: LoadedModel, differences: Tensor, harmful: Prompts, harmless: Prompts, tokens: list[int]
) -> ReferenceSelection:
    """Score every candidate by three passes and pick one.

    Args:
        loaded: a Llama-shaped model.
        differences: difference in means (positions, layers, hidden).
        harmful: rendered validation prompts.
        harmless: rendered validation prompts.
        tokens: refusal tokens.
    """
    model, pad = loaded.model, loaded.pad_id
    base = last_position_logits(model, harmless, pad)
    refusal_scores(last_position_logits(model, harmful, pad), tokens)  # printed by the published
    refusal_scores(last_position_logits(model, harmless, pad), tokens)  # code, and never used
    positions, layers = differences.shape[:2]
    scores = []
    for position in range(-positions, 0):
        for layer in range(layers):
            vector = differences[position, layer].float()
            ablation = ablation_hooks(model, vector)
            with hooked(ablation):
                kl = kl_divergence(base, last_position_logits(model, harmless, pad)).mean()
            with hooked(ablation):
                bypass = refusal_scores(last_position_logits(model, harmful, pad), tokens).mean()
            with hooked(addition_hooks(model, vector, layer)):
                induce = refusal_scores(last_position_logits(model, harmless, pad), tokens).mean()
            row = ReferenceScores(position, layer, float(bypass), float(induce), float(kl))
            scores.append(row)
    return ReferenceSelection(pick(scores, layers), tuple(scores))


def pick(scores: Sequence[ReferenceScores], layers: int) -> ReferenceScores | None:
    """Return the lowest bypass among the candidates that no filter discards."""
    passing = [
        row
        for row in scores
        if not any(math.isnan(value) for value in (row.bypass, row.induce, row.kl))
        and row.layer < int(layers * (1.0 - PRUNE_LAYERS))
        and row.kl <= KL_THRESHOLD
        and row.induce >= INDUCE_THRESHOLD
    ]
    return min(passing, key=lambda row: (row.bypass, row.layer, row.position), default=None)


def mean_differences(loaded: LoadedModel, harmful: Prompts, harmless: Prompts) -> Tensor:
    """Return mean_harmful - mean_harmless at every position and block input, float64."""
    harmful_mean = mean_activations(loaded, harmful)
    return harmful_mean - mean_activations(loaded, harmless)


def mean_activations(loaded: LoadedModel, prompts: Prompts) -> Tensor:
    """Return the mean activations (positions, layers, hidden), float64."""
    model = loaded.model
    positions = len(loaded.chat.post_instruction)
    layers = model.model.layers
    mean = torch.zeros(positions, len(layers), model.config.hidden_size, dtype=torch.float64)

    def keeper(layer: int) -> Callable[..., None]:
        def keep(_: nn.Module, args: tuple[Any, ...]) -> None:
            mean[:, layer] += args[0][:, -positions:].double().sum(dim=0).cpu() / len(prompts)

        return keep

    with hooked([(block, "input", keeper(index)) for index, block in enumerate(layers)]):
        last_position_logits(model, prompts, loaded.pad_id)
    return mean


@torch.no_grad()
def last_position_logits(model: nn.Module, prompts: Prompts, pad: int) -> Tensor:
    """Return the logits (n, vocabulary) at the last position, by way of all positions' logits."""
    rows = []
    for start in range(0, len(prompts), BATCH_SIZE):
        batch = prompts[start : start + BATCH_SIZE]
        width = max(len(prompt) for prompt in batch)
        ids = torch.tensor([[pad] * (width - len(prompt)) + list(prompt) for prompt in batch])
        mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in batch])
        device = next(model.parameters()).device
        logits = model(input_ids=ids.to(device), attention_mask=mask.to(device)).logits
        rows.append(logits[:, -1, :])
    return torch.cat(rows)


def refusal_scores(logits: Tensor, tokens: list[int]) -> Tensor:
    """Return log p - log(1 - p) of the refusal tokens for each row, float64."""
    p = torch.softmax(logits.to(torch.float64), dim=-1)[:, tokens].sum(dim=-1)
    return torch.log(p + 1e-8) - torch.log(1 - p + 1e-8)


def kl_divergence(base: Tensor, other: Tensor) -> Tensor:
    """Return KL(base || other) over the vocabulary for each row, float64."""
    p = torch.softmax(base.to(torch.float64), dim=-1)
    log_ratio = torch.log_softmax(base.double(), dim=-1) - torch.log_softmax(other.double(), dim=-1)
    return (p * log_ratio).sum(dim=-1)


def ablation_hooks(model: nn.Module, vector: Tensor) -> Hooks:
    """Return hooks on every block's input and every attention's and MLP's output."""

    def project(x: Tensor) -> Tensor:
        unit = vector / (vector.norm(dim=-1, keepdim=True) + 1e-8)
        unit = unit.to(x)
        return x - (x @ unit).unsqueeze(-1) * unit

    def on_input(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (project(args[0]), *args[1:])

    def on_output(_: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        if isinstance(output, tuple):
            return (project(output[0]), *output[1:])
        return project(output)

    blocks: Any = model.model.layers
    return [
        *((block, "input", on_input) for block in blocks),
        *((block.self_attn, "output", on_output) for block in blocks),
        *((block.mlp, "output", on_output) for block in blocks),
    ]


def addition_hooks(model: nn.Module, vector: Tensor, layer: int) -> Hooks:
    """Return the hook that adds a vector to one block's input, at all positions."""

    def on_input(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (args[0] + vector.to(args[0]), *args[1:])

    blocks: Any = model.model.layers
    return [(blocks[layer], "input", on_input)]


@contextmanager
def hooked(hooks: Hooks) -> Iterator[None]:
    """Register hooks, and remove them on exit."""
    handles = []
    try:
        for module, place, hook in hooks:
            register = getattr(
                module, "register_forward_pre_hook" if place == "input" else "register_forward_hook"
            )
            handles.append(register(hook))
        yield
    finally:
        for handle in handles:
            handle.remove()
