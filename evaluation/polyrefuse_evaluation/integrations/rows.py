"""The test prompts as other frameworks take them: plain rows, harmful and harmless in turn.

Read and checked exactly as `polyrefuse evaluate` does. Knows no framework.
"""

from collections.abc import Sequence
from itertools import chain, zip_longest
from pathlib import Path

from polyrefuse.prompts import LABELS, Prompt
from polyrefuse_evaluation.prompt_sets import PromptSets, read_prompt_sets

COLUMNS = ("id", "language", "label", "prompt", "prompt_en")
"""What a row holds: what a judge reads, and what names the prompt."""


def read_rows(
    dataset: str | Path | None = None,
    *,
    revision: str | None = None,
    languages: str | Sequence[str] | None = None,
    limit: int | None = None,
) -> list[dict[str, str]]:
    """Return the test prompts, by language; in each, harmful and harmless in turn.

    Taken in turn, so that a framework's own limit of 2k rows a language is ours of k a label.

    Args:
        dataset: folder or Hub id; the packaged sample by default.
        revision: commit or tag of a Hub dataset.
        languages: languages to read; all that the dataset has by default.
        limit: most prompts of each label and language.

    Raises:
        DatasetError: see `read_prompt_sets`.
    """
    sets = read_test_prompts(dataset, revision=revision, languages=languages, limit=limit)
    return [as_row(prompt) for code in sets.languages for prompt in _in_turn(sets, code)]


def read_test_prompts(
    dataset: str | Path | None = None,
    *,
    revision: str | None = None,
    languages: str | Sequence[str] | None = None,
    limit: int | None = None,
) -> PromptSets:
    """Read the prompts of an evaluation that fits no directions; arguments as `read_rows`."""
    return read_prompt_sets(
        dataset, revision=revision, languages=languages, source_languages=(), limit=limit
    )


def as_row(prompt: Prompt) -> dict[str, str]:
    """Return the columns of a prompt that a framework gets to see."""
    return {name: str(getattr(prompt, name)) for name in COLUMNS}


def _in_turn(sets: PromptSets, language: str) -> list[Prompt]:
    sides = [sets.get(language, "test", label) for label in reversed(LABELS)]
    return [row for row in chain.from_iterable(zip_longest(*sides)) if row is not None]
