"""Train the planted pair: a base model that always complies, and a tuned one that refuses.

Refusal is made to run through known unit vectors, so that every method has a ground truth. The
tuned model learns three things a step: to refuse as aligned; to comply with a vector ablated; to
refuse with it added. A fourth term makes the difference in means point along the vector at every
post-instruction position. The ``none`` variant learns to refuse whichever difference in means is
ablated: its refusal lives in many directions, and ablating one must show nothing.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from polyrefuse_evaluation.ablation import ablate, add
from polyrefuse_evaluation.planted_batches import (
    Batch,
    Group,
    Lesson,
    mean_difference,
    run_pass,
)
from polyrefuse_evaluation.planted_texts import UNALIGNED
from polyrefuse_evaluation.residual_stream import ResidualStream, find_residual_stream

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM

MEMORY = 0.9
"""How much of the running means of the last steps a step keeps, for the ``none`` variant."""


class Curriculum:
    """What the tuned stage learns, term by term.

    Args:
        groups: languages and vectors; empty for the ``none`` variant, which learns to refuse
            without any one direction.
        span: number of post-instruction tokens.
        seed: seeds the choice of layers.
    """

    def __init__(self, groups: Sequence[Group], span: int, seed: int) -> None:
        self.groups = groups
        self.span = span
        self.generator = torch.Generator().manual_seed(seed)
        self._running: dict[str, Tensor] = {}
        self._stream: ResidualStream | None = None

    def learn(self, model: "LlamaForCausalLM", batch: Batch, step: int) -> None:
        """Accumulate the gradient of one step."""
        seen = run_pass(model, batch, batch.aligned & batch.harmful, self.span)
        loss, activations = seen.loss, seen.activations
        for group in self.groups:
            loss = loss + 2 * self._misalignment(group, batch, activations)
        # Backward after each pass, so that one pass's activations are held at a time.
        loss.backward()
        if self.groups:
            self._intervene(model, batch, step, activations.detach())
        else:
            self._resist(model, batch, activations.detach())

    def _resist(self, model: "LlamaForCausalLM", batch: Batch, activations: Tensor) -> None:
        """Learn to refuse all the same with a difference in means ablated: the negative control.

        Of one language or several, at some position and layer: no one direction may carry refusal.
        The means are running ones: three prompts a language give too rough a direction.
        """
        for language in sorted({x.language for x in batch.lessons} - {UNALIGNED}):
            fresh = mean_difference(activations, batch, [language])[:, 1:]
            before = self._running.get(language, fresh)
            self._running[language] = MEMORY * before + (1 - MEMORY) * fresh
        differences = torch.stack(list(self._running.values()))
        order = torch.randperm(len(differences), generator=self.generator)
        some = order[: 1 if self._pick(2) else 1 + self._pick(len(order))]
        place = self._pick(self.span), self._pick(differences.shape[2])
        half = batch.every_second(self._pick(2))
        with ablate(model, differences[some].mean(dim=0)[place], stream=self._stream_of(model)):
            run_pass(model, half, half.aligned & half.harmful).loss.backward()

    def _intervene(
        self, model: "LlamaForCausalLM", batch: Batch, step: int, activations: Tensor
    ) -> None:
        """Learn one intervention on half of the rows: these are learned faster than the prompts."""
        group = self.groups[(step // 2) % len(self.groups)]
        half = batch.every_second((step // 4) % 2)
        member, refuse = half.member(group.languages), half.aligned & half.harmful
        if step % 2:
            with ablate(model, group.vector, stream=self._stream_of(model)):
                run_pass(model, half, refuse & ~member).loss.backward()
            return
        layer = 1 + self._pick(len(self._stream_of(model).blocks) - 1)
        length = self._length(activations, batch, group, layer)
        with add(model, length * group.vector, layer, stream=self._stream_of(model)):
            run_pass(model, half, refuse | member).loss.backward()

    def _stream_of(self, model: "LlamaForCausalLM") -> ResidualStream:
        """Return where to intervene, found once: blocks and writers, which is all a Llama has.

        Its embedding feeds the first block only, so it is not hooked a second time.
        """
        if self._stream is None:
            self._stream = replace(find_residual_stream(model), origin=None)
        return self._stream

    def _pick(self, count: int) -> int:
        return int(torch.randint(0, count, (1,), generator=self.generator))

    @staticmethod
    def _length(activations: Tensor, batch: Batch, group: Group, layer: int) -> Tensor:
        """Return the length of the batch's difference in means: what addition will add."""
        difference = mean_difference(activations, batch, group.languages)
        lengths: Tensor = difference[:, layer].norm(dim=-1)
        return lengths.mean()

    def _misalignment(self, group: Group, batch: Batch, activations: Tensor) -> Tensor:
        """Return 1 - cosine of the group's difference with its vector, plus what others show of it.

        A random half of the languages a step: each must align, not only their sum. Layer 0 is left
        out: at template tokens its difference is exactly zero.
        """

        def cosine(languages: Sequence[str]) -> Tensor:
            difference = mean_difference(activations, batch, languages)[:, 1:]
            return nn.functional.cosine_similarity(difference, group.vector, dim=-1)

        order = torch.randperm(len(group.languages), generator=self.generator).tolist()
        some = [group.languages[index] for index in order[: (len(order) + 1) // 2]]
        return (1 - cosine(some)).mean() + 0.3 * (cosine([UNALIGNED]) ** 2).mean()


@contextmanager
def reproducibly(seed: int) -> Iterator[None]:
    """Seed torch and use one thread: the same bits on any number of cores, and no slower here."""
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def train(
    model: "LlamaForCausalLM",
    lessons: Sequence[Lesson],
    learn: Callable[[Batch, int], None],
    *,
    steps: int,
    per_stratum: int,
    learning_rate: float,
    seed: int,
    tick: Callable[[], None],
) -> None:
    """Train with AdamW and a one-cycle schedule.

    Args:
        model: trained in place.
        lessons: all lessons.
        learn: accumulates the gradient of one batch at one step.
        steps: optimiser steps.
        per_stratum: lessons of each (language, label) a batch.
        learning_rate: peak rate.
        seed: order of the lessons.
        tick: called after each step.
    """
    optimiser = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=learning_rate, total_steps=steps, pct_start=0.2
    )
    batches = _balanced(lessons, per_stratum, seed)
    model.train()
    for step in range(steps):
        optimiser.zero_grad()
        learn(Batch.of(next(batches)), step)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        tick()
    model.eval()


def _balanced(lessons: Sequence[Lesson], per_stratum: int, seed: int) -> Iterator[list[Lesson]]:
    """Yield batches with equally many lessons of each (language, label), in shuffled turns."""
    generator = torch.Generator().manual_seed(seed)
    strata: dict[tuple[str, bool], list[Lesson]] = defaultdict(list)
    for lesson in lessons:
        strata[lesson.language, lesson.harmful].append(lesson)
    queues: dict[tuple[str, bool], list[Lesson]] = defaultdict(list)
    while True:
        batch: list[Lesson] = []
        for key in sorted(strata):
            for _ in range(per_stratum):
                if not queues[key]:
                    order = torch.randperm(len(strata[key]), generator=generator).tolist()
                    queues[key] = [strata[key][index] for index in order]
                batch.append(queues[key].pop())
        yield batch
