"""Render the outcomes as evaluation/ARCHITECTURES.md. Knows nothing of models."""

from collections.abc import Iterable, Mapping
from typing import Any

INTRODUCTION = """\
# Architectures on which ablation is proven

Written by `python -m benchmarks.architectures`; do not edit.

{date}: torch {torch}, transformers {transformers}. Of {total} decoder-only model types (the
causal-LM mapping less encoder-decoder and masked-LM types) **{verified} are verified**, \
{unverified} are not,
each for the reason given below.

Each type is built as a tiny random float32 model. *Verified* means: with a direction ablated,
nothing of it is left (at most 1e-5 of the largest norm so far) at any block's input, at any norm
inside a block that reads the residual stream, and before the final norm, for a random direction,
the top output direction of each writer and the top change by each block; and leaving out any single
writer fails the same proof. "Projection" is the largest one seen.
"""


def render_page(outcomes: Iterable[Mapping[str, Any]], versions: Mapping[str, str]) -> str:
    """Return the page for outcomes of all types, with versions of torch, transformers, and date."""
    rows = sorted(outcomes, key=lambda row: row["kind"])
    good = [row for row in rows if row["verified"]]
    bad = [row for row in rows if not row["verified"]]
    lines = [
        INTRODUCTION.format(**versions, total=len(rows), verified=len(good), unverified=len(bad)),
        f"## Verified ({len(good)})",
        "",
        "| type | blocks | writers | projection | writers in a block |",
        "|---|---|---|---|---|",
        *(_good(row) for row in good),
        "",
        f"## Not verified ({len(bad)})",
        "",
        "`polyrefuse check` and `polyrefuse evaluate` refuse these with the same reason.",
        "",
        "| type | reason |",
        "|---|---|",
        *(f"| {row['kind']} | {_cell(row['reason'])} |" for row in bad),
        "",
    ]
    return "\n".join(lines)


def _good(row: Mapping[str, Any]) -> str:
    names = ", ".join(f"`{name}`" for name in row["names"])
    return (
        f"| {row['kind']} | {row['blocks']} | {row['writers']} "
        f"| {row['max_projection']:.1e} | {names} |"
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
