"""Checks that need only the text: identity, copies, characters, repetition."""

import re
import unicodedata
from collections import defaultdict

import ftfy

from polyrefuse.prompts import make_prompt_id, normalised
from polyrefuse_builders.validation.corpus import Corpus
from polyrefuse_builders.validation.finding import Finding, Findings, failed, measured, suspect
from polyrefuse_builders.validation.text import SYLLABIC, squeeze, words

_ID_HASH = re.compile(r"-[0-9a-f]{12}$")
_TRAIL = "\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
_MISREAD = re.compile(
    f"[ÂÃ](?=[{_TRAIL}])|[\u00e0-\u00ef][{_TRAIL}]{{2}}|[Ä-ß](?=[{_TRAIL}])(?![»\u00a0”’“…–—])"
    "|[a-z\u00df-\u00f6\u00f8-\u00ff][ÂÃÄÅÐÑÙØĂĹ](?![A-ZÀ-Þ])|Ã(?![A-ZÀ-Þ])|[ĂĹ](?![A-Z])"
    "|[A-Za-z][\u0370-\u04ff](?![\u0370-\u04ff]{2})|[\u0370-\u04ff]{2}[a-z]{2}"
)
"""UTF-8 of two or three bytes read as Windows-1252 or 1250, what is left when bytes were dropped,
and Cyrillic or Greek within Latin words (Windows-1251 or 1253)."""
_ENTITY = re.compile(r"&(?:#\d+|#x[0-9a-fA-F]+|amp|quot|apos|lt|gt|nbsp);")
_ZERO_WIDTH = ("\u200b", "\u00ad", "\ufeff", "\u2060")
_HARMLESS = {*_ZERO_WIDTH, "\u200c", "\u200d", "\u200e", "\u200f"}
"""Also joiners and direction marks: part of correct spelling in Arabic script and emoji."""


def empty(corpus: Corpus) -> Findings:
    """Find rows without a translation or without English.

    Misses: text that says nothing.
    """
    return {
        row: failed("the translation is empty" if english.strip() else "the English is empty")
        for row, english, text in _texts(corpus)
        if not (english.strip() and any(map(str.isalnum, text)))
    }


def parallel(corpus: Corpus) -> Findings:
    """Find rows whose English is not what their id stands for, in the dataset or by its hash.

    An English row must hold its English. Misses: a wrong translation beside the right English.
    """
    found: dict[int, Finding] = {}
    for index, row in enumerate(corpus.rows):
        reference = corpus.context.reference[index]
        if row.language == "en" and normalised(row.prompt) != normalised(row.prompt_en):
            found[index] = failed("the English prompt is not its own prompt_en")
        elif reference is not None and normalised(reference) != normalised(row.prompt_en):
            found[index] = failed("prompt_en is not the English prompt of the same id")
        elif _ID_HASH.search(row.id) and row.id.startswith(f"{row.label}-{row.source}-"):
            expected = make_prompt_id(row.label, row.source, row.source_id, row.prompt_en)
            if row.id != expected:
                found[index] = suspect("the id is not the hash of source_id and English text")
    return found


def untranslated(corpus: Corpus) -> Findings:
    """Find translations that are the English, or the translation of a row in another language.

    Case, spaces, punctuation and accents aside. Misses: copies with words added (see the language
    checks), and texts too short to tell (names, titles).
    """
    found: dict[int, Finding] = {}
    for row, english, text in _texts(corpus):
        if squeeze(english) == squeeze(text):
            found[row] = failed("the translation is a copy of the English")
        elif len(words(text)) >= 5 and _same_words(english, text) >= 0.9:
            found[row] = failed("the translation has the English words")
        elif corpus.context.twins[row] and corpus.context.detected[row] != corpus.code:
            twin = corpus.context.twins[row]
            found[row] = failed(f"the translation is a text of the {twin} rows")
    return found


def _same_words(english: str, text: str) -> float:
    """Return the fraction of the words of either that the other has too, in [0, 1]."""
    a, b = set(words(english)), set(words(text))
    return len(a & b) / max(len(a | b), 1)


def collision(corpus: Corpus) -> Findings:
    """Find translations that stand beside two different English prompts.

    Where the words tell which English it belongs to, only the other row is named. Misses: two
    prompts that are nearly the same translated nearly the same.
    """
    by_text: dict[str, list[int]] = defaultdict(list)
    for row, _, text in _texts(corpus):
        if squeeze(text):
            by_text[squeeze(text)].append(row)
    found: dict[int, Finding] = {}
    for rows in by_text.values():
        if len({squeeze(corpus.english[row]) for row in rows}) < 2:
            continue
        best = max(rows, key=lambda row: corpus.pairs.own[row]) if corpus.learnable else -1
        for row in rows:
            if row != best or not _clear_winner(corpus, rows, best):
                other = next(r for r in rows if r != row)
                found[row] = suspect(f"has the same translation as {corpus.rows[other].id}")
    return found


def _clear_winner(corpus: Corpus, rows: list[int], best: int) -> bool:
    """Whether the translation fits the English of `best` far better than that of the others."""
    if best < 0:
        return False
    return all(corpus.pairs.own[best] - corpus.pairs.own[row] > 4 for row in rows if row != best)


def characters(corpus: Corpus) -> Findings:
    """Find text that is not NFC, control and invisible characters, and HTML entities.

    Zero-width spaces and soft hyphens, which do not change what is read, are measured alone (score:
    how many). Misses: look-alike letters of another script within a word.
    """
    found: dict[int, Finding] = {}
    for row, english, text in _texts(corpus):
        hidden = {
            character
            for character in text
            if unicodedata.category(character) in {"Cc", "Cf", "Co", "Cn", "Cs"}
            and character not in "\n\t\r"
            and character not in _HARMLESS
            and character not in english
        }
        if hidden:
            names = ", ".join(sorted(f"U+{ord(character):04X}" for character in hidden))
            found[row] = suspect(f"holds invisible or control characters: {names}")
        elif not unicodedata.is_normalized("NFC", text):
            found[row] = suspect("is not in Unicode NFC")
        elif _ENTITY.search(text) and not _ENTITY.search(english):
            found[row] = suspect("holds HTML entities that the English does not")
        elif any(character in text for character in _ZERO_WIDTH):
            found[row] = measured(float(sum(map(text.count, _ZERO_WIDTH))))
    return found


def mojibake(corpus: Corpus) -> Findings:
    """Find UTF-8 read as Latin-1, Windows-1252 and the like, and replacement characters.

    By ftfy's heuristics, and by accented capitals that follow a small letter. Misses: wrong code
    pages that give plausible letters (see the script and unfamiliar checks).
    """
    found: dict[int, Finding] = {}
    for row, english, text in _texts(corpus):
        if "\ufffd" in text and "\ufffd" not in english:
            found[row] = failed("holds replacement characters: its bytes were lost")
        elif ftfy.fix_encoding(text) != text or _MISREAD.search(text):
            found[row] = failed("is mojibake: UTF-8 read in another encoding")
        elif text.count("?") >= 3 + english.count("?") and re.search(r"\?{3}|\w\?\w", text):
            found[row] = failed("has question marks in the place of letters")
    return found


def doubled(corpus: Corpus) -> Findings:
    """Find text that stands twice, and phrases that repeat where the English has no repetition.

    Misses: a sentence said twice in other words.
    """
    found: dict[int, Finding] = {}
    syllabic = corpus.language.script in SYLLABIC
    for row, english, text in _texts(corpus):
        tokens = list(squeeze(text)) if syllabic else words(text)
        size = 6 if syllabic else 3
        repeated = _repeated(tokens, size)
        if repeated >= 0.3 and _repeated(words(english), 2) < 0.15:
            found[row] = suspect(f"repeats itself: {repeated:.0%} stands twice", repeated)
    return found


def _repeated(tokens: list[str], size: int) -> float:
    """Return the fraction of runs of `size` tokens that stood before in the same text."""
    runs = [tuple(tokens[start : start + size]) for start in range(len(tokens) - size + 1)]
    return 1 - len(set(runs)) / len(runs) if runs else 0.0


def _texts(corpus: Corpus) -> list[tuple[int, str, str]]:
    return list(zip(range(len(corpus.rows)), corpus.english, corpus.translated, strict=True))
