"""The rows of every table: what the columns are and mean.

One frozen dataclass is one row; its fields and types are the columns. Null stands for what is not
defined, never NaN. Values are fractions or cosines unless a field says otherwise.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class ReferenceRow:
    """The one place where languages are compared, and whose it is (null: no one's)."""

    position: int
    layer: int
    leader: str | None


@dataclass(frozen=True)
class LanguageRow:
    """One language: its prompts, whether it could be analysed, and its direction's place."""

    language: str
    status: str
    harmful_train: int
    harmless_train: int
    harmful_test: int
    harmless_test: int
    source: bool
    position: int | None
    layer: int | None
    rung: str | None
    planted_cosine: float | None


@dataclass(frozen=True)
class CosineRow:
    """A cosine between two differences in means.

    `kind` is ``pair`` (two languages at one place), ``layers`` (a source at its own place and a
    target at another layer) or ``control`` (a direction that means nothing, and a language).
    """

    kind: str
    source: str
    target: str
    position: int
    source_layer: int
    layer: int
    cosine: float | None
    low: float | None
    high: float | None
    plain: float | None
    determined: bool
    null_bound: float | None
    p_value: float | None


@dataclass(frozen=True)
class PointRow:
    """One prompt in a plane of principal components."""

    basis: str
    language: str
    label: str
    id: str
    x: float
    y: float


@dataclass(frozen=True)
class ArrowRow:
    """A language's step from the harmless to the harmful mean, in such a plane."""

    basis: str
    language: str
    from_x: float
    from_y: float
    to_x: float
    to_y: float
    explained_x: float
    explained_y: float
    in_plane: float


@dataclass(frozen=True)
class SeparationRow:
    """How far harmful and harmless lie apart in one language at one layer."""

    language: str
    position: int
    layer: int
    silhouette: float | None
    silhouette_low: float | None
    silhouette_high: float | None
    centroid_distance: float | None
    scaled_distance: float | None
    scaled_low: float | None
    scaled_high: float | None
    auroc: float | None
    auroc_low: float | None
    auroc_high: float | None


@dataclass(frozen=True)
class ProbeRow:
    """AUROC of a linear probe fitted on one language and read out on another."""

    fitted: str
    read: str
    auroc: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class RelationRow:
    """Rank correlation over languages of a measure of separation with base compliance."""

    measure: str
    rho: float | None
    low: float | None
    high: float | None
    p_value: float | None
    languages: int
    distinct: int


@dataclass(frozen=True)
class ReliabilityRow:
    """Split-half reliability of a language's direction."""

    language: str
    cosine: float | None
    low: float | None
    high: float | None
    full: float | None


@dataclass(frozen=True)
class LearningRow:
    """Directions of `size` prompts of each label, over seeds."""

    language: str
    size: int
    seeds: int
    to_full: float | None
    low: float | None
    high: float | None
    between_seeds: float | None
    to_rest: float | None


@dataclass(frozen=True)
class SpectrumRow:
    """One component of the stacked unit directions."""

    component: int
    share: float | None
    low: float | None
    high: float | None
    null: float | None
    in_rank: bool


@dataclass(frozen=True)
class LeftOutRow:
    """How well the other languages foretell one language's direction."""

    language: str
    rank: int
    cosine: float | None
    low: float | None
    high: float | None
    captured: float | None
    captured_low: float | None
    captured_high: float | None
    null_bound: float | None


@dataclass(frozen=True)
class AngleRow:
    """Principal angles between two languages' subspaces of harmful prompts, in degrees."""

    language: str
    other: str
    first: float
    second: float
    third: float


@dataclass(frozen=True)
class TransferRow:
    """Answers in one target language under one intervention.

    `intervention` is ``none``, ``ablation`` (harmful prompts) or ``addition`` (harmless prompts);
    `source` is a language, ``random``, ``harmless`` or ``shared-k``, and empty for ``none``.
    Changes of refusal are paired by prompt id.
    """

    intervention: str
    source: str
    target: str
    label: str
    n: int
    judged: int
    refused: int
    complied: int
    refusal: float | None
    refusal_low: float | None
    refusal_high: float | None
    compliance: float | None
    compliance_low: float | None
    compliance_high: float | None
    change: float | None
    change_low: float | None
    change_high: float | None
    beyond_random: float | None
    beyond_random_low: float | None
    beyond_random_high: float | None


@dataclass(frozen=True)
class SourceRow:
    """What one source does on average over the languages that refuse, paired by prompt id."""

    intervention: str
    source: str
    targets: int
    change: float | None
    change_low: float | None
    change_high: float | None
    beyond_random: float | None
    beyond_random_low: float | None
    beyond_random_high: float | None
    freed: int
    mediates: bool
