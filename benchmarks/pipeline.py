"""This project beside the published procedure: the same work, in one run, in turns.

    python -m benchmarks.pipeline [selection] [evaluation] [memory] [--models planted,random]

``selection`` finds a refusal direction both ways on the planted model and on a random Llama of 12
layers and width 768, and compares winners, scores, token-layers (tokens without padding x blocks
computed) and seconds. ``evaluation`` adds the generation of both conditions, compares tokens, and
adds up the whole. ``memory`` measures what extraction holds for 100 and for 10,000 prompts.
Without a name all parts run. Exit codes: 0 all bounds hold, 1 one does not (named), 2 bad usage.
"""

import argparse
import sys
from collections.abc import Callable, Iterator

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.bench_models import Bench, planted_bench, random_bench
from benchmarks.compare_generation import END_SHARE, GenerationComparison, compare_generation
from benchmarks.compare_selection import Cost, SelectionComparison, compare_selection
from benchmarks.extraction_memory import peak_memory

MOST_WORK = 0.30
LEAST_SPEEDUP = 5.0
LEAST_OVERALL = 4.0
MOST_ABLATED = 1.05
SCORE_TOLERANCE = 1e-4
MOST_PARTING = 1e-5
"""Difference of two logits, relative to the largest, that rounding in float32 decides."""
MOST_GROWTH = 1.05
FEW_PROMPTS, MANY_PROMPTS, KEPT_PROMPTS = 100, 10_000, 3_000

console = Console(width=110)


def bench_of(name: str, arguments: argparse.Namespace) -> Bench:
    if name == "planted":
        return planted_bench(arguments.prompts)
    return random_bench(
        arguments.layers,
        arguments.hidden,
        arguments.prompts,
        dtype=getattr(torch, arguments.dtype),
        device=arguments.device,
    )


def run_selection(arguments: argparse.Namespace) -> Iterator[str]:
    """Compare selection on each model; yield what misses a bound."""
    for name in arguments.models.split(","):
        bench = bench_of(name, arguments)
        found = compare_selection(bench, arguments.rounds, arguments.batch_tokens)
        show_selection(found)
        yield from selection_faults(found, timed=name == "random")


def show_selection(found: SelectionComparison) -> None:
    table = Table("", "this project", "reference", "ratio", title=f"Selection: {found.model}")
    for stage, (ours, reference) in costs(found).items():
        table.add_row(
            f"{stage}: token-layers",
            f"{ours.token_layers:,}",
            f"{reference.token_layers:,}",
            f"{ours.token_layers / reference.token_layers:.3f}",
        )
        table.add_row(
            f"{stage}: seconds",
            f"{ours.seconds:.2f}",
            f"{reference.seconds:.2f}",
            f"{reference.seconds / ours.seconds:.2f}x faster",
        )
        table.add_row(
            f"{stage}: processor seconds",
            f"{ours.cpu_seconds:.2f}",
            f"{reference.cpu_seconds:.2f}",
            f"{reference.cpu_seconds / ours.cpu_seconds:.2f}x less",
        )
    console.print(table)
    ours, reference = found.winners
    passing, of = found.passing
    console.print(
        f"winner (position, layer): {ours} and {reference}; {passing} of {of} candidates pass the "
        f"filters; largest difference of {found.compared} scores: {found.difference:.1e}"
    )


def costs(found: SelectionComparison) -> dict[str, tuple[Cost, Cost]]:
    """Return the costs of the stages and of both together."""
    together = tuple(
        Cost(
            a.token_layers + b.token_layers,
            a.seconds + b.seconds,
            a.cpu_seconds + b.cpu_seconds,
        )
        for a, b in zip(found.extraction, found.selection, strict=True)
    )
    return {
        "extraction": found.extraction,
        "selection": found.selection,
        "together": (together[0], together[1]),
    }


def selection_faults(found: SelectionComparison, timed: bool) -> Iterator[str]:
    """Yield what misses a bound; seconds count on the larger model only."""
    ours, reference = found.selection
    if found.winners[0] != found.winners[1] or found.winners[0] is None:
        yield f"{found.model}: winners differ or there is none: {found.winners}"
    if not 0 < found.passing[0] < found.passing[1]:
        yield f"{found.model}: all candidates pass the filters, or none"
    if not found.difference <= SCORE_TOLERANCE:  # NaN is not
        yield f"{found.model}: scores differ by {found.difference:.1e}"
    if ours.token_layers > MOST_WORK * reference.token_layers:
        yield f"{found.model}: more than {MOST_WORK} of the reference's token-layers"
    if timed and reference.seconds < LEAST_SPEEDUP * ours.seconds:
        yield f"{found.model}: less than {LEAST_SPEEDUP} times faster"


def run_evaluation(arguments: argparse.Namespace) -> Iterator[str]:
    """Compare extraction, selection and generation of both conditions; yield what misses a bound.

    Not counted: this project's proof of ablation, which the published procedure does not have.
    """
    for name in arguments.models.split(","):
        bench = bench_of(name, arguments)
        selected = compare_selection(bench, arguments.rounds, arguments.batch_tokens)
        made = compare_generation(
            bench,
            arguments.rounds,
            arguments.generation_tokens,
            arguments.answers,
            arguments.max_new_tokens,
        )
        speedup = show_evaluation(selected, made, bench.loaded.device.type == "cpu")
        yield from selection_faults(selected, timed=False)
        apart = [gap for gap in made.partings if not gap <= MOST_PARTING]
        if apart:
            yield f"{name}: {len(apart)} answers differ where rounding does not decide: {apart}"
        if name == "random" and speedup < LEAST_OVERALL:
            yield f"{name}: the whole is less than {LEAST_OVERALL} times faster"
        if made.ratio > MOST_ABLATED:
            yield f"{name}: ablated generation takes {made.ratio:.3f} of the baseline's time"


def show_evaluation(
    selected: SelectionComparison, made: GenerationComparison, on_cpu: bool
) -> float:
    """Print the stages and the whole; return how many times faster the whole is.

    On a CPU, whose other users slow both sides by chance, processor time decides.
    """
    stages = {"extraction": selected.extraction, "selection": selected.selection}
    stages |= {f"generation, {name}": pair for name, pair in made.costs.items()}
    stages["decoding probe, once"] = (made.probe, Cost(0, 0.0))
    whole = {}
    table = Table("", "this project", "reference", "ratio", title=f"Evaluation: {made.model}")
    for unit, name in (("seconds", "seconds"), ("cpu_seconds", "processor seconds")):
        pairs = {k: tuple(getattr(cost, unit) for cost in pair) for k, pair in stages.items()}
        pairs["the whole"] = tuple(sum(column) for column in zip(*pairs.values(), strict=True))
        for stage, (ours, reference) in pairs.items():
            ratio = f"{reference / ours:.2f}x faster" if reference else ""
            table.add_row(f"{stage}: {name}", f"{ours:.2f}", f"{reference:.2f}", ratio)
        whole[unit] = pairs["the whole"]
    console.print(table)
    shortest, average, longest, ended = made.lengths
    parted = ""
    if made.partings:
        parted = f", parting where two logits are within {max(made.partings):.1e} of the largest"
    console.print(
        f"{made.prompts} prompts, each answered at baseline and ablated; {len(made.partings)} "
        f"answers differ{parted}. Answers at baseline have {shortest} to {longest} tokens, "
        f"{average:.1f} on average, and {ended} end before the limit. A random model seldom "
        f"ends by itself: {END_SHARE:.0%} of its vocabulary, drawn by seed, end its turn."
    )
    console.print(
        f"ablated by baseline time at equal work: {made.ratio:.3f}; projecting the weights and "
        f"restoring them: {made.projecting:.3f} s a condition"
    )
    ours, reference = whole["cpu_seconds" if on_cpu else "seconds"]
    return reference / ours


def run_memory(_: argparse.Namespace) -> Iterator[str]:
    """Compare peak memory of few and many prompts; yield what misses a bound."""
    few, many, kept = (
        peak_memory(FEW_PROMPTS),
        peak_memory(MANY_PROMPTS),
        peak_memory(KEPT_PROMPTS, keep=True),
    )
    table = Table("prompts a label", "MiB", title="Extraction: peak memory")
    for name, peak in (
        (f"{FEW_PROMPTS:,}", few),
        (f"{MANY_PROMPTS:,}", many),
        (f"{KEPT_PROMPTS:,}, activations kept", kept),
    ):
        table.add_row(name, f"{peak / 2**20:.1f}")
    console.print(table)
    growth = many / few
    console.print(f"growth: {growth:.3f}; were activations kept: {kept / few:.3f}")
    if growth > MOST_GROWTH:
        yield f"extraction: memory grows by {growth:.3f}"
    if kept <= MOST_GROWTH * few:
        yield "extraction: the measurement would not see activations being kept"


PARTS: dict[str, Callable[[argparse.Namespace], Iterator[str]]] = {
    "selection": run_selection,
    "evaluation": run_evaluation,
    "memory": run_memory,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", help=f"of: {', '.join(PARTS)}; default all")
    parser.add_argument("--models", default="planted,random", help="planted, random")
    parser.add_argument("--rounds", type=int, default=1, help="times that each side runs")
    parser.add_argument("--prompts", type=int, help="of each split and label; default all")
    parser.add_argument("--layers", type=int, default=12, help="of the random model")
    parser.add_argument("--hidden", type=int, default=768, help="width of the random model")
    parser.add_argument("--dtype", default="float32", help="of the random model")
    parser.add_argument("--device", default="cpu", help="of the random model")
    parser.add_argument(
        "--batch-tokens", type=int, default=4096, help="padded tokens a batch, ours"
    )
    parser.add_argument(
        "--generation-tokens", type=int, default=16_384, help="the same when generating, ours"
    )
    parser.add_argument(
        "--answers", type=int, default=2, help="test prompts of each label and language to answer"
    )
    parser.add_argument("--max-new-tokens", type=int, default=512, help="limit on an answer")
    parser.add_argument("--threads", type=int, help="torch threads")
    arguments = parser.parse_args()
    unknown = [part for part in arguments.parts if part not in PARTS]
    if unknown:
        parser.error(f"no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    faults = [fault for part in arguments.parts or PARTS for fault in PARTS[part](arguments)]
    for fault in faults:
        console.print(f"[red]bound missed:[/red] {fault}")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
