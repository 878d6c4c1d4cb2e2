"""What a dataset says of itself that no row can tell: name, licence, description, sources.

It stands in the card's front matter under ``polyrefuse:``, so that the documents of a folder can be
rendered again from the folder alone.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from polyrefuse.errors import DatasetError
from polyrefuse.plain_file import plain
from polyrefuse.prompts import Prompt

FRONT_MATTER_KEY = "polyrefuse"


class About(BaseModel):
    """Name, licence (SPDX), description and source lines (Markdown) of a dataset.

    `load_name` is what the examples pass to ``load_dataset``: a path or Hub id.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    licence: str
    description: str
    sources: list[str] = Field(default_factory=list)
    load_name: str = "path/to/this/folder"


def about_rows(prompts: Sequence[Prompt]) -> About:
    """Return what the rows themselves tell, for a dataset that says nothing of itself."""
    licences = sorted({row.license for row in prompts})
    sources = sorted({row.source for row in prompts})
    return About(
        name="PolyRefuse dataset",
        licence=licences[0] if len(licences) == 1 else "other",
        description=(
            "Harmful and harmless prompts, parallel by id, for measuring how language models "
            "refuse in several languages."
        ),
        sources=[f"`{source}`" for source in sources],
    )


def read_about(folder: Path, prompts: Sequence[Prompt]) -> About:
    """Read what the card of `folder` says; what it does not say comes from `prompts`.

    Raises:
        DatasetError: the card's front matter is not YAML, or says something of another type.
    """
    data = read_front_matter(folder)
    said: dict[str, Any] = {}
    block = data.get(FRONT_MATTER_KEY)
    if isinstance(block, dict):
        said |= {name: block[name] for name in About.model_fields if name in block}
    if isinstance(data.get("pretty_name"), str):
        said["name"] = data["pretty_name"]
    if isinstance(data.get("license"), str):
        said.setdefault("licence", data["license"])
    try:
        return About.model_validate(about_rows(prompts).model_dump() | said)
    except ValueError as error:
        raise DatasetError(
            f"{folder / 'README.md'}: the block {FRONT_MATTER_KEY!r} of the front matter cannot "
            "be used.",
            "Correct it, or remove it: what it says is then taken from the rows.",
        ) from error


def read_front_matter(folder: Path) -> dict[str, Any]:
    """Return the YAML front matter of the card of `folder`; empty if the card has none.

    Raises:
        DatasetError: there is no card, or its front matter is not YAML.
    """
    import yaml  # type: ignore[import-untyped]
    from huggingface_hub.repocard import metadata_load

    path = folder / "README.md"
    try:
        return metadata_load(plain(path)) or {}
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: cannot be read ({error}).", "Add a card.") from error
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        problem = (str(error).splitlines() or [type(error).__name__])[0]
        raise DatasetError(
            f"{path}: the front matter is not YAML ({problem}).", "Correct it."
        ) from error
