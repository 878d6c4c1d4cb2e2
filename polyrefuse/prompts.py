"""What one row of the dataset is: the schema of a prompt, and how its id is made.

Knows nothing of files (folder.py), of what must hold between rows (invariants.py) or of loading.
"""

import hashlib
import unicodedata
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from polyrefuse.categories import CATEGORIES
from polyrefuse.languages import LANGUAGES

if TYPE_CHECKING:
    from datasets import Features

Label = Literal["harmless", "harmful"]
Split = Literal["train", "validation", "test"]
Status = Literal["ok", "suspect", "failed"]

LABELS: tuple[Label, ...] = ("harmless", "harmful")
"""Names of the class label, in order: 0 = harmless, 1 = harmful."""

SPLITS: tuple[Split, ...] = ("train", "validation", "test")


class Verdict(StrEnum):
    """Verdict of one quality check on one row."""

    OK = "ok"
    SUSPECT = "suspect"
    FAILED = "failed"


class QualityCheck(BaseModel):
    """Result of one quality check on one row."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    check: str
    score: float | None = None
    verdict: Verdict


class Prompt(BaseModel):
    """One prompt in one language, with where it came from and what is known of its quality.

    `prompt` and `prompt_en` may be empty here: emptiness is a violation that `data check` reports
    with its place (invariants.py), not a reason to stop reading.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1)
    language: str
    label: Label
    prompt: str
    prompt_en: str
    category: str | None = None
    source_category: str | None = None
    source: str
    source_id: str
    license: str
    split: Split
    pair_id: str | None = None
    translator: str
    translator_revision: str | None = None
    translated_at: str | None = None
    qa: list[QualityCheck] = Field(default_factory=list)
    status: Status = "ok"
    canary: str

    @field_validator("language")
    @classmethod
    def _known_language(cls, value: str) -> str:
        if value not in LANGUAGES:
            raise ValueError(f"unknown language {value!r}; known: {', '.join(LANGUAGES)}")
        return value

    @field_validator("category")
    @classmethod
    def _known_category(cls, value: str | None) -> str | None:
        if value is not None and value not in CATEGORIES:
            raise ValueError(f"unknown category {value!r}; known: {', '.join(CATEGORIES)}")
        return value


def make_prompt_id(label: Label, source: str, source_id: str, prompt_en: str) -> str:
    """Return the stable id of a prompt: label, source and a hash of source_id and English text.

    The English text is hashed in NFC with outer white space removed, so that the id does not
    depend on how a file was saved.
    """
    text = unicodedata.normalize("NFC", prompt_en).strip()
    digest = hashlib.sha256(f"{source_id}\n{text}".encode()).hexdigest()[:12]
    return f"{label}-{source}-{digest}"


def normalised(text: str) -> str:
    """Return `text` as duplicates are compared: NFC, casefolded, white space collapsed."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def features() -> "Features":
    """Return the `datasets.Features` of every config (labels would load as strings without)."""
    from datasets import ClassLabel, Features, List, Value

    text = Value("string")
    columns = dict.fromkeys(Prompt.model_fields, text)
    check = {"check": text, "score": Value("float64"), "verdict": text}
    return Features({**columns, "label": ClassLabel(names=list(LABELS)), "qa": List(check)})
