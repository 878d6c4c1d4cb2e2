"""Small corpora for tests of single checks, and faults planted in the packaged sample."""

import numpy as np
import pytest

from polyrefuse.dataset import SAMPLE_FOLDER
from polyrefuse.folder import read_prompts
from polyrefuse.prompts import Prompt, make_prompt_id
from polyrefuse_builders.validation.context import build_contexts
from polyrefuse_builders.validation.corpus import Context, Corpus
from polyrefuse_builders.validation.language_models import Familiarity


def make_prompt(language, english, text, number=0, label="harmless"):
    return Prompt(
        id=make_prompt_id(label, "made_up", str(number), english),
        language=language,
        label=label,
        prompt=text,
        prompt_en=english,
        source="made_up",
        source_id=str(number),
        license="CC-BY-4.0",
        split="test",
        translator="test",
        canary="test",
    )


@pytest.fixture(scope="session")
def prompt():
    return make_prompt


@pytest.fixture
def corpus_of():
    """Return a function that makes a corpus of (English, translation) pairs with a calm context."""

    def make(language, pairs, **context):
        rows = [make_prompt(language, *pair, number) for number, pair in enumerate(pairs)]
        size = len(rows)
        calm = {
            "detected": [language] * size,
            "confidence": [1.0] * size,
            "second": [""] * size,
            "familiarity": Familiarity(np.ones(size), [""] * size, np.zeros(size)),
            "peers": np.zeros(size),
            "kept": [frozenset()] * size,
            "twins": [""] * size,
            "reference": [None] * size,
        }
        return Corpus(language, rows, Context(**(calm | context)))

    return make


@pytest.fixture(scope="session")
def sample():
    return read_prompts(SAMPLE_FOLDER)


@pytest.fixture(scope="session")
def sample_corpus(sample):
    """Return a function that makes the corpus of one sample language, some texts replaced."""
    cache = {}

    def make(language, changes=None):
        rows = {}
        for row in sample:
            rows.setdefault(row.language, []).append(row)
        rows = {code: rows[code] for code in ("de", "en", "es", "zh", language)}
        for index, text in (changes or {}).items():
            rows[language] = list(rows[language])
            rows[language][index] = rows[language][index].model_copy(update={"prompt": text})
        key = (language, tuple(sorted((changes or {}).items())))
        if key not in cache:
            context = build_contexts(rows, [language])[language]
            cache[key] = Corpus(language, rows[language], context)
        return cache[key]

    return make
