"""Time and memory of the safety residual space at the size of an 8B model, on synthetic data.

``python benchmarks/residual_space.py [prompts] [layers] [hidden] [--shift ridge]``: writes two
models' activations to a temporary folder layer by layer, then reads them back from the memory maps
and computes shift, components, bootstrap bands, nulls and probes of every layer. Prints wall
seconds, peak resident memory and the slowest step, and fails above 6 GiB or 5 minutes. Also prints
how long and how large a full singular value decomposition of one layer is, for comparison.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from polyrefuse_evaluation.geometry.store import ActivationStore, Batch
from polyrefuse_evaluation.residual_space.components import find_components
from polyrefuse_evaluation.residual_space.probes import LabelledScores, probe
from polyrefuse_evaluation.residual_space.shift import fit_shift
from polyrefuse_evaluation.residual_space.spectrum import halves_spectrum, noise_edge, rank_bands

GIB, SECONDS = 6, 300
LAST = [-1]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("prompts", type=int, nargs="?", default=700)
    parser.add_argument("layers", type=int, nargs="?", default=33)
    parser.add_argument("hidden", type=int, nargs="?", default=4096)
    parser.add_argument("--shift", choices=["identity", "ridge"], default="ridge")
    wanted = parser.parse_args()
    spent: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        stores = write(Path(folder), wanted.prompts, wanted.layers, wanted.hidden)
        started, processor = time.monotonic(), time.process_time()
        for layer in range(wanted.layers):
            analyse(stores, layer, wanted.prompts, wanted.shift, spent)
        seconds = time.monotonic() - started
        processor = time.process_time() - processor
        compare(stores)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{wanted.prompts} prompts x {wanted.layers} layers x {wanted.hidden}, {wanted.shift}: "
        f"{seconds:.0f} s ({processor:.0f} s of processor time), "
        f"threads: {torch.get_num_threads()}, "
        f"peak memory {peak:.2f} GiB"
    )
    for step, took in sorted(spent.items(), key=lambda item: -item[1]):
        print(f"  {step}: {took:.1f} s")
    return int(seconds > SECONDS or peak > GIB)


def write(folder: Path, prompts: int, layers: int, hidden: int) -> dict[str, ActivationStore]:
    """Write activations whose variances fall as in models, and a shift of rank 3 with noise."""
    random = np.random.default_rng(0)
    scale = (1 + np.arange(hidden, dtype=np.float32)) ** -0.75
    refused = labels(prompts)
    stores = {}
    for side in ("base", "tuned"):
        stores[side] = ActivationStore(folder / side, LAST, layers, hidden)

        def rows(side: str = side) -> Iterator[Batch]:
            for start in range(0, prompts, 100):
                chosen = list(range(start, min(start + 100, prompts)))
                seeded = np.random.default_rng(start)
                values = seeded.normal(size=(len(chosen), 1, layers, hidden)).astype(np.float32)
                values *= scale
                if side == "tuned":
                    values += 0.01 * random.normal(size=values.shape).astype(np.float32)
                    values[..., 0] += 2 * refused[chosen][:, None, None]
                yield chosen, values

        stores[side].write("en", "all", prompts, rows())
    return stores


def labels(prompts: int) -> np.ndarray:
    return np.random.default_rng(7).random(prompts) < 0.5


def analyse(
    stores: dict[str, ActivationStore], layer: int, prompts: int, kind: str, spent: dict[str, float]
) -> None:
    def timed(name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        started = time.monotonic()
        result = function(*arguments)
        spent[name] = spent.get(name, 0) + time.monotonic() - started
        return result

    base, tuned = (
        torch.from_numpy(timed("read", stores[side].read, "en", "all", -1, layer))
        for side in ("base", "tuned")
    )
    ids = [str(row) for row in range(prompts)]
    shift = timed("shift", fit_shift, kind, base, tuned, ids)
    found = timed("components", find_components, shift.rows, 6)
    timed("bootstrap bands", rank_bands, shift.rows, ids)
    timed("null of halves", halves_spectrum, base, ["en"] * prompts)
    timed("noise edge", noise_edge, found.spectrum, prompts, base.shape[1])
    refused = labels(prompts)
    scores = found.project(shift.rows).numpy()
    half = prompts // 2
    for component in range(scores.shape[1]):
        parts = [
            LabelledScores(
                scores[rows, component], refused[rows], ids[rows], ["en"] * len(ids[rows])
            )
            for rows in (slice(half), slice(half, None))
        ]
        timed("probes", probe, *parts)


def compare(stores: dict[str, ActivationStore]) -> None:
    """Print the time of a full decomposition of one layer beside that of the leading components."""
    rows = torch.from_numpy(
        stores["tuned"].read("en", "all", -1, 0) - stores["base"].read("en", "all", -1, 0)
    ).double()
    started = time.monotonic()
    torch.linalg.svd(rows - rows.mean(dim=0), full_matrices=False)
    plain = time.monotonic() - started
    started = time.monotonic()
    find_components(rows, 6)
    ours = time.monotonic() - started
    print(f"one layer: full decomposition {plain:.2f} s, leading components {ours:.2f} s")


if __name__ == "__main__":
    sys.exit(main())
