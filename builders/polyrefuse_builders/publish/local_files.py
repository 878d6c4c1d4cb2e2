"""Which files of a dataset folder are published: a list of what may go, not of what may not."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from polyrefuse.errors import AnswerIsNo, DatasetError
from polyrefuse.languages import LANGUAGES
from polyrefuse.plain_file import plain
from polyrefuse.prompts import SPLITS
from polyrefuse_builders.documents.render import DOCUMENTS, LANGUAGE_PAGES
from polyrefuse_builders.holdback import MANIFEST

TOP_FILES = {*DOCUMENTS, "errata.jsonl", "LICENSE", "LICENSE.upstream"}


@dataclass(frozen=True)
class LocalFile:
    """One file to publish: path in the repository, content, digests."""

    path: str
    content: bytes

    @property
    def sha256(self) -> str:
        """Hex sha256 of the content, which names LFS files."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def git_oid(self) -> str:
        """Git blob id of the content, which names other files."""
        head = f"blob {len(self.content)}\0".encode()
        return hashlib.sha1(head + self.content, usedforsecurity=False).hexdigest()


def is_published(path: str) -> bool:
    """Whether a path belongs to a published dataset: card, documents, errata, licence, data."""
    parts = PurePosixPath(path).parts
    if len(parts) == 1:
        return path in TOP_FILES
    if len(parts) == 2 and parts[0] == LANGUAGE_PAGES:
        return parts[1].endswith(".md") and parts[1][:-3] in LANGUAGES
    if len(parts) == 3 and parts[0] == "data":
        return parts[1] in LANGUAGES and parts[2] in {f"{split}.jsonl" for split in SPLITS}
    return False


def read_local_files(folder: Path) -> tuple[list[LocalFile], list[str]]:
    """Return the files to publish, by path, and the paths that stay here.

    Raises:
        AnswerIsNo: the folder is a holdback.
        DatasetError: a file cannot be read, or is a link.
    """
    if (folder / MANIFEST).exists():
        raise AnswerIsNo(
            f"{folder}: is a holdback ({MANIFEST} lies in it); it is never published.",
            "Publish its digest only.",
        )
    files, left_out = [], []
    for path in _walk(folder):
        name = path.relative_to(folder).as_posix()
        if not is_published(name):
            left_out.append(name)
        elif path.is_symlink():
            raise DatasetError(f"{path}: is a link.", "Put the file itself there.")
        else:
            files.append(LocalFile(name, _read(path)))
    return files, left_out


def _walk(folder: Path) -> Iterator[Path]:
    """Yield files and links under `folder`, sorted; links to folders are not followed."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)
        else:
            yield path


def _read(path: Path) -> bytes:
    try:
        return plain(path).read_bytes()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}).", "Mend it.") from error
