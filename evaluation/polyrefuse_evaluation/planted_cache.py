"""Where planted models are kept, and how each is trained once. Knows nothing of what they learn."""

import fcntl
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from polyrefuse.atomic import whole_folder

ABOUT = "planted.json"


def cache_folder(variant: str, seed: int, *decisive: Any) -> Path:
    """Return the folder of a planted pair.

    Args:
        variant: name of the pair.
        seed: of the vectors, the weights and the order of the prompts.
        decisive: JSON values of which another one means other weights; torch's version is added.
    """
    import platformdirs

    root = os.environ.get("POLYREFUSE_CACHE") or platformdirs.user_cache_dir("polyrefuse")
    key = json.dumps([variant, seed, *decisive, torch.__version__])
    short = hashlib.sha256(key.encode()).hexdigest()[:12]
    return Path(root) / "planted" / f"{variant}-seed{seed}-{short}"


def train_once(folder: Path, about: dict[str, Any], train: Callable[[Path], None]) -> None:
    """Fill `folder` by `train` unless it is there: whole or not at all, whatever ends the process.

    Of several processes one trains and the others wait.

    Raises:
        OSError: it cannot be written.
    """
    if (folder / ABOUT).is_file():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f".{folder.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / ABOUT).is_file():
            return
        with whole_folder(folder) as unfinished:
            train(unfinished)
            (unfinished / ABOUT).write_text(json.dumps(about) + "\n", encoding="utf-8")
