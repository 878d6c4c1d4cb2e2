"""One row of a source, in English, before it has a split: what readers yield and splits sort."""

import hashlib
import unicodedata
from dataclasses import dataclass, field
from functools import cached_property

from polyrefuse.prompts import Label, Split, make_prompt_id, normalised


@dataclass(frozen=True)
class SourceRow:
    """One English prompt as its source has it.

    Attributes:
        source: name in the manifest.
        source_id: the source's own id, or file and position.
        text: the prompt, in NFC, outer white space removed.
        label: harmful or harmless.
        category: unified category; None for a harmless row whose source names none.
        source_category: the source's own label.
        licence: SPDX identifier of the source.
        own_split: the split that the source gives it, if the manifest says so.
        pair_key: names its twin of the other label: the same key in the source `pair_with`.
    """

    source: str
    source_id: str
    text: str
    label: Label
    category: str | None
    source_category: str | None
    licence: str
    own_split: Split | None = None
    pair_key: tuple[str, str] | None = None

    @cached_property
    def id(self) -> str:
        """Stable id of the prompt."""
        return make_prompt_id(self.label, self.source, self.source_id, self.text)

    @cached_property
    def key(self) -> str:
        """The text as duplicates are compared."""
        return normalised(self.text)

    @cached_property
    def rank(self) -> float:
        """A fixed number in [0, 1): a limit keeps the lowest. Twins share theirs."""
        return hash_fraction("polyrefuse-limit-1", "\n".join(self.pair_key or (self.id,)))


@dataclass(frozen=True, slots=True)
class Skipped:
    """Rows that a policy of the manifest leaves out, counted."""

    source: str
    reason: str
    rows: int


@dataclass(frozen=True)
class SourceRows:
    """All that was read of one source."""

    source: str
    rows: list[SourceRow]
    skipped: list[Skipped] = field(default_factory=list)


def hash_fraction(salt: str, text: str) -> float:
    """Return a number in [0, 1) that depends on `salt` and `text` alone."""
    digest = hashlib.sha256(f"{salt}\n{text}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def clean(text: str) -> str:
    """Return `text` in NFC without outer white space; nothing else is changed."""
    return unicodedata.normalize("NFC", text).strip()
