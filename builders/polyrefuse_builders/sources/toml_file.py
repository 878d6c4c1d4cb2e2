"""Read a TOML file into a pydantic model, with errors that name the file and the key."""

import difflib
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from polyrefuse.errors import PolyRefuseError
from polyrefuse.plain_file import plain

Model = TypeVar("Model", bound=BaseModel)


class ManifestError(PolyRefuseError):
    """A manifest or recipe with a typo, a missing key or a wrong value."""


def read_toml(path: Path, model: type[Model]) -> Model:
    """Read `path` and check it against `model`.

    Raises:
        ManifestError: the file cannot be read, is no TOML, or does not fit.
    """
    return check_table(path, load_table(path), model)


def load_table(path: Path) -> dict[str, Any]:
    """Return the top-level table of a TOML file.

    Raises:
        ManifestError: the file cannot be read or is no TOML.
    """
    try:
        return tomllib.loads(plain(path).read_bytes().decode("utf-8"))
    except OSError as error:
        raise ManifestError(
            f"{path}: cannot be read ({error.strerror}).", "Name a manifest or recipe file."
        ) from error
    except UnicodeDecodeError as error:
        raise ManifestError(
            f"{path}: byte {error.start + 1} is not UTF-8.", "Save the file as UTF-8."
        ) from error
    except (ValueError, RecursionError) as error:  # also 4,300 digits, nesting, a path with NUL
        raise ManifestError(f"{path}: is not valid TOML: {error}.", "Correct that line.") from error


def check_table(path: Path, table: dict[str, Any], model: type[Model]) -> Model:
    """Check a table read from `path` against `model`.

    Raises:
        ManifestError: names file and key, and the nearest known key where one is unknown.
    """
    try:
        return model.model_validate(table)
    except ValidationError as error:
        found = error.errors()
        typos = [one for one in found if one["type"] == "extra_forbidden"]
        first = (typos or found)[0]
        key = ".".join(str(part) for part in first["loc"]) or "the file"
        if first["type"] == "extra_forbidden":
            remedy = _suggest(str(first["loc"][-1]), _table_at(model, first["loc"][:-1]))
            raise ManifestError(f"{path}: {key}: unknown key.", remedy) from error
        problem = first["msg"].removeprefix("Value error, ")
        raise ManifestError(f"{path}: {key}: {problem}.", "Correct that key.") from error


def _suggest(name: str, model: type[BaseModel]) -> str:
    close = difflib.get_close_matches(name, list(model.model_fields), n=1)
    return f"Did you mean {close[0]!r}?" if close else "Remove it, or correct its name."


def _table_at(model: type[BaseModel], place: Iterable[str | int]) -> type[BaseModel]:
    """Return the model of the table at `place` inside `model`."""
    for part in place:
        field = model.model_fields.get(str(part))
        if field is not None:
            model = next(iter(_models_in(field.annotation)), model)
    return model


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the models that stand in an annotation such as ``dict[str, Source]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]
