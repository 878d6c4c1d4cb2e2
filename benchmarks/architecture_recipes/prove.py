"""Prove ablation on one tiny model, and that the proof fails without any single writer."""

import re
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from polyrefuse.errors import ModelError
from polyrefuse_evaluation.ablation_proof import check_ablation
from polyrefuse_evaluation.residual_stream import find_residual_stream

from .build import build_tiny
from .overrides import NOT_STANDALONE


@dataclass(frozen=True)
class Outcome:
    """What one model type gave.

    Attributes:
        kind: model type, as in configurations.
        verified: ablation is proven, and leaving out any single writer fails the proof.
        reason: why it is not verified; empty if it is.
        blocks: number of decoder blocks of the tiny model.
        writers: number of writers in them.
        names: writers within a block, numbers of blocks taken out.
        max_projection: largest projection at any site for any direction; -1 if none was measured.
        parameters: size of the tiny model.
    """

    kind: str
    verified: bool
    reason: str = ""
    blocks: int = 0
    writers: int = 0
    names: tuple[str, ...] = ()
    max_projection: float = -1.0
    parameters: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as plain data."""
        return asdict(self)


def prove_type(kind: str) -> Outcome:
    """Build a tiny model of one type and prove ablation on it; never raises."""
    try:
        model = build_tiny(kind)
    except Exception as error:  # whatever a configuration or a model's constructor raises
        known = NOT_STANDALONE.get(kind)
        prefix = f"{known}: " if known else "not built at tiny size: "
        return Outcome(kind, False, prefix + _one_line(error))
    try:
        return prove_model(kind, model)
    except ModelError as error:
        return Outcome(kind, False, _one_line(error.problem))
    except Exception as error:
        return Outcome(kind, False, f"the proof failed to run: {_one_line(error)}")


def prove_model(kind: str, model: nn.Module) -> Outcome:
    """Prove ablation on a model and try the proof without each of its writers.

    Raises:
        ModelError: no residual stream can be found.
    """
    stream = find_residual_stream(model)
    proof = check_ablation(model)
    missed = unnoticed_writers(model)
    reason = ""
    if not proof.verified:
        reason = f"a direction survives: {proof.suspect}"
    elif missed:
        reason = f"the proof passes without {', '.join(missed)}"
    return Outcome(
        kind,
        proof.verified and not missed,
        reason,
        len(stream.blocks),
        len(stream.writers),
        tuple(dict.fromkeys(_inside(w.name, stream.block_names[w.block]) for w in stream.writers)),
        proof.max_projection,
        sum(parameter.numel() for parameter in model.parameters()),
    )


def unnoticed_writers(model: nn.Module) -> list[str]:
    """Return the writers without which the proof still passes: there should be none."""
    stream = find_residual_stream(model)
    return [
        writer.name
        for writer in stream.writers
        if check_ablation(model, stream=stream.without(writer.name), stop_at_leak=True).verified
    ]


def _inside(writer: str, block: str) -> str:
    return writer.removeprefix(f"{block}.")


def _one_line(error: Exception | str) -> str:
    text = re.sub(r"\s+", " ", str(error)).strip()
    return (text or type(error).__name__)[:500]
