"""An untrusted folder, as bytes: no link is followed, nothing large is read, nothing extra passes.

Also JSON from strangers: no NaN, no key twice, no schema but the known ones.
"""

import json
import math
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from polyrefuse_evaluation.leaderboard.problems import Problem, examples, shown
from polyrefuse_evaluation.leaderboard.schema import FILES, LARGEST

Model = TypeVar("Model", bound=BaseModel)

MOST_FAULTS = 20


def read_folder(folder: Path) -> tuple[dict[str, bytes], list[Problem]]:
    """Return the contents of a submission's files by name, and what is wrong with the folder.

    Raises:
        OSError: the folder itself cannot be listed.
    """
    if folder.is_symlink():
        return {}, [Problem("file", folder.name, "is a symbolic link")]
    problems = []
    extra = sorted(entry.name for entry in folder.iterdir() if entry.name not in FILES)
    if extra:
        problems.append(Problem("file", folder.name, f"holds other files: {examples(extra)}"))
    contents = {}
    for name in FILES:
        content, problem = _read_file(folder / name)
        if problem is not None:
            problems.append(problem)
        if content is not None:
            contents[name] = content
    return contents, problems


def _read_file(path: Path) -> tuple[bytes | None, Problem | None]:
    name = path.name
    try:
        about = path.lstat()
        if not stat.S_ISREG(about.st_mode):
            kind = "a symbolic link" if stat.S_ISLNK(about.st_mode) else "no plain file"
            return None, Problem("file", name, f"is {kind}")
        if about.st_size > LARGEST[name]:
            return None, too_large(name, about.st_size)
        # O_NOFOLLOW: a link that took the file's place since lstat is not followed, either.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as stream:
            content = stream.read(LARGEST[name] + 1)
    except FileNotFoundError:
        return None, Problem("file", name, "is missing")
    except OSError as error:
        return None, Problem("file", name, f"cannot be read ({error.strerror})")
    if len(content) > LARGEST[name]:
        return None, too_large(name, len(content))
    return content, None


def too_large(name: str, size: int) -> Problem:
    """Return the problem of a file that is larger than any submission needs."""
    return Problem("size", name, f"has {size} bytes; at most {LARGEST[name]} are read")


def parse(name: str, content: bytes, model: type[Model]) -> tuple[Model | None, list[Problem]]:
    """Return untrusted JSON as a `model`, or every fault of it.

    Numbers are not made of strings, and no NaN or infinity is let in.
    """
    try:
        raw = json.loads(
            content.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant
        )
    except UnicodeDecodeError as error:
        return None, [Problem("schema", name, f"byte {error.start + 1} is not UTF-8")]
    except (ValueError, RecursionError) as error:
        return None, [Problem("schema", name, f"is no JSON to accept: {error}")]
    version = raw.get("schema_version") if isinstance(raw, Mapping) else None
    known = model.model_fields["schema_version"].default
    if version != known or isinstance(version, bool):
        return None, [
            Problem("schema", name, f"schema_version is {shown(version, 40)}; known is {known}")
        ]
    try:
        return model.model_validate_json(content, strict=True), _not_finite(name, raw)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        found = [
            Problem("schema", f"{name}: {'.'.join(map(str, fault['loc']))}", fault["msg"])
            for fault in faults[:MOST_FAULTS]
        ]
        return None, found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{shown(twice, 40)!r} stands twice in one object")
    return made


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _not_finite(name: str, value: Any, where: str = "") -> list[Problem]:
    """Find numbers too large for a float: ``1e999`` reads as infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return [Problem("number", f"{name}: {where}", "is no finite number")]
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    return [
        problem
        for key, item in items
        for problem in _not_finite(name, item, f"{where}.{key}".lstrip("."))
    ]
