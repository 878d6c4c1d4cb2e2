"""The lock file of a build: the digest of every source file that the build has seen.

A manifest states a sha256 only where it is really known. For the other files the first build writes
down what it saw, and every later build of the same revision must see the same.
"""

import hashlib
import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from polyrefuse import atomic
from polyrefuse.errors import DatasetError
from polyrefuse_builders.sources.manifest import Source, SourceFile


class Seen(BaseModel):
    """The digest of one file at one revision."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    revision: str | None
    sha256: str


class Lock(BaseModel):
    """What a build has seen: source -> file -> digest. Written after each source."""

    model_config = ConfigDict(extra="forbid")

    sources: dict[str, dict[str, Seen]] = Field(default_factory=dict)

    def check(self, name: str, source: Source, file: SourceFile, path: Path, digest: str) -> None:
        """Compare `digest` with the manifest's, else with the one seen before; remember it.

        Raises:
            DatasetError: they differ; names both digests.
        """
        seen = self.sources.setdefault(name, {})
        before = seen.get(file.path)
        if file.sha256 is not None:
            expected, by = file.sha256, "the manifest says"
            remedy = "Get the file again, or correct the manifest if the source has changed."
        elif before is not None and before.revision == source.revision:
            expected, by = before.sha256, "an earlier build saw"
            remedy = f"Get the file again, or remove {name!r} from sources.lock.json to accept it."
        else:
            expected, by, remedy = digest, "", ""
        if digest != expected:
            raise DatasetError(
                f"source {name!r}: checksum mismatch of {path}: its sha256 is {digest}, "
                f"{by} {expected}.",
                remedy,
            )
        seen[file.path] = Seen(revision=source.revision, sha256=digest)


def read_lock(path: Path) -> Lock:
    """Read a lock file; one that does not exist is empty.

    Raises:
        DatasetError: it cannot be read or is damaged.
    """
    if not path.is_file():
        return Lock()
    try:
        return Lock.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise DatasetError(
            f"{path}: is not a readable lock file.", "Remove it to record the digests anew."
        ) from error


def write_lock(lock: Lock, path: Path) -> None:
    """Write a lock file, sorted, whole or not at all."""
    text = json.dumps(lock.model_dump(), indent=2, sort_keys=True) + "\n"
    write_whole(path, text)


def write_whole(path: Path, text: str) -> None:
    """Write a small file whole or not at all.

    Raises:
        DatasetError: the disk is full or read-only; what was there before is still there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_whole(path, text)
    except OSError as error:
        raise DatasetError(
            f"{path}: cannot be written ({error.strerror or error}).",
            "Free some space, or name a folder that you may write to.",
        ) from error


def file_digest(path: Path) -> str:
    """Return the sha256 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def tree_digest(folder: Path) -> str:
    """Return one sha256 over names and contents of all ``.json`` files under `folder`."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.json")):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{file_digest(path)}\n".encode())
    return digest.hexdigest()
