"""What is known of a judge's errors, and what statistics add to a result: schemas, no arithmetic.

A calibration file is a `Calibration`. A result that uses the judge carries it, with the corrected
rates of each cell. Rates are fractions in [0, 1], kappa is in [-1, 1], intervals are 95%; None says
that there is no such figure, and a note beside it says why.
"""

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from polyrefuse.errors import PolyRefuseError, first_problem
from polyrefuse.outcomes import Outcome
from polyrefuse.plain_file import plain
from polyrefuse.prompts import Label

CALIBRATION_SCHEMA_VERSION = 1

ALL_LANGUAGES = "all"
"""Stands for a language where all languages are pooled."""

Reading = Literal["refused", "refused+deflected", "complied"]
READINGS: tuple[Reading, ...] = ("refused", "refused+deflected", "complied")
"""What counts as the positive answer. A reference that only knows refusal or not is compared with
both of the first two; `complied` is then its "not a refusal"."""


class CalibrationError(PolyRefuseError):
    """A reference, sheet or calibration file that cannot be used."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Estimate(_Record):
    """A figure with its 95% interval.

    `n` is the number of responses it rests on: its denominator, or an effective number where the
    responses were sampled with unequal weights.
    """

    value: float | None
    low: float | None
    high: float | None
    n: float


class Confusion(_Record):
    """Judge against reference, in responses (as they were sampled, not weighted)."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int


class ReadingCalibration(_Record):
    """Judge against reference, for one reading of the outcomes.

    `recall` is the judge's sensitivity; `specificity` is its recall of the other class.
    """

    reading: Reading
    confusion: Confusion
    precision: Estimate
    recall: Estimate
    specificity: Estimate
    f1: Estimate
    kappa: Estimate
    notes: list[str] = Field(default_factory=list)


class LanguageCalibration(_Record):
    """The judge in one language: n reference rows, of which `unparsed` got no verdict."""

    language: str
    n: int = Field(ge=1)
    unparsed: int = Field(ge=0)
    readings: list[ReadingCalibration]

    def reading(self, name: Reading) -> ReadingCalibration:
        """Return one reading."""
        return next(item for item in self.readings if item.reading == name)


class AnnotatorAgreement(_Record):
    """How far two annotators agree in one language, on the rows that both labelled."""

    language: str
    n: int
    disagreements: int
    kappa_outcomes: Estimate
    kappa_refused: Estimate


class Reference(_Record):
    """What the judge was compared with.

    `kind`: ``refusal`` (refusal or not), ``outcome`` (one of the four outcomes) or ``annotators``
    (sheets of `judge-sample`). `weighted` says that rates and intervals allow for stratified
    sampling. `left_out` counts rows without a label, `unresolved` those on which annotators differ
    and nobody decided: they are left out, too, and they are the hard ones.
    """

    files: list[str]
    digest: str
    kind: Literal["refusal", "outcome", "annotators"]
    column: str
    rows: int
    left_out: int = 0
    unresolved: int = 0
    weighted: bool = False


class Calibration(_Record):
    """How a judge compares with a reference, per language: the file that `calibrate` writes."""

    schema_version: Literal[1] = 1
    judge: str
    judge_version: str
    reference: Reference
    languages: list[LanguageCalibration]
    pooled: LanguageCalibration
    annotators: list[AnnotatorAgreement] = Field(default_factory=list)
    seed: int

    def language(self, code: str) -> LanguageCalibration | None:
        """Return the calibration of one language, or None where it was not measured."""
        return next((item for item in self.languages if item.language == code), None)


class CorrectedRates(_Record):
    """Rates of one cell as they would be without the judge's errors (Rogan and Gladen 1978).

    None where the calibration does not allow it; `note` says why.
    """

    refusal: Estimate | None
    compliance: Estimate | None
    note: str | None = None


class JudgeAgreement(_Record):
    """How far two judges agree on the same responses of a run, in one language or in all.

    `n` counts responses on which both have a verdict, `unparsed` the others.
    """

    judges: tuple[str, str]
    language: str
    n: int
    unparsed: int
    disagreements: int
    kappa_outcomes: Estimate
    kappa_refused: Estimate
    kappa_withheld: Estimate


class PairedGap(_Record):
    """Rate in a language minus the rate in the reference language, on the same prompts.

    `tie`: the interval covers 0.
    """

    n: int
    difference: float
    low: float
    high: float
    tie: bool


class LanguageGap(_Record):
    """The gap between a language and the reference language.

    `p_value` is McNemar's exact test, `p_holm` the same after Holm's correction over all languages
    compared; `detectable` is the smallest difference that so many prompts find in 80% of cases,
    None where they find none. `adjusted` is the gap on only those prompts whose translation was
    validated `ok`; None where no translation was.
    """

    language: str
    reference: str
    gap: PairedGap
    p_value: float
    p_holm: float
    detectable: float | None
    adjusted: PairedGap | None


class WorstLanguage(_Record):
    """The language with the lowest rate.

    Its interval is Wilson's at a level divided by the number of languages, since the lowest of
    many looks low by chance; `ties` are the languages that its prompts do not tell it apart from.
    """

    language: str
    n: int
    rate: float
    low: float
    high: float
    ties: list[str]


class LanguageComparison(_Record):
    """How languages compare under one condition: gaps to a reference, the worst, and ties."""

    condition: str
    label: Label
    outcome: Outcome
    gaps: list[LanguageGap]
    worst: WorstLanguage
    ties: list[tuple[str, str]]


def read_calibration(path: Path) -> Calibration:
    """Read a calibration file.

    Raises:
        CalibrationError: it cannot be read or does not fit the schema; names the field.
    """
    try:
        return Calibration.model_validate_json(plain(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise CalibrationError(
            f"{path}: cannot be read ({error.strerror}).", "Make one with 'polyrefuse calibrate'."
        ) from error
    except (ValidationError, UnicodeDecodeError, json.JSONDecodeError) as error:
        detail = first_problem(error, "file")
        raise CalibrationError(
            f"{path}: no calibration of schema {CALIBRATION_SCHEMA_VERSION}: {detail}.",
            "Make it again with 'polyrefuse calibrate'.",
        ) from error
