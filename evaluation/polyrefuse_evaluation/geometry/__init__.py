"""Geometry across languages: is the refusal direction one and the same, and how sure are we?

The analyses of arXiv 2505.17306, with intervals and nulls, and a step beyond one direction. The
mathematics (groups, contrasts, cosines, nulls, separation, subspaces) knows arrays only; extract.py
and transfer.py meet the model, tables.py the disk, figures and page the reader; run.py is the
order of things. Importing this package imports neither torch nor matplotlib.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polyrefuse_evaluation.geometry.options import GeometryOptions
    from polyrefuse_evaluation.geometry.run import GeometryReport, geometry

_HOMES = {"GeometryOptions": "options", "GeometryReport": "run", "geometry": "run"}

__all__ = ["GeometryOptions", "GeometryReport", "geometry"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
