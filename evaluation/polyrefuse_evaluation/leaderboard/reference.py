"""Figures that others have published: reported, not reproduced, and never ranked.

The data file is made by ``docs/leaderboard/make_reference_rows.py`` from the release's own
evaluation files.
"""

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Literal

DATA = "reference_rows.toml"
STATUS = "reported, not reproduced"


@dataclass(frozen=True)
class ReferenceSource:
    """Where the figures are from: paper, address, release and how they were made."""

    title: str
    authors: str
    venue: str
    arxiv: str
    url: str
    code: str
    commit: str
    licence: str
    judge: str
    decoding: str
    bibtex: str


@dataclass(frozen=True)
class ReferenceRow:
    """One model in one language and condition; rates are fractions, without intervals.

    Attributes:
        model: Hub id.
        language: ISO 639-1 code.
        condition: ``baseline``, or ``ablate:ja`` for the direction of a language.
        compliance: by the paper's judge (WildGuard on the English translation); its refusal is the
            rest.
        harmful_response: share of responses that the same judge calls harmful.
        substring_compliance: share of responses without an English refusal phrase.
        n: prompts.
    """

    model: str
    language: str
    condition: str
    compliance: float
    harmful_response: float
    substring_compliance: float
    n: int
    status: Literal["reported, not reproduced"] = "reported, not reproduced"

    @property
    def refusal(self) -> float:
        """Fraction refused, as the paper counts: what is not complied with."""
        return round(1 - self.compliance, 6)


@dataclass(frozen=True)
class ReferenceRows:
    """Published figures and their source."""

    source: ReferenceSource
    rows: tuple[ReferenceRow, ...]

    @property
    def models(self) -> list[str]:
        """Names of the models, in order."""
        return list(dict.fromkeys(row.model for row in self.rows))

    def average(self, model: str, condition: str) -> float | None:
        """Return the mean compliance of a model over the reported languages, or None."""
        found = [
            row.compliance for row in self.rows if (row.model, row.condition) == (model, condition)
        ]
        return sum(found) / len(found) if found else None


@lru_cache(maxsize=1)
def read_reference() -> ReferenceRows:
    """Return the packaged figures."""
    text = files("polyrefuse_evaluation.leaderboard").joinpath(DATA).read_text(encoding="utf-8")
    data = tomllib.loads(text)
    return ReferenceRows(
        ReferenceSource(**data["source"]), tuple(ReferenceRow(**row) for row in data["rows"])
    )
