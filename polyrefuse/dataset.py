"""Find and load the dataset: the packaged sample, a folder, or a Hub id pinned by revision."""

from pathlib import Path
from typing import TYPE_CHECKING

from polyrefuse.errors import DatasetError
from polyrefuse.folder import read_prompts, require_dataset_folder
from polyrefuse.languages import get_language
from polyrefuse.prompts import SPLITS, features

if TYPE_CHECKING:
    from datasets import Dataset

SAMPLE_FOLDER = Path(__file__).parent
"""The packaged sample: this folder is a package and a dataset repository at once."""

SAMPLE_NAME = "polyrefuse-sample"


def load(
    language: str = "all",
    split: str | None = None,
    source: str | Path | None = None,
    revision: str | None = None,
) -> "Dataset":
    """Load prompts as a `datasets.Dataset`.

    Args:
        language: ISO 639-1 code, or ``all``.
        split: ``train``, ``validation`` or ``test``; None concatenates all three.
        source: a dataset folder or a Hub dataset id; the packaged sample by default.
        revision: commit or tag of a Hub dataset; names the exact data.

    Raises:
        UnknownLanguageError: no such language.
        DatasetError: the source has no such language or split, or cannot be read.
    """
    from datasets import Dataset

    if language != "all":
        get_language(language)
    if split is not None and split not in SPLITS:
        raise DatasetError(f"unknown split {split!r}.", f"Splits are {', '.join(SPLITS)}.")
    folder = resolve_folder(source, revision)
    rows = read_prompts(folder, None if language == "all" else [language])
    wanted = [row for row in rows if split in (None, row.split)]
    if not wanted:
        present = {row.split for row in rows}
        raise DatasetError(
            f"{folder}: language {language!r} has no split {split!r}.",
            f"It has {', '.join(name for name in SPLITS if name in present)}.",
        )
    # Not datasets.load_dataset: its cache of a folder does not notice that a file has changed.
    return Dataset.from_list([row.model_dump(mode="json") for row in wanted], features=features())


def resolve_folder(source: str | Path | None = None, revision: str | None = None) -> Path:
    """Return the dataset folder that `source` names, downloading a Hub dataset if need be.

    Raises:
        DatasetError: no such folder, or the Hub dataset cannot be had.
    """
    if source is None:
        return SAMPLE_FOLDER
    folder = Path(source)
    if folder.exists() or isinstance(source, Path) or source.startswith((".", "/", "~")):
        folder = _expanded(folder)
        require_dataset_folder(folder)
        return folder
    return _download(source, revision)


def _expanded(folder: Path) -> Path:
    try:
        return folder.expanduser()
    except RuntimeError as error:
        raise DatasetError(f"{folder}: {error}.", "Name the folder in full.") from error


def _download(repo_id: str, revision: str | None) -> Path:
    import huggingface_hub
    from huggingface_hub.errors import HFValidationError

    try:
        path = huggingface_hub.snapshot_download(
            repo_id,
            repo_type="dataset",
            revision=revision,
            allow_patterns=["README.md", "errata.jsonl", "data/**"],
        )
    except HFValidationError as error:
        raise DatasetError(
            f"{repo_id!r} is neither a folder nor a Hub dataset id.",
            "Name a dataset folder, or an id like 'organisation/polyrefuse'.",
        ) from error
    except Exception as error:  # the hub client raises many unrelated classes
        raise DatasetError(
            f"{repo_id}: not a local folder, and the Hub dataset could not be had "
            f"({type(error).__name__}).",
            "Check the name and revision, the network, HF_HUB_OFFLINE and 'hf auth login'.",
        ) from error
    folder = Path(path)
    require_dataset_folder(folder)
    return folder
