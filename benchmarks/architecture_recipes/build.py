"""Build a tiny random model of one type, with weights on which every writer shows.

Own initialisations often write next to nothing: zero gates, tiny ranges, depth-scaled output maps.
Here each matrix keeps the size of its input, and no bias is zero and no norm is one.
"""

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from .shrink import shrunk_config

KEEP = ("A_log", "dt_bias", "time_decay", "time_first", ".A", "inv_freq")
"""Parameters of recurrences, whose size decides whether the recurrence stays finite."""


def build_tiny(kind: str, seed: int = 0) -> PreTrainedModel:
    """Return a random float32 model of type `kind`, in eval mode on the CPU.

    Raises:
        Exception: whatever transformers raises where the type cannot be built at this size.
    """
    torch.manual_seed(seed)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(shrunk_config(kind))
    model = model.float().eval()
    randomise(model, seed)
    return model


@torch.no_grad()
def randomise(model: nn.Module, seed: int) -> None:
    """Fill the weights: matrices with the variance 1 / (inputs), vectors with noise added."""
    generator = torch.Generator().manual_seed(1000 + seed)  # unlike the proof's directions
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if any(part in name for part in KEEP) or parameter.ndim < 2:
            parameter += 0.2 * noise
        elif id(parameter) in embeddings:
            parameter.copy_(noise)
        else:
            parameter.copy_(noise / _inputs(parameter) ** 0.5)
    for name, buffer in model.named_buffers():
        if name.endswith("layer_scalar"):
            buffer.fill_(0.7)


def _inputs(parameter: torch.Tensor) -> int:
    """Return how many inputs a map sums: of experts' stacked maps, those of one."""
    stacked = parameter.ndim == 3 and parameter.shape[1] > 1
    return max(parameter.shape[-1] if stacked else parameter[0].numel(), 1)
