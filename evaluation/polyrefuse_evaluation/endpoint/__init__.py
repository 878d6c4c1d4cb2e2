"""Evaluate a model behind an OpenAI-compatible endpoint: refusal and over-refusal, no ablation.

This is the baseline half of the benchmark, for hosted models and for one's own server on many
GPUs. `evaluate_endpoint` is the way in; `estimate_endpoint` says beforehand what it may cost.
"""

from polyrefuse_evaluation.endpoint.estimate import Estimate
from polyrefuse_evaluation.endpoint.evaluate import estimate_endpoint, evaluate_endpoint
from polyrefuse_evaluation.endpoint.options import PREFIX, EndpointOptions

__all__ = ["PREFIX", "EndpointOptions", "Estimate", "estimate_endpoint", "evaluate_endpoint"]
