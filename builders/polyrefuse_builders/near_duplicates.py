"""Find English prompts that say nearly the same, and group them, with MinHash (datasketch).

Two prompts are near duplicates if they share `THRESHOLD` of their words (Jaccard similarity of word
sets). MinHash with locality-sensitive hashing proposes candidate pairs without comparing all with
all; each candidate is then measured exactly, so that no pair is reported that is none. A pair at
the threshold is missed with a chance of 5e-8 (see `BANDS`).

The same texts always give the same groups: hashing has a fixed seed.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import combinations, product
from typing import NamedTuple

from polyrefuse.prompts import normalised

THRESHOLD = 0.8
"""Jaccard similarity of word sets, in [0, 1], from which two prompts are near duplicates."""

PERMUTATIONS = 128
BANDS, ROWS_A_BAND = 32, 4
"""A pair with similarity s becomes a candidate with probability 1 - (1 - s^4)^32."""


class NearPair(NamedTuple):
    """Two texts by position, the first the lower, and the similarity of their words in [0, 1]."""

    first: int
    second: int
    similarity: float


def near_duplicate_pairs(texts: Sequence[str]) -> list[NearPair]:
    """Return all pairs of near duplicates (and of duplicates) among `texts`, sorted."""
    words = [word_set(text) for text in texts]
    pairs = []
    for first, second in sorted(_candidates(words)):
        similarity = jaccard(words[first], words[second])
        if similarity >= THRESHOLD:
            pairs.append(NearPair(first, second, similarity))
    return pairs


def clusters(size: int, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Return the connected groups of 0 .. size - 1 under `pairs`: sorted, each position once."""
    parent = list(range(size))

    def root(position: int) -> int:
        while parent[position] != position:
            parent[position] = parent[parent[position]]
            position = parent[position]
        return position

    for first, second in pairs:
        low, high = sorted((root(first), root(second)))
        parent[high] = low
    groups: dict[int, list[int]] = {}
    for position in range(size):
        groups.setdefault(root(position), []).append(position)
    return list(groups.values())


def word_set(text: str) -> frozenset[str]:
    """Return the words of `text` as they are compared; a text without any is its own word."""
    plain = normalised(text)
    return frozenset(re.findall(r"\w+", plain)) or frozenset({plain})


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """Return the shared fraction of two non-empty word sets, in [0, 1]."""
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared)


def _candidates(words: Sequence[frozenset[str]]) -> set[tuple[int, int]]:
    """Return pairs of positions that fall into one bucket in some band."""
    from datasketch import MinHash, MinHashLSH

    distinct: dict[frozenset[str], list[int]] = {}
    for position, own in enumerate(words):
        distinct.setdefault(own, []).append(position)
    index = MinHashLSH(num_perm=PERMUTATIONS, params=(BANDS, ROWS_A_BAND))
    encoded = ([word.encode() for word in sorted(own)] for own in distinct)
    sketches = MinHash.bulk(encoded, num_perm=PERMUTATIONS, seed=1)
    found = {pair for same in distinct.values() for pair in combinations(same, 2)}
    members = list(distinct.values())
    for number, sketch in enumerate(sketches):
        for other in index.query(sketch):
            both = product(members[other], members[number])
            found.update((min(pair), max(pair)) for pair in both)
        index.insert(number, sketch)
    return found
