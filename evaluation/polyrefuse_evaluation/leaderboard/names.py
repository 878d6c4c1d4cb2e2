"""Names that may be public: of models, datasets and folders.

ASCII only, so that no two look alike, and nothing that a file system, a page, a shell or a
spreadsheet reads as more than a name.
"""

import re

PART = r"[A-Za-z0-9](?:[A-Za-z0-9]|[._-](?=[A-Za-z0-9])){0,95}"
NAME = re.compile(rf"{PART}(?:/{PART})?(?::[A-Za-z0-9][A-Za-z0-9-]{{0,39}})?")
"""``name``, ``organisation/name``, each also with ``:variant``."""

COMMIT = re.compile(r"[0-9a-f]{40}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
PLANTED = re.compile(r"planted(?::[a-z-]{1,20}(?:[0-9]{1,6})?)?")


def is_public_name(name: str) -> bool:
    """Whether `name` may stand for a model or dataset in public."""
    return bool(NAME.fullmatch(name))


def is_planted(name: str) -> bool:
    """Whether `name` is the project's own test model: its figures test the pipeline alone."""
    return bool(PLANTED.fullmatch(name))


def folder_name(name: str, revision: str | None, digest: str) -> str:
    """Return the folder of a model and revision: one level, letters, digits and ``._-`` only.

    Args:
        name: public name of the model.
        revision: commit of a Hub model.
        digest: what stands for a revision where there is none: the weights, or else the labels.
    """
    slug = name.replace("/", "__").replace(":", "_")
    return f"{slug}--{(revision or digest.removeprefix('sha256:'))[:12]}"
