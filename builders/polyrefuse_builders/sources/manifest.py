"""The manifest of sources, builders/sources.toml: what it may say, checked key by key.

Every model forbids unknown keys, so a typo is an error that names file and key. Knows nothing of
how files are had (fetch.py) or read (read_source.py).
"""

import math
import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from polyrefuse.categories import CATEGORIES
from polyrefuse.prompts import Label, Split
from polyrefuse_builders.sources.toml_file import read_toml

Format = Literal["csv", "json", "jsonl", "text", "parquet", "upstream"]
Host = Literal["github", "huggingface", "url", "folder"]

DEFAULT_SHARES: dict[Split, float] = {"train": 0.5, "validation": 0.15, "test": 0.35}

SourceName = Annotated[str, Field(pattern=r"^[a-z0-9]+(_[a-z0-9]+)*$")]


class Strict(BaseModel):
    """A table of a TOML file: unknown keys are errors, values are not coerced."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class SourceFile(Strict):
    """One file of a source: where it stands in the repository, and its digest where known."""

    path: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    split: Split | None = None
    label: Label | None = None

    @field_validator("path")
    @classmethod
    def _stays_inside(cls, value: str) -> str:
        path = PurePosixPath(value)
        if not value or path.is_absolute() or ".." in path.parts or "\\" in value:
            raise ValueError("must be a relative path with '/', without '..'")
        if not value.isprintable():
            raise ValueError("must not hold control characters")
        return value


class Columns(Strict):
    """Which column holds what; `pair` joins a harmful and a harmless row (see `pair_with`)."""

    text: str
    category: str | None = None
    id: str | None = None
    label: str | None = None
    pair: str | None = None


class Filter(Strict):
    """Keep a row only if its `column` equals, or does not contain (letter case aside), a text."""

    column: str
    equals: str | None = None
    not_contains: str | None = None

    @model_validator(mode="after")
    def _one_condition(self) -> Self:
        if (self.equals is None) == (self.not_contains is None):
            raise ValueError("needs exactly one of 'equals' and 'not_contains'")
        return self

    def keeps(self, value: str) -> bool:
        """Whether a row with this value stays."""
        if self.equals is not None:
            return value.strip() == self.equals
        return str(self.not_contains).casefold() not in value.casefold()


class Source(Strict):
    """One source. See the comments at the top of builders/sources.toml for every key."""

    title: str
    homepage: str
    paper: str | None = None
    licence: str = Field(min_length=1)
    non_commercial: bool = False
    enabled: bool = True
    confirmed: bool
    note: str | None = None
    host: Host
    repository: str = Field(min_length=1)
    revision: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] | None = None
    format: Format
    files: tuple[SourceFile, ...] = ()
    columns: Columns | None = None
    filters: tuple[Filter, ...] = ()
    label: Label | None = None
    labels: dict[str, Label] = Field(default_factory=dict)
    split: Literal["hash", "own", "train", "validation", "test"]
    shares: dict[Split, float] = Field(default_factory=lambda: dict(DEFAULT_SHARES))
    categories: dict[str, str] = Field(default_factory=dict)
    empty_text: Literal["error", "skip"] = "error"
    pair_with: SourceName | None = None

    @field_validator("files", "filters", mode="before")
    @classmethod
    def _list_to_tuple(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("categories")
    @classmethod
    def _known_categories(cls, value: dict[str, str]) -> dict[str, str]:
        for name, category in value.items():
            if category not in CATEGORIES:
                known = ", ".join(CATEGORIES)
                raise ValueError(f"{name!r} is mapped to {category!r}, which is not one of {known}")
        return value

    @field_validator("shares")
    @classmethod
    def _sum_to_one(cls, value: dict[Split, float]) -> dict[Split, float]:
        if min(value.values(), default=-1) < 0 or not math.isclose(sum(value.values()), 1):
            raise ValueError("must not be negative and must sum to 1")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.format == "upstream":
            if self.host != "folder" or self.files or self.columns:
                raise ValueError("format 'upstream' needs host 'folder', no 'files', no 'columns'")
            return self
        if not self.files:
            raise ValueError("needs 'files'")
        if self.columns is None and self.format in ("csv", "parquet"):
            raise ValueError(f"format {self.format!r} needs 'columns'")
        self._require_label()
        if self.split == "own" and any(file.split is None for file in self.files):
            raise ValueError("split 'own' needs a 'split' for each file")
        if (self.pair_with is None) != (self.columns is None or self.columns.pair is None):
            raise ValueError("'pair_with' and columns.pair go together")
        return self

    def _require_label(self) -> None:
        in_files = all(file.label for file in self.files)
        in_column = bool(self.columns and self.columns.label and self.labels)
        if [self.label is not None, in_files, in_column].count(True) != 1:
            raise ValueError(
                "needs exactly one of: 'label', a label for each file, "
                "columns.label together with 'labels'"
            )

    @property
    def pinned(self) -> bool:
        """Whether `revision` is a commit, not a branch."""
        return bool(self.revision and re.fullmatch(r"[0-9a-f]{40}", self.revision))


class Manifest(Strict):
    """All sources, by name."""

    sources: dict[SourceName, Source]

    @model_validator(mode="after")
    def _pairs_exist(self) -> Self:
        for name, source in self.sources.items():
            if source.pair_with is not None and source.pair_with not in self.sources:
                raise ValueError(f"{name}.pair_with names no source: {source.pair_with!r}")
        return self


def read_manifest(path: Path) -> Manifest:
    """Read and check a manifest of sources.

    Raises:
        ManifestError: the file cannot be read, is no TOML, or a key or value is wrong; names the
            file and the key.
    """
    return read_toml(path, Manifest)
