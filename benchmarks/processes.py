"""Compare one process with several that share an evaluation, each with one thread.

    python benchmarks/processes.py [--processes 2] [--rounds 3] [--limit 32]

Runs the planted model's evaluation alternately in one process and in several, in one go, and prints
answers a second, their ratio, and whether both made the same files. Exit codes: 0 the same results,
1 different ones.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
FILES = ("completions.jsonl", "judgements.jsonl", "directions.safetensors")


def run(out: Path, processes: int, arguments: list[str]) -> float:
    """Evaluate the planted model into `out`; return answers a second of its answering stage."""
    launcher = ["-m", "torch.distributed.run", "--standalone"]
    subprocess.run(
        [
            sys.executable,
            *([*launcher, "--nproc-per-node", str(processes)] if processes > 1 else []),
            *("-m", "polyrefuse", "evaluate", "planted", *arguments, "--out", str(out)),
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"},
        check=True,
        cwd=ROOT,
        capture_output=True,
    )
    stages = [json.loads(line) for line in (out / "log.jsonl").open(encoding="utf-8")]
    ends = (line for line in stages if line["event"] == "end")
    answer = next(line for line in ends if line["stage"] == "answer")
    return float(answer["total"] / answer["seconds"])


def main() -> int:
    """Measure, print, and say whether the results agree."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=int, default=32)
    chosen = parser.parse_args()
    arguments = ["--limit", str(chosen.limit), "--batch-tokens", "2048"]
    arguments += ["--source-languages", "en,de,zh,fr,ja,ru"]
    rates: dict[int, list[float]] = {1: [], chosen.processes: []}
    same = True
    with tempfile.TemporaryDirectory() as folder:
        for number in range(chosen.rounds):
            outs = []
            for processes, seen in rates.items():
                outs.append(Path(folder) / f"{number}-{processes}")
                seen.append(run(outs[-1], processes, arguments))
            one, several = outs
            same = same and all(
                (one / name).read_bytes() == (several / name).read_bytes() for name in FILES
            )
    for processes, seen in rates.items():
        shown = ", ".join(f"{rate:.1f}" for rate in seen)
        print(f"{processes} process(es), one thread each: {shown} answers/s")
    ratios = [b / a for a, b in zip(*rates.values(), strict=True)]
    print(
        f"ratio, median of {chosen.rounds} rounds: {median(ratios):.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f})"
    )
    print(f"the same files: {'yes' if same else 'NO'}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
