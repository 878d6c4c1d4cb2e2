"""Expected cost of a full evaluation: passes, tokens, bytes, hours, by formula.

    python benchmarks/cost_model.py [--prompt-tokens 45] [--answer-tokens 300] [--sources 3]

Counts work from the shape of a model and of the dataset, and divides it by what a device can do.
The shares of peak that are reached (--compute-share, --bandwidth-share) and the time a layer takes
to start (--launch-ms) are assumptions unless you measured them on your device with
benchmarks/pipeline.py. docs/scale.md explains the formulas.
"""

import argparse
import sys
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

LANGUAGES = 14
LATE_LAYERS = 0.8
GIB = 2**30


@dataclass(frozen=True)
class Shape:
    """A decoder: what decides its cost.

    Attributes:
        name: of a model of this shape.
        parameters: number of weights.
        layers: decoder blocks.
        hidden: width of the residual stream.
        cache_width: keys and values a token and layer, in numbers (2 x KV heads x head size).
    """

    name: str
    parameters: float
    layers: int
    hidden: int
    cache_width: int


@dataclass(frozen=True)
class Device:
    """One accelerator: peak of bfloat16 in FLOP/s, memory in bytes, bytes/s of its memory."""

    name: str
    flops: float
    memory: float
    bandwidth: float


@dataclass(frozen=True)
class Work:
    """How much there is to do.

    Attributes:
        train: prompts of each label and source language.
        validation: prompts of each label and source language.
        test: prompts of both labels together, each language.
        sources: source languages.
        positions: post-instruction positions.
        prompt_tokens: of a rendered prompt, on average.
        answer_tokens: of an answer, on average.
        batch_tokens: most tokens of a batch, prompt and answer together (--batch-tokens).
    """

    train: int
    validation: int
    test: int
    sources: int
    positions: int
    prompt_tokens: int
    answer_tokens: int
    batch_tokens: int

    @property
    def conditions(self) -> int:
        """Baseline, each source direction, and the random control."""
        return 2 + self.sources

    @property
    def answers(self) -> int:
        """Answers to generate."""
        return self.test * LANGUAGES * self.conditions


SHAPES = (
    Shape("8B (32 x 4096)", 8.03e9, 32, 4096, 2 * 8 * 128),
    Shape("70B (80 x 8192)", 70.6e9, 80, 8192, 2 * 8 * 128),
)
DEVICES = (
    Device("80 GB, 3.35 TB/s", 989e12, 80e9, 3.35e12),
    Device("141 GB, 4.8 TB/s", 989e12, 141e9, 4.8e12),
)
BYTES = 2  # bfloat16
STAGES = ("extract", "select", "generate", "all")


def selection_tokens(work: Work, shape: Shape) -> tuple[float, float]:
    """Return tokens that go through the model for extraction, and for lazy selection.

    Selection: every eligible candidate is scored on harmful validation prompts; induce and KL are
    taken only down to the winner, a handful of candidates.
    """
    extraction = 2 * work.train * work.prompt_tokens * work.sources
    candidates = work.positions * int(LATE_LAYERS * shape.layers)
    bypass = candidates * work.validation * work.prompt_tokens * work.sources
    return extraction, bypass


def batch_size(work: Work, shape: Shape, device: Device, devices: int) -> int:
    """Return how many answers a batch has; 0 if the weights do not fit."""
    free = 0.9 * device.memory * devices - BYTES * shape.parameters
    tokens = work.prompt_tokens + work.answer_tokens
    each = BYTES * shape.layers * shape.cache_width * tokens
    return max(0, min(work.batch_tokens // tokens, int(free / each)))


@dataclass(frozen=True)
class Reached:
    """What of a device's peak is reached.

    Attributes:
        compute: share of peak FLOP/s.
        bandwidth: share of peak bytes/s.
        launch: seconds that a layer of one decoding step takes at least, however little there is
            to compute (kernel launches of eager PyTorch).
    """

    compute: float
    bandwidth: float
    launch: float


def step_seconds(
    shape: Shape, work: Work, device: Device, working: int, batch: int, reached: Reached
) -> float:
    """Return seconds of one decoding step of a batch: the slowest of reading, computing, launching.

    Reads all weights and the batch's cache once; computes 2 FLOPs a weight and row.
    """
    cache = BYTES * shape.layers * shape.cache_width * (work.prompt_tokens + work.answer_tokens / 2)
    read = BYTES * shape.parameters + batch * cache
    reading = read / (device.bandwidth * working * reached.bandwidth)
    computing = 2 * shape.parameters * batch / (device.flops * working * reached.compute)
    return max(reading, computing, reached.launch * shape.layers)


def hours(
    shape: Shape, work: Work, device: Device, devices: int, tensor_parallel: bool, reached: Reached
) -> dict[str, float] | None:
    """Return hours by stage, or None where the model does not fit.

    A model that fits on one device runs whole on each, and prompts are shared out. One that does
    not is spread over all: by layers (``device_map``), of which one device works at a time, or by
    tensor parallelism, where all do.
    """
    alone = batch_size(work, shape, device, 1) > 0
    group = 1 if alone else devices
    copies = devices // group
    working = group if tensor_parallel else 1
    batch = batch_size(work, shape, device, group)
    if not batch:
        return None
    rate = device.flops * working * reached.compute
    extraction, selection = selection_tokens(work, shape)
    steps = work.answers / batch * work.answer_tokens
    decoding = steps * step_seconds(shape, work, device, working, batch, reached)
    flops = 2 * shape.parameters
    prefill = flops * work.answers * work.prompt_tokens / rate
    return {
        "extract": flops * extraction / rate / 3600,
        "select": flops * selection / rate / 3600,
        "generate": (prefill + decoding) / copies / 3600,
    }


CASES = ((1, False), (8, False), (8, True))


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=int, default=128)
    parser.add_argument("--validation", type=int, default=32)
    parser.add_argument("--test", type=int, default=1144, help="572 harmful and 572 harmless")
    parser.add_argument("--sources", type=int, default=3)
    parser.add_argument("--positions", type=int, default=5)
    parser.add_argument("--prompt-tokens", type=int, default=45)
    parser.add_argument("--answer-tokens", type=int, default=300)
    parser.add_argument("--batch-tokens", type=int, default=16_384)
    parser.add_argument("--compute-share", type=float, default=0.4)
    parser.add_argument("--bandwidth-share", type=float, default=0.6)
    parser.add_argument("--launch-ms", type=float, default=0.6, help="milliseconds a layer")
    given = vars(parser.parse_args())
    reached = Reached(
        given.pop("compute_share"), given.pop("bandwidth_share"), given.pop("launch_ms") / 1000
    )
    work = Work(**given)
    console = Console(width=100)
    console.print(
        f"{work.answers:,} answers of {work.answer_tokens} tokens: {work.test} prompts x "
        f"{LANGUAGES} languages x {work.conditions} conditions",
        highlight=False,
    )
    table = Table(
        title=f"Expected hours: {reached.compute:.0%} of peak compute, {reached.bandwidth:.0%} of "
        f"peak bandwidth, at least {1000 * reached.launch:.1f} ms a layer and step, "
        f"--batch-tokens {work.batch_tokens}"
    )
    for name in ("model", "device", "devices", "extract", "select", "generate", "all"):
        table.add_column(name, justify="right" if name in STAGES else "left")
    for shape in SHAPES:
        for device in DEVICES:
            for devices, tensor_parallel in CASES:
                alone = batch_size(work, shape, device, 1) > 0
                if tensor_parallel and alone:
                    continue
                found = hours(shape, work, device, devices, tensor_parallel, reached)
                cells = ["does not fit", "", "", ""]
                if found:
                    cells = [f"{value:.2f}" for value in (*found.values(), sum(found.values()))]
                how = "" if devices == 1 else ", copies" if alone else ", device_map"
                how = ", tensor parallel" if tensor_parallel else how
                table.add_row(shape.name, device.name, f"{devices}{how}", *cells)
    console.print(table)
    for shape in SHAPES:
        floats = 4 * work.positions * shape.layers * shape.hidden * 2
        cache = BYTES * shape.layers * shape.cache_width
        console.print(
            f"{shape.name}: weights {BYTES * shape.parameters / GIB:.0f} GiB; cache "
            f"{cache / 1024:.0f} KiB a token; means of all candidates "
            f"{2 * floats / 2**20:.1f} MiB a language, whatever the number of prompts",
            highlight=False,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
