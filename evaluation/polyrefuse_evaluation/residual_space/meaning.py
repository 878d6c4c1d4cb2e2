"""What a component stands for: refusal directions, groups, extremes and features of prompts.

Names for secondary directions come from evidence: which languages, categories and framings lie
where, which prompts at the ends, and what correlates. Knows tensors and prompts, no model.
"""

import re
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from polyrefuse.prompts import Prompt
from polyrefuse_evaluation.residual_space.rows import (
    CosineRow,
    ExtremeRow,
    FeatureRow,
    ProjectionRow,
)

EXTREMES = 5
"""Prompts shown at each end of a component."""

PATTERNS: dict[str, re.Pattern[str]] = {
    "role-play": re.compile(
        r"\b(pretend|role-?play\w*|act as|acting as|in character|you are now|persona)\b", re.I
    ),
    "hypothetical": re.compile(
        r"\b(hypothetical\w*|imagine|suppose|what if|fiction\w*|story|novel|scene|screenplay)\b",
        re.I,
    ),
}
"""Features read off the English prompt."""


def cosine_rows(
    layer: int, directions: Tensor, tuned: Tensor, rows: Sequence[Prompt]
) -> list[CosineRow]:
    """Return each component's cosine with each language's difference in means.

    Args:
        layer: block input.
        directions: components, (k, hidden).
        tuned: the tuned model's activations of `rows`, (n, hidden).
        rows: train prompts.
    """
    found = []
    for language in dict.fromkeys(row.language for row in rows):
        harmful, harmless = (
            torch.tensor([row.language == language and row.label == label for row in rows])
            for label in ("harmful", "harmless")
        )
        difference: Tensor | None = None
        if bool(harmful.any()) and bool(harmless.any()):
            wide = tuned.double()
            difference = wide[harmful].mean(dim=0) - wide[harmless].mean(dim=0)
        for component, direction in enumerate(directions):
            cosine = None
            if difference is not None and float(difference.norm()) > 0:
                cosine = float(direction @ difference / difference.norm() / direction.norm())
            found.append(CosineRow(layer, component, language, cosine))
    return found


def projection_rows(layer: int, scores: Tensor, rows: Sequence[Prompt]) -> list[ProjectionRow]:
    """Return mean and deviation of projections (n, k) by language, label, category and framing."""
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        for kind, group in _groups(row):
            groups[kind, group].append(index)
    found = []
    for (kind, group), indices in sorted(groups.items()):
        chosen = scores[indices]
        for component in range(scores.shape[1]):
            values = chosen[:, component]
            spread = float(values.std(correction=0))
            found.append(
                ProjectionRow(
                    layer, component, kind, group, float(values.mean()), spread, len(indices)
                )
            )
    return found


def _groups(row: Prompt) -> list[tuple[str, str]]:
    named = [
        ("language", row.language),
        ("label", row.label),
        ("category", row.category),
        ("source_category", row.source_category),
    ]
    return [(kind, group) for kind, group in named if group]


def extreme_rows(layer: int, scores: Tensor, rows: Sequence[Prompt]) -> list[ExtremeRow]:
    """Return the prompts at both ends of each component, one row a prompt id and end."""
    found = []
    for component in range(scores.shape[1]):
        order = scores[:, component].argsort(descending=True).tolist()
        for end, places in (("top", order), ("bottom", order[::-1])):
            seen: set[str] = set()
            for index in places:
                row = rows[index]
                if row.id in seen:  # its translations lie beside it
                    continue
                seen.add(row.id)
                value = float(scores[index, component])
                found.append(
                    ExtremeRow(layer, component, end, len(seen), row.id, row.language, value)
                )
                if len(seen) == EXTREMES:
                    break
    return found


def feature_rows(layer: int, scores: Tensor, rows: Sequence[Prompt]) -> list[FeatureRow]:
    """Return each component's correlation with each feature that varies, strongest first."""
    columns = {name: values for name, values in features(rows).items() if values.std() > 0}
    found = []
    for component in range(scores.shape[1]):
        projected = scores[:, component].numpy()
        if projected.std() == 0:
            continue
        found += [
            FeatureRow(
                layer, component, name, float(np.corrcoef(projected, values)[0, 1]), len(rows)
            )
            for name, values in columns.items()
        ]
    return sorted(found, key=lambda row: (row.component, -abs(row.correlation), row.feature))


def features(rows: Sequence[Prompt]) -> dict[str, NDArray[np.float64]]:
    """Return features of prompts by name: length, label, language, category, framing, patterns."""
    columns: dict[str, NDArray[np.float64]] = {
        "length": np.array([float(len(row.prompt)) for row in rows]),
        "harmful": np.array([float(row.label == "harmful") for row in rows]),
    }
    for name, pattern in PATTERNS.items():
        columns[name] = np.array([float(bool(pattern.search(row.prompt_en))) for row in rows])
    for kind in ("language", "category", "source_category"):
        values = [getattr(row, kind) for row in rows]
        for value in sorted({value for value in values if value}):
            columns[f"{kind}: {value}"] = np.array([float(other == value) for other in values])
    return columns
