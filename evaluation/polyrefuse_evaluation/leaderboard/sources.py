"""The datasets that submissions are checked against, each pinned by revision.

The packaged sample is always one of them. Knows where prompts are, nothing of submissions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from polyrefuse.dataset import SAMPLE_NAME
from polyrefuse.errors import PolyRefuseError
from polyrefuse.results import DatasetRecord, Settings
from polyrefuse_evaluation.leaderboard.names import is_public_name
from polyrefuse_evaluation.leaderboard.problems import shown
from polyrefuse_evaluation.prompt_sets import PromptSets, read_prompt_sets


@dataclass(frozen=True)
class Source:
    """A dataset: its public name, its revision, and a local copy where there is one."""

    name: str
    revision: str | None = None
    folder: Path | None = None

    def __post_init__(self) -> None:
        if self.name != SAMPLE_NAME and self.folder is None:
            pinned = is_public_name(self.name) and self.revision is not None
            if not pinned or not is_public_name(str(self.revision)):
                raise PolyRefuseError(
                    f"{shown(self.name)!r} is no pinned dataset.",
                    "Name it like 'organisation/dataset@COMMIT', or name a folder.",
                )

    def read(self, settings: Settings, dataset: DatasetRecord) -> PromptSets:
        """Return the prompts that a run with these settings has asked.

        Raises:
            PolyRefuseError: the dataset cannot be had, or lacks what the settings name.
        """
        return _read(
            self,
            tuple(settings.languages),
            tuple(settings.source_languages),
            dataset.limit,
            settings.train_prompts,
        )


SAMPLE_SOURCE = Source(SAMPLE_NAME)


def parse_source(text: str) -> Source:
    """Return the source that a person names: a folder, or ``organisation/dataset@COMMIT``.

    Raises:
        PolyRefuseError: it is neither.
    """
    if text == SAMPLE_NAME:
        return SAMPLE_SOURCE
    try:
        folder = Path(text).expanduser()
        is_folder = folder.is_dir()
    except (OSError, RuntimeError):  # a name too long, a home that nobody has
        is_folder = False
    if is_folder:
        return Source(text, None, folder)
    name, _, revision = text.partition("@")
    return Source(name, revision or None)


def all_sources(texts: Sequence[str]) -> list[Source]:
    """Return the sources that `texts` name, and the packaged sample."""
    return [*map(parse_source, texts), SAMPLE_SOURCE]


@lru_cache(maxsize=16)
def _read(
    source: Source,
    languages: tuple[str, ...],
    source_languages: tuple[str, ...],
    limit: int | None,
    train_prompts: int | None,
) -> PromptSets:
    name: str | Path | None = source.folder or source.name
    return read_prompt_sets(
        None if source == SAMPLE_SOURCE else name,
        revision=None if source.folder else source.revision,
        languages=languages,
        source_languages=source_languages,
        limit=limit,
        **({} if train_prompts is None else {"train_prompts": train_prompts}),
    )
