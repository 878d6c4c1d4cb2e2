"""The result of an evaluation: what `result.json` holds, and nothing that needs torch to read.

Rates are fractions in [0, 1]; no display strings, no completions, no vectors.
"""

import json
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from polyrefuse.calibration_schema import (
    Calibration,
    CorrectedRates,
    JudgeAgreement,
    LanguageComparison,
)
from polyrefuse.endpoint_schema import EndpointRecord
from polyrefuse.errors import DatasetError, first_problem
from polyrefuse.outcomes import JUDGED_OUTCOMES, Outcome
from polyrefuse.plain_file import plain
from polyrefuse.prompts import Label
from polyrefuse.run_records import (
    DatasetRecord,
    DirectionRecord,
    Environment,
    JudgeRecord,
    ModelRecord,
    Proof,
    Record,
    Settings,
)

__all__ = [
    "BASELINE",
    "MARK_UNPARSED_ABOVE",
    "RANDOM",
    "SCHEMA_VERSION",
    "Average",
    "Cell",
    "DatasetRecord",
    "Difference",
    "DirectionRecord",
    "Environment",
    "Finding",
    "JudgeRecord",
    "ModelRecord",
    "Proof",
    "Rate",
    "Result",
    "SecondOpinion",
    "Settings",
    "ablation_condition",
    "read_result",
]

SCHEMA_VERSION = 1

BASELINE = "baseline"
RANDOM = "ablate:random"


def ablation_condition(source_language: str) -> str:
    """Return the name of the condition in which the direction of `source_language` is ablated."""
    return f"ablate:{source_language}"


class Rate(Record):
    """A rate with its 95% interval and the bounds that unparsed responses leave open.

    All values are fractions in [0, 1], or None where nothing was judged. `low` and `high` are the
    Wilson interval of `value`; `minimum` and `maximum` are the rate if every unparsed response
    had been judged otherwise, or as this outcome.
    """

    value: float | None
    low: float | None
    high: float | None
    minimum: float | None
    maximum: float | None


MARK_UNPARSED_ABOVE = 0.05
"""Share of unparsed responses above which a cell's rates are marked as unreliable."""


class Cell(Record):
    """What happened to the prompts of one label in one language under one condition.

    `corrected` holds the rates without the judge's errors, where the judge is calibrated.
    `filtered` counts responses that a provider's filter withheld (they are among the refused), and
    `reasoning` those whose reasoning was taken out before judging.
    """

    language: str
    condition: str
    label: Label
    n: int = Field(ge=1)
    counts: dict[Outcome, int]
    refusal: Rate
    compliance: Rate
    deflection: Rate
    broken: Rate
    other_language: float | None = Field(
        description="share of responses identified as another language than the prompt's"
    )
    filtered: int = 0
    reasoning: int = 0
    corrected: CorrectedRates | None = None

    @property
    def judged(self) -> int:
        """Responses with a verdict."""
        return sum(self.counts.get(outcome, 0) for outcome in JUDGED_OUTCOMES)

    @property
    def marked(self) -> bool:
        """Whether so many responses are unparsed that the rates cannot be relied on."""
        return self.n - self.judged > MARK_UNPARSED_ABOVE * self.n


class Difference(Record):
    """Change of refusal against the baseline, paired by prompt id; in fractions, with interval.

    `p_value` is McNemar's exact test, `p_holm` the same after Holm's correction over the languages
    of the condition.
    """

    language: str
    condition: str
    label: Label
    n: int
    refusal: float
    low: float
    high: float
    p_value: float
    p_holm: float


class Average(Record):
    """Mean over languages, clustered by prompt id (seeded bootstrap).

    `reliable` is False where there are too few prompts for the interval's coverage.
    """

    condition: str
    label: Label
    languages: int
    prompts: int
    refusal: float
    refusal_low: float
    refusal_high: float
    compliance: float
    compliance_low: float
    compliance_high: float
    reliable: bool


class Finding(Record):
    """Whether ablating one direction changes refusal: the answer in numbers.

    `mediates` is True where refusal on harmful prompts drops, on average over the languages that
    refuse at baseline, by more than `threshold` beyond what the random control changes. Drops are
    fractions, paired by prompt; `mean_drop_low` and `mean_drop_high` are the 95% interval,
    clustered by prompt, None where no prompt was judged on both sides.
    """

    language: str
    mediates: bool
    languages_refusing: list[str]
    languages_freed: list[str]
    mean_drop: float
    mean_drop_low: float | None
    mean_drop_high: float | None
    random_drop: float
    threshold: float


class SecondOpinion(Record):
    """What another judge says of the same responses."""

    judge: JudgeRecord
    cells: list[Cell]


class Result(Record):
    """Everything an evaluation found, as written to ``result.json``.

    `proof` is None where nothing was ablated (a model behind an endpoint). `calibrations` are those
    of the judges that have one; `failed` counts responses that are unparsed because a model or a
    judge could not be asked, which running again mends.
    """

    schema_version: Literal[1] = 1
    model: ModelRecord
    dataset: DatasetRecord
    settings: Settings
    proof: Proof | None
    directions: list[DirectionRecord]
    cells: list[Cell] = Field(min_length=1)
    differences: list[Difference]
    averages: list[Average]
    comparisons: list[LanguageComparison]
    findings: list[Finding]
    second_opinions: list[SecondOpinion] = Field(default_factory=list)
    agreement: list[JudgeAgreement] = Field(default_factory=list)
    calibrations: list[Calibration] = Field(default_factory=list)
    failed: int = Field(default=0, ge=0)
    endpoint: EndpointRecord | None = None
    labels_digest: str
    environment: Environment
    wall_seconds: float

    def cell(self, language: str, condition: str, label: Label) -> Cell:
        """Return one cell.

        Raises:
            KeyError: the result has no such cell.
        """
        for cell in self.cells:
            if (cell.language, cell.condition, cell.label) == (language, condition, label):
                return cell
        raise KeyError((language, condition, label))

    @property
    def conditions(self) -> list[str]:
        """Conditions in the order they ran."""
        return list(dict.fromkeys(cell.condition for cell in self.cells))


def read_result(path: Path) -> Result:
    """Read a ``result.json``.

    Raises:
        DatasetError: the file cannot be read or does not fit the schema; names the field.
    """
    try:
        return Result.model_validate_json(plain(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise DatasetError(
            f"{path}: cannot be read ({error.strerror}).",
            "Name a finished run directory; 'polyrefuse evaluate' with the same settings resumes.",
        ) from error
    except (ValidationError, UnicodeDecodeError, json.JSONDecodeError) as error:
        detail = first_problem(error, "file")
        raise DatasetError(
            f"{path}: no result of schema {SCHEMA_VERSION}: {detail}.",
            "Run 'polyrefuse evaluate' again with the same settings and run directory.",
        ) from error
