"""Where a model's weights go: one device, several, the CPU, the disk; plain or quantized.

Also reads weights wherever they are. Knows transformers' and accelerate's means, and no model.
"""

import importlib.util
from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn

from polyrefuse.errors import ModelError

Quantization = Literal["4bit", "8bit"]
DeviceMap = str | dict[str, int | str | torch.device]


def placement_options(
    name: str,
    device: str | None,
    device_map: DeviceMap | None,
    quantization: str | None,
    offload_folder: str | None = None,
) -> dict[str, Any]:
    """Return what `from_pretrained` needs to place a model; empty for a single device.

    Args:
        name: the model, for errors.
        device: a single device; not together with a map.
        device_map: ``auto`` and its kin, or a device by module name, ``cpu`` and ``disk`` included.
        quantization: ``4bit`` or ``8bit``, by bitsandbytes.
        offload_folder: where weights mapped to ``disk`` go; transformers' own choice by default.

    Raises:
        ModelError: settings that exclude each other, or a library that is not installed.
    """
    if device is not None and device_map is not None:
        raise ModelError(
            f"{name}: --device and --device-map exclude each other.",
            "A map says where each part goes; leave --device out.",
        )
    options: dict[str, Any] = {}
    if quantization is not None:
        options["quantization_config"] = _quantization(name, quantization)
        device_map = device_map or ({"": device} if device else "auto")
    if device_map is not None:
        options["device_map"] = device_map
        if offload_folder is not None:
            options["offload_folder"] = offload_folder
    return options


def _quantization(name: str, quantization: str) -> Any:
    if quantization not in ("4bit", "8bit"):
        raise ModelError(f"{name}: there is no quantization {quantization!r}.", "Use 4bit or 8bit.")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ModelError(
            f"{name}: --quantization {quantization} needs bitsandbytes, which is not installed.",
            "Install it (pip install bitsandbytes), or load the model in bfloat16.",
        )
    from transformers import BitsAndBytesConfig

    if quantization == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=torch.bfloat16)


def is_placed(model: nn.Module) -> bool:
    """Whether a map or a quantizer has placed the model: `.to(device)` must not move it."""
    return bool(getattr(model, "hf_device_map", None) or getattr(model, "is_quantized", False))


def weights(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield name and values of all saved parameters and buffers by name, one at a time.

    Weights that are offloaded are brought in and let go again.
    """
    state = model.state_dict()
    for name in sorted(key for key, value in state.items() if isinstance(value, Tensor)):
        tensor = state[name]
        if not tensor.is_meta:
            yield name, tensor.detach()
            continue
        from accelerate.utils import align_module_device  # type: ignore[import-untyped]

        parent, _, leaf = name.rpartition(".")
        module = model.get_submodule(parent)
        with align_module_device(module):
            yield name, getattr(module, leaf).detach()
