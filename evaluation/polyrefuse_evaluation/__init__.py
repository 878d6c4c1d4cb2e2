"""Evaluation: load a causal LM, find and ablate its refusal directions, judge, report.

The names below are the library's front door; importing this package does not import torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polyrefuse_evaluation.ablation import ablate, add
    from polyrefuse_evaluation.ablation_proof import AblationProof, check_ablation
    from polyrefuse_evaluation.directions import DifferenceInMeansFitter, RefusalDirection
    from polyrefuse_evaluation.endpoint import EndpointOptions, evaluate_endpoint
    from polyrefuse_evaluation.evaluate import evaluate
    from polyrefuse_evaluation.models import LoadedModel, load_model
    from polyrefuse_evaluation.records import Options

_HOMES = {
    "AblationProof": "ablation_proof",
    "DifferenceInMeansFitter": "directions",
    "EndpointOptions": "endpoint",
    "LoadedModel": "models",
    "Options": "records",
    "RefusalDirection": "directions",
    "ablate": "ablation",
    "add": "ablation",
    "check_ablation": "ablation_proof",
    "evaluate": "evaluate",
    "evaluate_endpoint": "endpoint",
    "load_model": "models",
}

__all__ = [
    "AblationProof",
    "DifferenceInMeansFitter",
    "EndpointOptions",
    "LoadedModel",
    "Options",
    "RefusalDirection",
    "ablate",
    "add",
    "check_ablation",
    "evaluate",
    "evaluate_endpoint",
    "load_model",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
