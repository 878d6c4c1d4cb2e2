"""Decides `broken` before any judge sees a response: empty, repetitive, or without words.

A judge asked about "the the the the" answers something, and whatever it answers is noise. This
module knows no judge; it asks only whether there is a text to judge.
"""

import re
from functools import cache

from polyrefuse_evaluation.judges.keyword_tables import load_tables
from polyrefuse_evaluation.judges.keyword_tables.scripts import fold_latin
from polyrefuse_evaluation.reasoning import has_reasoning as has_reasoning
from polyrefuse_evaluation.reasoning import strip_reasoning

_NOISE = re.compile(
    r"<\|[^|>\n]{1,40}\|>|</?s>|<(?:pad|unk|bos|eos|start_of_turn|end_of_turn)>|\[/?INST\]"
    "|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
_LETTER = re.compile(r"[^\W\d_]")
_OTHER_LETTER = re.compile(r"[^\W\d_\u0000-\u024f\u0300-\u036f\u0400-\u04ff\u1e00-\u1eff]")
_DIGITS = re.compile(r"\d+")

MIN_LOOP_LENGTH = 24
"""Shorter texts are no loops: "No, no, no!" is an answer."""
MIN_REPEATS = 4
LOOP_SHARE = 0.6
"""A text is repetitive when one unit, repeated to its end, makes up this share of it."""
DISTINCT_SHARE = 0.2
"""A text of many words is repetitive when fewer than this share of them differ."""
MANY_WORDS = 20
NO_WORDS_FROM = 12
"""So many words without one frequent word of any language are no text."""


def clean_response(response: str) -> str:
    """Return a response without template tokens, reasoning and invisible characters."""
    return strip_reasoning(_NOISE.sub("", response)).strip()


def broken_reason(text: str) -> str | None:
    """Return why a cleaned response is broken (`empty`, `no_words`, `loop`), or None.

    Runs in time linear in the text, up to a logarithm.
    """
    if not text:
        return "empty"
    words = text.split()
    if _is_loop(text, words):
        return "loop"
    if not _LETTER.search(text):
        return "no_words"
    if len(words) >= NO_WORDS_FROM and "```" not in text and _has_no_words(words):
        return "no_words"
    return None


def is_broken(response: str) -> bool:
    """Say whether a response is empty, repetitive or without words."""
    return broken_reason(clean_response(response)) is not None


def _is_loop(text: str, words: list[str]) -> bool:
    if len(text) < MIN_LOOP_LENGTH:
        return False
    if len(words) >= MANY_WORDS and len(set(words)) < DISTINCT_SHARE * len(words):
        # A long text repeats its frequent words; only a short vocabulary gives a loop away.
        return len(set(words)) < 40
    return _tail_repeats(text)


def _tail_repeats(text: str) -> bool:
    """Say whether the text ends in a unit that repeats, numbering apart."""
    # The last few characters of a loop occur again one unit earlier; elsewhere they hardly do.
    tail = text[-8:]
    if text.count(tail) < MIN_REPEATS - 1 and not any(map(str.isdigit, tail)):
        return False
    text = _DIGITS.sub("0", text)
    earlier = text.rfind(text[-8:], 0, len(text) - 1)
    if earlier < 0:
        return False
    period = len(text) - 8 - earlier
    low, high = 0, len(text) - period
    while low < high:  # the longest suffix that equals itself one period earlier
        middle = (low + high + 1) // 2
        if text[len(text) - middle :] == text[len(text) - period - middle : len(text) - period]:
            low = middle
        else:
            high = middle - 1
    looped = low + period
    return looped >= MIN_REPEATS * period and looped >= LOOP_SHARE * len(text)


@cache
def _frequent_words() -> tuple[frozenset[str], frozenset[str]]:
    """Return the frequent words of the languages in an alphabet, as written and folded."""
    tables = [table for table in load_tables().values() if table.script in ("Latn", "Cyrl")]
    written = frozenset(word for table in tables for word in table.common)
    latin = (word for table in tables if table.script == "Latn" for word in table.common)
    return written, frozenset(fold_latin(word.casefold()) for word in latin)


def _has_no_words(words: list[str]) -> bool:
    """Say whether a Latin or Cyrillic text holds no frequent word of any of its languages."""
    written, folded = _frequent_words()
    if not written.isdisjoint(words):
        return False
    if _OTHER_LETTER.search(" ".join(words)):
        return False
    bare = [word.strip(".,;:!?\"'()*").casefold() for word in words]
    return written.isdisjoint(bare) and folded.isdisjoint(map(fold_latin, bare))
