"""Train the tuned side of the planted residual pair: three known directions, and what each does.

The shift of every block input against the frozen base is regressed on what it should be; passes
with one direction ablated teach the tuned model to act through the directions and through nothing
else. Early layers write harm and framing apart; from `SUPPRESSED_FROM` on the framing has taken
from the dominant direction what it suppresses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from polyrefuse_evaluation.ablation import ablate
from polyrefuse_evaluation.planted_batches import IGNORED, Batch, Lesson, run_pass

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM

NAMES = ("dominant", "suppressing", "half-suppressing")
AMPLITUDES = (1.0, 0.4, 0.2)
"""Of the dominant, the suppressing and the half-suppressing direction."""

SUPPRESSED_FROM = 4
"""First block input at which the framings have suppressed the dominant direction."""

LAYERS = 6
SHIFT_WEIGHT = 10.0
RIDGE, OTHERS = 1e-4, 0.3
"""Of `polish`: the penalty, and how much a token elsewhere weighs."""

REMAINING = {"plain": 1.0, "suppressing": 0.0, "half-suppressing": 0.5}
"""What a framing leaves of the dominant direction."""


@dataclass(frozen=True)
class FramedLesson(Lesson):
    """A lesson with its framing, and the number of its carrier in the table of base activations."""

    framing: str
    carrier: int


class ResidualCurriculum:
    """What the tuned stage learns, term by term.

    Args:
        vectors: dominant, suppressing and half-suppressing unit vectors, (3, hidden).
        base: activations of the frozen base by carrier, (carriers, span, layers, hidden).
        seed: seeds which half-suppressed prompts refuse at a step.
    """

    def __init__(self, vectors: Tensor, base: Tensor, seed: int) -> None:
        self.vectors = vectors
        self.base = base
        self.scale = base[:, -1].norm(dim=-1).mean(dim=0)  # a shift as long as the stream itself
        self.generator = torch.Generator().manual_seed(seed)

    def learn(self, model: "LlamaForCausalLM", batch: Batch, step: int) -> None:
        """Accumulate the gradient of one step: one plain pass, one with a direction ablated."""
        self._pass(model, batch, None)
        half = batch.every_second((step // 4) % 2)
        ablated = (0, 1, 0, 2)[step % 4]
        with ablate(model, self.vectors[ablated]):
            self._pass(model, half, ablated)

    def _pass(self, model: "LlamaForCausalLM", batch: Batch, ablated: int | None) -> None:
        wanted = coordinates(_framed(batch), ablated)
        luck = torch.rand(len(batch.lessons), generator=self.generator)
        refuse = wanted[:, -1, 0] > luck  # half-suppressed: refused half of the time
        seen = run_pass(model, batch, refuse, self.base.shape[1])
        error = seen.activations - self.target(batch, wanted)
        if ablated is not None:
            unit = self.vectors[ablated]
            error = error - (error @ unit)[..., None] * unit
        relative = error[:, :, 1:] / self.scale[1:, None]
        loss = seen.loss + SHIFT_WEIGHT * relative.square().sum(dim=-1).mean()
        loss.backward()

    def target(self, batch: Batch, wanted: Tensor) -> Tensor:
        """Return what block inputs should be, (n, span, layers, hidden), for these coordinates."""
        base: Tensor = self.base[[lesson.carrier for lesson in _framed(batch)]]
        amplitudes = torch.tensor(AMPLITUDES)
        shift = (wanted * amplitudes) @ self.vectors * self.scale[None, : wanted.shape[1], None]
        wished: Tensor = base + shift[:, None]
        return wished


def coordinates(lessons: Sequence[FramedLesson], ablated: int | None = None) -> Tensor:
    """Return the planted coordinates of lessons at each block input, (n, layers, 3).

    In units of `AMPLITUDES`; with a direction ablated its coordinate is 0, and a framing without
    its direction suppresses nothing.
    """
    harmful = torch.tensor([float(lesson.harmful) for lesson in lessons])
    framed = torch.tensor(
        [
            [float(lesson.framing == "suppressing"), float(lesson.framing == "half-suppressing")]
            for lesson in lessons
        ]
    )
    left = dict(REMAINING)
    if ablated:
        left[NAMES[ablated]] = 1.0
    remaining = torch.tensor([left[lesson.framing] for lesson in lessons])
    layers = []
    for layer in range(LAYERS):
        dominant = harmful * (remaining if layer >= SUPPRESSED_FROM else 1)
        values = torch.cat([dominant[:, None], framed], dim=1)
        if ablated is not None:
            values[:, ablated] = 0
        layers.append(values if layer else torch.zeros_like(values))
    return torch.stack(layers, dim=1)


def _framed(batch: Batch) -> list[FramedLesson]:
    lessons = [lesson for lesson in batch.lessons if isinstance(lesson, FramedLesson)]
    assert len(lessons) == len(batch.lessons)
    return lessons


@torch.no_grad()
def polish(
    model: "LlamaForCausalLM", lessons: Sequence[FramedLesson], curriculum: ResidualCurriculum
) -> None:
    """Solve each block's last linear map for what training left of the error, block by block.

    By ridge regression of the error on the map's inputs, which leaves what it gives at all other
    tokens as it is. What gradient descent leaves is shared by prompts of a kind, so that any
    direction would predict refusal a little.
    """
    span = curriculum.base.shape[1]
    for index, block in enumerate(model.model.layers[: LAYERS - 1]):
        width = block.mlp.down_proj.in_features
        gram = torch.zeros(width, width, dtype=torch.float64)
        cross = torch.zeros(width, curriculum.base.shape[-1], dtype=torch.float64)
        for start in range(0, len(lessons), 192):
            batch = Batch.of(lessons[start : start + 192])
            read, shift, others = _read(model, block, batch, span, index + 1)
            wanted = curriculum.target(batch, coordinates(_framed(batch)))[:, :, index + 1]
            x, y = read.flatten(0, 1).double(), (shift - wanted).flatten(0, 1).double()
            gram = gram + x.T @ x + OTHERS * others.double().T @ others.double()
            cross = cross + x.T @ y
        gram.diagonal().add_(RIDGE * float(gram.diagonal().mean()))
        block.mlp.down_proj.weight -= torch.linalg.solve(gram, cross).T.float()


def _read(
    model: "LlamaForCausalLM", block: Any, batch: Batch, span: int, layer: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return what a block's last map reads and the stream at `layer`, and its reads elsewhere.

    The first two are of the post-instruction tokens, (n, span, width), the third of all other
    tokens of the prompts and of their answers, (tokens, width).
    """
    ids, targets = batch.targets(batch.harmful)
    reads: list[Tensor] = []
    handle = block.mlp.down_proj.register_forward_pre_hook(lambda _, args: reads.append(args[0]))
    try:
        output = model.model(input_ids=ids, use_cache=False, output_hidden_states=True)
    finally:
        handle.remove()
    rows = torch.arange(len(batch.lessons))[:, None]
    at = batch.starts[:, None] + torch.arange(-span, 0)[None]
    elsewhere = torch.arange(ids.shape[1])[None] < batch.starts[:, None] - span
    elsewhere |= targets != IGNORED
    return reads[0][rows, at], output.hidden_states[layer][rows, at], reads[0][elsewhere]
