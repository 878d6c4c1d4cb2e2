"""Time and memory of training one planted pair, in a process of its own, from nothing.

``python benchmarks/planted.py [single|two|none] [seed]``: prints wall seconds and peak resident
memory. The bounds are 90 s and 1 GiB; training takes one thread.
"""

import os
import resource
import sys
import tempfile
import time


def main() -> int:
    variant = sys.argv[1] if len(sys.argv) > 1 else "single"
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    with tempfile.TemporaryDirectory() as cache:
        os.environ["POLYREFUSE_CACHE"] = cache
        from polyrefuse_evaluation.planted import planted_pair

        started = time.monotonic()
        planted_pair(variant, seed)
        seconds = time.monotonic() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{variant}, seed {seed}: {seconds:.1f} s, peak memory {peak:.2f} GiB")
    return int(seconds > 90 or peak > 1)


if __name__ == "__main__":
    sys.exit(main())
