"""What a submission consists of: three files, their limits, and the manifest that binds them."""

import hashlib
from typing import Literal

from pydantic import BaseModel, ConfigDict

MANIFEST, RESULT, LABELS = "manifest.json", "result.json", "labels.parquet"
FILES = (MANIFEST, RESULT, LABELS)

LARGEST = {MANIFEST: 16 * 1024, RESULT: 8 * 1024**2, LABELS: 128 * 1024**2}
"""Bytes that are read of each file. The sample in 14 languages takes 1 kB, 0.5 MB and 1 MB."""


class FileRecord(BaseModel):
    """One file of a submission: its size in bytes and the sha256 of its bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bytes: int
    sha256: str


class Manifest(BaseModel):
    """``manifest.json``: what is submitted, and the digests of the other files.

    Digests show that the files belong together. They are no signature: whoever changes a file can
    change its digest, so only asking the model again (``--rescore``) catches a forgery in which
    everything agrees. `licence` and `family` are what the submitter says of the model, for the
    page's filters. `self_test` marks the project's own planted model.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    model: str
    revision: str | None
    weights_digest: str | None
    rows: int
    files: dict[str, FileRecord]
    licence: str | None = None
    family: str | None = None
    self_test: bool = False


def file_record(content: bytes) -> FileRecord:
    """Return size and digest of a file's content."""
    return FileRecord(bytes=len(content), sha256=f"sha256:{hashlib.sha256(content).hexdigest()}")
