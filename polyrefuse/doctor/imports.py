"""Import packages in another process, since a broken one may raise anything, hang or crash.

Knows nothing of what is needed for what.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

MARK = "\x1epolyrefuse "
PATIENCE = 180.0
"""Seconds for all imports together; a network file system may take long over torch alone."""

PROGRAM = r"""
import importlib, json, sys
mark, names = sys.argv[1], sys.argv[2:]
out = sys.stdout
def say(**values):
    print(mark + json.dumps(values), file=out, flush=True)
def torch_facts():
    import torch
    cuda = []
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(index)
            cuda.append([torch.cuda.get_device_name(index), free, total])
    mps = getattr(torch.backends, "mps", None)
    return {"version": torch.__version__, "built_for": torch.version.cuda or torch.version.hip,
            "devices": cuda, "mps": bool(mps and mps.is_available()),
            "threads": torch.get_num_threads()}
for name in names:
    say(begin=name)
    try:
        importlib.import_module(name)
        facts = torch_facts() if name == "torch" else None
        say(name=name, facts=facts)
    except BaseException as error:
        lines = str(error).strip().splitlines()
        said = f"{type(error).__name__}: {lines[0] if lines else ''}"[:300]
        lacks = error.name if isinstance(error, ModuleNotFoundError) else None
        say(name=name, error=said, lacks=lacks)
"""


def try_imports(names: Sequence[str], patience: float = PATIENCE) -> dict[str, dict[str, Any]]:
    """Import modules, one after another; return what came of each.

    Returns:
        By name, ``{"facts": ...}`` where it can be imported (facts of torch: version, devices), or
        ``{"error": ..., "lacks": ...}``: one line, and the module that is not there, if that is it.
    """
    found: dict[str, dict[str, Any]] = {}
    left = list(names)
    while left:
        said, end = _run(left, patience)
        begun = None
        for line in said:
            begun = line.get("begin", begun)
            if "name" in line:
                found[line["name"]] = line
                begun = None
        left = [name for name in left if name not in found]
        if left:
            culprit = begun if begun in left else left[0]
            found[culprit] = {"error": f"importing it {end}"}
            left.remove(culprit)
    return found


def _run(names: Sequence[str], patience: float) -> tuple[list[dict[str, Any]], str]:
    """Return what a process said that imports these, and how it ended."""
    command = [sys.executable, "-c", PROGRAM, MARK, *names]
    try:
        done = subprocess.run(  # noqa: S603
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            timeout=patience,
            check=False,
        )
        output, end = done.stdout, f"ended Python with code {done.returncode}"
    except subprocess.TimeoutExpired as late:
        output, end = late.stdout or b"", f"took more than {patience:g} seconds"
    lines = output.decode("utf-8", "replace").split("\n")
    return [json.loads(x.removeprefix(MARK)) for x in lines if x.startswith(MARK)], end
