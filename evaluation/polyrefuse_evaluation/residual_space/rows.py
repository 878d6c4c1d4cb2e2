"""The results as rows: one frozen dataclass a table, its fields the columns.

Null stands for what is not defined. `component` counts from 0, the largest variance first; -1 is
the control, a random direction orthogonal to the leading components.
"""

from dataclasses import dataclass

CONTROL = -1


@dataclass(frozen=True)
class LayerRow:
    """One block input: what changed there in all.

    `mean_norm` is the length of the mean shift, `deviation` the root of the total variance, in
    units of the stream. `r2` and `held_out_r2` are of the affine map of ``ridge``. `above_edge`
    counts components above the noise edge, `above_null` those above the same component of base
    against base. All but the layer are null where the shift does not vary.
    """

    layer: int
    kind: str
    mean_norm: float | None
    deviation: float | None
    r2: float | None
    held_out_r2: float | None
    penalty: float | None
    noise_edge: float | None
    above_edge: int | None
    above_null: int | None
    prompts: int


@dataclass(frozen=True)
class RankRow:
    """Effective rank of one block input's shift at one threshold, with its bootstrap band."""

    layer: int
    threshold: float
    rank: int
    low: int
    high: int


@dataclass(frozen=True)
class SpectrumRow:
    """Variance of one component, its share of the total, and the null's at the same place."""

    layer: int
    component: int
    variance: float
    share: float
    null_variance: float | None


@dataclass(frozen=True)
class ProbeRow:
    """How well one component's projection predicts refusal on held-out prompts.

    `projected` is what is projected: ``shift`` or ``tuned`` (the tuned model's activation);
    `answers` whose refusals are predicted: ``base`` or ``tuned``. Figures are null where one of the
    two never or always refuses.
    """

    layer: int
    component: int
    projected: str
    answers: str
    accuracy: float | None
    auroc: float | None
    null_low: float | None
    null_high: float | None
    p_value: float | None
    refused: int
    rows: int


@dataclass(frozen=True)
class CosineRow:
    """Cosine of a component with one language's refusal direction (tuned, train, last position)."""

    layer: int
    component: int
    language: str
    cosine: float | None


@dataclass(frozen=True)
class PlantedRow:
    """Cosine of a component with a planted vector: only of a planted pair."""

    layer: int
    component: int
    vector: str
    cosine: float


@dataclass(frozen=True)
class ProjectionRow:
    """Mean and standard deviation of a component's projection of the shift, over one group."""

    layer: int
    component: int
    kind: str
    group: str
    mean: float
    deviation: float
    rows: int


@dataclass(frozen=True)
class ExtremeRow:
    """A prompt at one end of a component: ``top`` or ``bottom``, by its id."""

    layer: int
    component: int
    end: str
    place: int
    id: str
    language: str
    projection: float


@dataclass(frozen=True)
class FeatureRow:
    """Correlation of a component's projection with a feature of prompts."""

    layer: int
    component: int
    feature: str
    correlation: float
    rows: int


@dataclass(frozen=True)
class EdgeRow:
    """What feeds component `target` at `layer`, from the block input before.

    `source` is ``component-j``, ``rest`` (of the last position) or ``elsewhere`` (other positions).
    `relevance` is the mean over prompts, `share` the mean of relevance over the sum of its absolute
    values, a fraction in [-1, 1].
    """

    layer: int
    target: int
    source: str
    relevance: float
    share: float
    prompts: int


@dataclass(frozen=True)
class ConservationRow:
    """How much relevance was lost; `what` is ``components`` or ``tokens``."""

    layer: int
    what: str
    rule: str
    relative: float
    relative_to_absolute: float


@dataclass(frozen=True)
class TokenRow:
    """Relevance of one token of a prompt of the packaged sample, for the dominant component."""

    id: str
    language: str
    position: int
    token: str
    relevance: float
    in_prompt: bool


@dataclass(frozen=True)
class EffectRow:
    """Refusal of one group of test prompts under one intervention.

    `group` is a framing (the source's own category) or ``all``; `low` and `high` are Wilson's 95%
    interval. `perplexity` is of the tuned model's own answers to harmless prompts, given without
    the intervention; `perplexity_ratio` divides it by that without the intervention.
    """

    condition: str
    dose: float
    language: str
    label: str
    group: str
    refused: int
    judged: int
    refusal: float | None
    low: float | None
    high: float | None
    perplexity: float | None
    perplexity_ratio: float | None


@dataclass(frozen=True)
class TriggerRow:
    """What deleting the most relevant tokens does, against deleting as many at random.

    Over refused harmful test prompts of one language, or ``all``. Projections are of the tuned
    model's last position on the dominant component; `p_projection` is Wilcoxon's signed-rank test
    that relevant tokens lower it more, `p_refusal` the exact McNemar test of lost refusals.
    `planted_top` is the share of prompts whose top token is the planted trigger word.
    """

    language: str
    prompts: int
    deleted: int
    projection: float | None
    without_relevant: float | None
    without_random: float | None
    p_projection: float | None
    refusal: float | None
    refusal_without_relevant: float | None
    refusal_without_random: float | None
    p_refusal: float | None
    planted_top: float | None
