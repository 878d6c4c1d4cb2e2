"""Prove ablation on a tiny model of every decoder-only type of the installed transformers.

``python -m benchmarks.architectures [--only llama,gemma2] [--jobs 2] [--out PAGE]``: writes
evaluation/ARCHITECTURES.md. Each type runs in a process of its own with bounded time and memory.
Finished types are kept in a JSONL file and skipped when the script is run again; ``--fresh`` starts
over. With ``--only`` the results are printed and no page is written.
"""

import argparse
import json
import multiprocessing
import os
import resource
import sys
import time
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
for folder in (ROOT, ROOT / "evaluation"):
    sys.path.insert(0, str(folder))

PAGE = ROOT / "evaluation" / "ARCHITECTURES.md"
SECONDS, MEMORY = 180, 12 * 2**30


def main() -> int:
    options = _options()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import torch
    import transformers

    from benchmarks.architecture_recipes import prove
    from benchmarks.architecture_recipes.catalogue import decoder_types

    assert prove  # imported once, shared by all processes

    torch.set_num_threads(1)  # before the forks, which share what is imported
    transformers.logging.set_verbosity_error()
    versions = {
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "date": datetime.now(UTC).date().isoformat(),
    }
    kinds = options.only.split(",") if options.only else decoder_types()
    done = {} if options.fresh or options.only else _finished(options.log, versions)
    for row in _run([kind for kind in kinds if kind not in done], options.jobs):
        done[row["kind"]] = row
        print(_line(row), flush=True)
        if not options.only:
            _keep(options.log, {**row, "versions": versions})
    outcomes = [done[kind] for kind in kinds]
    print(f"{sum(row['verified'] for row in outcomes)} of {len(outcomes)} verified")
    if not options.only:
        from benchmarks.architecture_recipes.page import render_page

        options.out.write_text(render_page(outcomes, versions), encoding="utf-8")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", default="", help="comma-separated model types")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    parser.add_argument("--out", type=Path, default=PAGE)
    parser.add_argument("--log", type=Path, default=ROOT / "build" / "architectures.jsonl")
    parser.add_argument("--fresh", action="store_true", help="forget finished types")
    return parser.parse_args()


def _run(kinds: list[str], jobs: int) -> Any:
    """Yield an outcome for each type, at most `jobs` processes at a time."""
    context = multiprocessing.get_context("fork")
    waiting, running = list(kinds), dict[str, tuple[BaseProcess, Connection, float]]()
    while waiting or running:
        while waiting and len(running) < max(1, jobs):
            kind = waiting.pop(0)
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=_child, args=(kind, sender))
            process.start()
            sender.close()
            running[kind] = (process, receiver, time.monotonic())
        for kind, (process, receiver, started) in list(running.items()):
            row = _result(kind, process, receiver, time.monotonic() - started)
            if row is not None:
                process.join()
                del running[kind]
                yield row
        time.sleep(0.02)


def _result(
    kind: str, process: BaseProcess, receiver: Connection, seconds: float
) -> dict[str, Any] | None:
    """Return the outcome once there is one; end a process that takes too long."""
    if receiver.poll():
        try:
            return dict(receiver.recv())
        except EOFError:
            return _failure(kind, "its process ended without a result")
    if seconds > SECONDS:
        process.kill()
        return _failure(kind, f"not proven within {SECONDS} s")
    return None


def _failure(kind: str, reason: str) -> dict[str, Any]:
    from benchmarks.architecture_recipes.prove import Outcome

    return Outcome(kind, False, reason).to_dict()


def _child(kind: str, sender: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115  # models warn about tiny sizes
    from benchmarks.architecture_recipes.prove import prove_type

    sender.send(prove_type(kind).to_dict())
    sender.close()


def _finished(log: Path, versions: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Return the outcomes of an interrupted run with the same libraries on the same day."""
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    rows = [json.loads(line) for line in lines if line.endswith("}")]
    return {row["kind"]: row for row in rows if row.pop("versions") == versions}


def _keep(log: Path, row: dict[str, Any]) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def _line(row: dict[str, Any]) -> str:
    if row["verified"]:
        return f"{row['kind']}: verified, {row['writers']} writers, {row['max_projection']:.1e}"
    return f"{row['kind']}: NOT verified: {row['reason']}"


if __name__ == "__main__":
    sys.exit(main())
