"""Peak memory of extraction over many prompts, each number in a process of its own.

``python -m benchmarks.extraction_memory COUNT [keep]`` is that process: it runs `extract` over
COUNT prompts a label on a random tiny Llama, and prints its peak resident memory in bytes. The
prompts are made up as they are asked for, of few words, since tokenizers remember words. `keep`
stores every activation, to show that growth would be seen.
"""

import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def peak_memory(count: int, keep: bool = False) -> int:
    """Return the peak resident memory, in bytes, of extracting from `count` prompts a label."""
    command = [sys.executable, "-m", "benchmarks.extraction_memory", str(count)]
    done = subprocess.run(
        [*command, *(["keep"] if keep else [])],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=900,
    )
    return int(done.stdout.splitlines()[-1])


def main() -> int:
    import torch

    from benchmarks.bench_models import LANGUAGE, random_bench
    from polyrefuse_evaluation import activations, extraction

    count, keep = int(sys.argv[1]), "keep" in sys.argv[2:]
    torch.set_num_threads(1)
    bench = random_bench(layers=4, hidden=64, prompts=8)
    record_sum = activations.record_sum
    kept = []

    def and_keep(loaded, sequences):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        kept.append(activations.record(loaded, sequences)[0])
        return record_sum(loaded, sequences)

    if keep:
        extraction.record_sum = and_keep

    def many(label: str) -> Iterator[object]:
        for index in range(count):
            row = bench.train[label][index % 8]
            yield row.model_copy(update={"prompt": f"{row.prompt} {index % 97}"})

    prompts = {label: many(label) for label in bench.train}
    extraction.extract(bench.loaded, prompts, LANGUAGE, 1024, bench.refusal_tokens[:10])
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    return 0


if __name__ == "__main__":
    sys.exit(main())
