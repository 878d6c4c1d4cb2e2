"""What the tables say, in sentences: each with its figures, each traceable to a table."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from polyrefuse_evaluation.residual_space.effects import Effects
from polyrefuse_evaluation.residual_space.layers import LayerTables
from polyrefuse_evaluation.residual_space.options import ResidualOptions
from polyrefuse_evaluation.residual_space.rows import (
    CONTROL,
    EffectRow,
    FeatureRow,
    PlantedRow,
    ProbeRow,
)

STRONG = 0.3
"""A correlation below this gives a component no name."""

NAMED = 3
"""Components that are described."""


@dataclass
class Findings:
    """Sentences by section; `headline` answers the run's question."""

    headline: str
    rank: list[str] = field(default_factory=list)
    meaning: list[str] = field(default_factory=list)
    dynamics: list[str] = field(default_factory=list)
    removal: list[str] = field(default_factory=list)
    triggers: list[str] = field(default_factory=list)
    planted: list[str] = field(default_factory=list)

    def sentences(self) -> list[str]:
        """Return everything that was found, the headline first."""
        parts = (self.rank, self.meaning, self.planted, self.dynamics, self.removal, self.triggers)
        return [self.headline, *(sentence for part in parts for sentence in part)]


def findings(
    tables: LayerTables,
    effects: Effects,
    reference: int | None,
    planted: Sequence[PlantedRow],
    options: ResidualOptions,
) -> Findings:
    """Return what a run found, in words and numbers."""
    if reference is None:
        said = Findings(
            "The tuned model refuses all test prompts or none, so no component can predict refusal."
        )
        said.rank = _rank(tables, max((row.layer for row in tables.spectrum), default=0))
        return said
    first = _probe(tables.probes, reference, 0)
    control = _probe(tables.probes, reference, CONTROL)
    assert first is not None
    said = Findings(
        f"The dominant component at layer {reference} predicts the tuned model's refusals with "
        f"AUROC {first.auroc:.2f} on held-out prompts."
    )
    if control is not None:
        said.meaning.append(_control(control))
    said.rank = _rank(tables, reference)
    said.meaning += _cosine(tables, reference)
    said.meaning += [
        text
        for component in range(NAMED)
        if (text := _name(tables.features, reference, component)) is not None
    ]
    said.dynamics = _dynamics(effects, reference)
    said.removal = _removal(effects.effects)
    said.triggers = _triggers(effects, options.deletions)
    said.planted = _planted(planted, reference)
    return said


def _probe(probes: Sequence[ProbeRow], layer: int, component: int) -> ProbeRow | None:
    for row in probes:
        here = (row.layer, row.component, row.projected, row.answers)
        if here == (layer, component, "shift", "tuned") and row.auroc is not None:
            return row
    return None


def _control(row: ProbeRow) -> str:
    assert row.auroc is not None
    assert row.null_low is not None
    assert row.null_high is not None
    inside = "within" if row.null_low <= row.auroc <= row.null_high else "outside"
    return (
        f"A random direction orthogonal to the leading components has AUROC {row.auroc:.2f}, "
        f"{inside} its null of {row.null_low:.2f} to {row.null_high:.2f}."
    )


def _rank(tables: LayerTables, layer: int) -> list[str]:
    found = [row for row in tables.ranks if row.layer == layer]
    text = [
        f"{row.rank} (bootstrap {row.low} to {row.high}) for {row.threshold:.0%}" for row in found
    ]
    said = [f"Effective rank at layer {layer}: {', '.join(text)} of the variance."] if text else []
    for row in tables.layers:
        if row.layer == layer and row.above_edge is not None:
            said.append(
                f"{row.above_edge} components lie above the noise edge, and the first "
                f"{row.above_null} above those of the base model against itself on other prompts."
            )
            if row.held_out_r2 is not None:
                said.append(
                    f"The affine map explains {row.r2:.0%} of the shift's variance in sample and "
                    f"{row.held_out_r2:.0%} on held-out prompts."
                )
    return said


def _cosine(tables: LayerTables, layer: int) -> list[str]:
    cosines = {
        row.language: row.cosine
        for row in tables.cosines
        if row.layer == layer and row.component == 0 and row.cosine is not None
    }
    if not cosines:
        return []
    least = min(cosines, key=lambda language: abs(cosines[language] or 0))
    most = max(cosines, key=lambda language: abs(cosines[language] or 0))
    return [
        f"Its cosine with the refusal direction of a language is {cosines[least]:.2f} ({least}) to "
        f"{cosines[most]:.2f} ({most})."
    ]


def _name(features: Sequence[FeatureRow], layer: int, component: int) -> str | None:
    found = [
        row
        for row in features
        if row.layer == layer and row.component == component and abs(row.correlation) >= STRONG
    ][:3]
    if not found:
        return f"Component {component} correlates with no feature of the prompts above {STRONG}."
    text = ", ".join(f"{row.feature} ({row.correlation:+.2f})" for row in found)
    return f"Component {component} correlates most with {text}."


def _dynamics(effects: Effects, reference: int) -> list[str]:
    said = []
    suppressing = sorted(
        (
            row
            for row in effects.edges
            if row.target == 0 and row.source.startswith("component-") and row.share < 0
            if row.source != "component-0" and row.layer <= reference
        ),
        key=lambda row: row.share,
    )
    if suppressing:
        row = suppressing[0]
        name = row.source.replace("-", " ")
        said.append(
            f"The strongest suppression of the dominant component comes from {name} into layer "
            f"{row.layer}: {abs(row.share):.1%} of the absolute relevance there."
        )
    for kept in effects.conservation:
        if kept.what == "tokens":
            said.append(
                f"Relevance from layer {kept.layer} to the tokens ({kept.rule}) leaves "
                f"{kept.relative_to_absolute:.1%} of the absolute relevance unexplained."
            )
    return said


def _overall(rows: Sequence[EffectRow], condition: str, label: str) -> EffectRow | None:
    for row in rows:
        here = (row.condition, row.dose, row.language, row.label, row.group)
        if here == (condition, 1.0, "all", label, "all"):
            return row
    return None


def _removal(rows: Sequence[EffectRow]) -> list[str]:
    said = []
    for condition in dict.fromkeys(row.condition for row in rows):
        harmful = _overall(rows, condition, "harmful")
        harmless = _overall(rows, condition, "harmless")
        if harmful is None or harmful.refusal is None:
            continue
        name = (
            "Nothing removed" if condition == "none" else condition.replace("-", " ").capitalize()
        )
        text = f"{name}: {harmful.refusal:.0%} of harmful prompts refused"
        if harmless is not None and harmless.refusal is not None:
            text += f", {harmless.refusal:.0%} of harmless ones"
        if harmless is not None and harmless.perplexity_ratio is not None:
            text += f", perplexity times {harmless.perplexity_ratio:.3f}"
        said.append(text + ".")
    return said


def _triggers(effects: Effects, deletions: int) -> list[str]:
    for row in effects.triggers:
        if row.language == "all" and row.refusal is not None:
            return [
                f"Of {row.prompts} refused prompts, {row.refusal_without_relevant:.0%} are still "
                f"refused without their {deletions} most relevant token(s) and "
                f"{row.refusal_without_random:.0%} without as many random ones (p = "
                f"{row.p_refusal:.2g}; drop in projection p = {row.p_projection:.2g})."
            ]
    return []


def _planted(planted: Sequence[PlantedRow], layer: int) -> list[str]:
    said = []
    for name in dict.fromkeys(row.vector for row in planted):
        here = [row for row in planted if row.layer == layer and row.vector == name]
        if here:
            best = max(here, key=lambda row: abs(row.cosine))
            said.append(
                f"The planted {name} vector is component {best.component} "
                f"(cosine {abs(best.cosine):.2f})."
            )
    return said
