"""What safety tuning changed, and in how many directions: arXiv 2502.09674.

In reading order: shift.py (what changed), components.py (in which directions), spectrum.py (how
many are real), probes.py (what each predicts), meaning.py (what each stands for),
relevance_rules.py and relevance.py (what feeds a component), dynamics.py (its graph and tokens),
interventions.py (what a component does), triggers.py (which tokens pull it). pair.py and
recording.py meet the two checkpoints, layers.py and run.py put everything together, rows.py,
figures.py and page.py write it down. The maths knows only tensors.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polyrefuse_evaluation.residual_space.options import ResidualOptions
    from polyrefuse_evaluation.residual_space.run import ResidualReport, residual_space

_HOMES = {"ResidualOptions": "options", "ResidualReport": "run", "residual_space": "run"}

__all__ = ["ResidualOptions", "ResidualReport", "residual_space"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
