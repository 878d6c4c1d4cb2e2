"""What geometry costs: memory and time on made-up activations, and what its intervals cover.

``python benchmarks/geometry.py memory``: 14 languages x 256 prompts x 32 layers x 4096 (or as
``--languages --prompts --layers --hidden`` say) through every analysis that needs no answers;
prints the peak of resident memory beyond the libraries and the seconds of each stage, for all
languages and for half of them, so that the cost of a language is seen. The bound is 2 GiB.

``python benchmarks/geometry.py coverage``: how often the intervals of cosines hold the truth, over
true cosines, prompts, noise and twins, beside the percentile bootstrap's.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from polyrefuse_evaluation.geometry import analyse
from polyrefuse_evaluation.geometry.analyse_cosines import CosineAnalysis
from polyrefuse_evaluation.geometry.contrasts import LanguageSample, contrast
from polyrefuse_evaluation.geometry.cosines import cosines
from polyrefuse_evaluation.geometry.extract import Samples
from polyrefuse_evaluation.geometry.groups import PromptKey, group_prompts
from polyrefuse_evaluation.geometry.places import Place, Places
from polyrefuse_evaluation.geometry.store import ActivationStore, Batch

LABELS = ("harmful", "harmless")
LIMIT_GIB = 2.0


def gib() -> float:
    """Return the most memory this process has had, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def rows_of(rng: np.random.Generator, n: int, layers: int, shift: np.ndarray) -> Iterator[Batch]:
    for start in range(0, n, 16):
        rows = list(range(start, min(start + 16, n)))
        values = rng.standard_normal((len(rows), 1, layers, len(shift)), dtype=np.float32)
        yield rows, values + shift


def make_samples(folder: Path, languages: int, n: int, layers: int, hidden: int) -> Samples:
    rng = np.random.default_rng(0)
    direction = rng.standard_normal(hidden).astype(np.float32) * np.float32(8 / hidden**0.5)
    store = ActivationStore(folder, [-1], layers, hidden)
    codes = tuple(f"l{at:02d}" for at in range(languages))
    for code in codes:
        for label in LABELS:
            shift = direction if label == "harmful" else np.zeros_like(direction)
            store.write(code, label, n, rows_of(rng, n, layers, shift))
    ids = {(code, label): [f"{label}-{i}" for i in range(n)] for code in codes for label in LABELS}
    groups = group_prompts(
        PromptKey(key, label) for (_, label), keys in ids.items() for key in keys
    )
    members = {key: groups.of(found) for key, found in ids.items()}
    return Samples(store, codes, groups, members, ids)


def run_stages(samples: Samples, resamples: int) -> dict[str, float]:
    place = Place(-1, samples.store.layers // 2)
    sources = dict.fromkeys(samples.languages, place)
    places = Places(sources, frozenset(sources), place, samples.languages[0])
    seconds: dict[str, float] = {}

    def timed(name: str, action: Callable[[], object]) -> object:
        started = time.monotonic()
        result = action()
        seconds[name] = time.monotonic() - started
        print(f"  {name:<14} {seconds[name]:7.1f} s   peak {gib():.2f} GiB", flush=True)
        return result

    cosine = CosineAnalysis(samples, places, resamples, 0)
    timed("reference", cosine.at_reference)
    timed("pairs", lambda: sum(1 for _ in cosine.pairs()))
    timed("layers", lambda: sum(1 for _ in cosine.layers()))
    timed("components", lambda: analyse.component_rows(samples, cosine.reference))
    timed("separation", lambda: list(analyse.separation_rows(samples, -1, 0)))
    timed("probes", lambda: list(analyse.probe_rows(samples, cosine.reference, 0)))
    timed("reliability", lambda: list(analyse.reliability_rows(samples, cosine.reference, 0)))
    timed("learning", lambda: list(analyse.learning_rows(samples, cosine.reference, 0)))
    timed("angles", lambda: list(analyse.angle_rows(samples, cosine.reference)))
    return seconds


def memory(options: argparse.Namespace) -> int:
    before = gib()
    totals = {}
    for languages in (max(2, options.languages // 2), options.languages):
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            started = time.monotonic()
            n = options.prompts // 2
            samples = make_samples(Path(folder), languages, n, options.layers, options.hidden)
            size = sum(p.stat().st_size for p in samples.store.folder.iterdir()) / 2**30
            print(f"{languages} languages x {options.prompts} prompts x {options.layers} layers x "
                  f"{options.hidden}: {size:.2f} GiB on disk, written in "
                  f"{time.monotonic() - started:.1f} s")  # fmt: skip
            totals[languages] = sum(run_stages(samples, options.resamples).values())
    beyond = gib() - before
    (half, short), (whole, long) = totals.items()
    print(f"peak beyond the libraries: {beyond:.2f} GiB (bound {LIMIT_GIB})")
    print(f"{whole} languages / {half} languages: {long / short:.2f} times the seconds")
    return int(beyond > LIMIT_GIB)


def coverage(_: argparse.Namespace) -> int:
    worst = 1.0
    print("cosine  prompts  signal  twins  basic corrected  percentile plain  bias plain/corrected")
    for n in (32, 128):
        for signal in (5, 50):
            for twins in (False, True):
                for truth in (0.0, 0.5, 0.9, 0.99):
                    held, usual, plain, corrected = try_cosine(truth, n, signal, twins)
                    worst = min(worst, held)
                    print(f"{truth:6.2f}  {n:7d}  {signal:6d}  {twins!s:>5}  {held:15.3f}  "
                          f"{usual:16.3f}  {plain:+.3f} / {corrected:+.3f}",
                          flush=True)  # fmt: skip
    print(f"least coverage {worst:.3f} (bound 0.90)")
    return int(worst < 0.9)


def try_cosine(
    truth: float, n: int, signal: float, twins: bool, tries: int = 300
) -> tuple[float, ...]:
    rng = np.random.default_rng(0)
    hidden = 64
    first, other = np.linalg.qr(rng.normal(size=(hidden, 2)))[0].T
    pair = np.stack([first, truth * first + np.sqrt(1 - truth**2) * other])
    pair *= np.sqrt(signal * 2 / n)
    groups = group_prompts(
        PromptKey(f"{a}-{i}", a, f"{b}-{i}" if twins else None)
        for a, b in (LABELS, LABELS[::-1])
        for i in range(n)
    )
    members = [groups.of([f"{label}-{i}" for i in range(n)]) for label in LABELS]
    scale = np.arange(1, hidden + 1) ** -0.5
    scale /= np.sqrt((scale**2).sum())
    results = []
    for seed in range(tries):
        twin = rng.normal(size=(n, hidden))
        values = []
        for _ in LABELS:
            common = rng.normal(size=(n, hidden))
            common = np.sqrt(0.5) * (common + twin) if twins else common
            own = rng.normal(size=(2, n, hidden))
            values.append(np.sqrt(0.5) * (common + own) * scale)
        values[0] = values[0] + pair[:, None]
        samples = [LanguageSample(values[0][k], values[1][k], *members) for k in (0, 1)]
        found = contrast(samples, groups)
        result = cosines(found, found, groups.draw(300, seed))
        low, high = np.quantile(result.resampled.plain[:, 0, 1], [0.025, 0.975])
        held = result.low[0, 1] <= truth <= result.high[0, 1]
        plain, corrected = result.plain[0, 1] - truth, result.corrected[0, 1] - truth
        results.append((held, low <= truth <= high, plain, corrected))
    return tuple(float(x) for x in np.mean(results, axis=0))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("memory", "coverage"))
    parser.add_argument("--languages", type=int, default=14)
    parser.add_argument("--prompts", type=int, default=256)
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--hidden", type=int, default=4096)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--folder", default=None, help="where activations are kept meanwhile")
    options = parser.parse_args()
    return {"memory": memory, "coverage": coverage}[options.what](options)


if __name__ == "__main__":
    sys.exit(main())
