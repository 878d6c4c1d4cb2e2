"""What is refused of a checkpoint before its weights are touched, and how its errors are told.

Weights are read as safetensors only: the other formats are pickles, and a pickle is a program.
Knows files and configurations, no model.
"""

from pathlib import Path
from typing import Any

from polyrefuse.errors import ModelError

PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npz")
LARGEST_SIZES = {
    "num_hidden_layers": 2_000,
    "hidden_size": 2**20,
    "intermediate_size": 2**22,
    "vocab_size": 2**24,
    "num_attention_heads": 2**16,
    "num_experts": 2**16,
    "num_local_experts": 2**16,
}
"""Far above any model there is: building more takes all memory before the weights are looked at."""


def require_safetensors(name: str) -> None:
    """Refuse a local folder whose weights are pickles.

    Raises:
        ModelError: it has no safetensors file and one of another kind; names it.
    """
    folder = Path(name)
    try:
        files = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise ModelError(f"{name}: cannot be read ({error.strerror}).", "Mend it.") from error
    pickles = [file for file in files if file.endswith(PICKLES)]
    if pickles and not any(file.endswith(".safetensors") for file in files):
        raise ModelError(
            f"{name}: its weights are no safetensors: {pickles[0]} may be a pickle, which could "
            "run code, so it is not read.",
            "Convert them where you trust them (save_pretrained writes safetensors).",
        )


def require_modest(name: str, config: Any) -> None:
    """Refuse a configuration that would build more than any model has.

    Raises:
        ModelError: a size is no whole number, or out of bounds; names the field.
    """
    for field, most in LARGEST_SIZES.items():
        value = getattr(config, field, None)
        if isinstance(value, list):
            continue  # one for each block, in some architectures
        if value is not None and (type(value) is not int or not 1 <= value <= most):
            raise ModelError(
                f"{name}: its configuration says {field} = {str(value)[:40]}, which no model has.",
                "Get config.json again.",
            )


def loading_error(name: str, part: str, error: Exception) -> ModelError:
    """Return the error to raise where `part` of a checkpoint cannot be loaded."""
    lines = str(error).strip().splitlines()
    reason = lines[0] if lines else type(error).__name__
    remedy = (
        "Check that the folder is a complete transformers checkpoint with its tokenizer."
        if _exists(name)
        else "Check the name and revision, the network and 'hf auth login'; or name a folder."
    )
    if "trust_remote_code" in str(error):
        reason, remedy = "it brings its own code", "Pass --trust-remote-code if you trust it."
    return ModelError(f"{name}: {part} could not be loaded: {reason[:300].rstrip('.')}.", remedy)


def _exists(name: str) -> bool:
    try:
        return Path(name).exists()
    except OSError:  # too long for a path
        return False
