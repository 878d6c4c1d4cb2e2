"""Inputs that several suites spoil or build from: a small dataset, a model folder, a source."""

import shutil
from pathlib import Path

from polyrefuse.dataset import SAMPLE_FOLDER
from polyrefuse_evaluation.planted import planted_pair

SOURCE_ENTRY = """
[sources.{name}]
title = "Source {name}"
homepage = "https://example.org/{name}"
licence = "MIT"
confirmed = true
host = "folder"
repository = "{name}"
format = "jsonl"
files = [{{ path = "rows.jsonl" }}]
label = "{label}"
split = "hash"
{more}
"""
"""A source of a sources.toml that is a folder of JSON lines: format it with name, label, more."""

TEXT_COLUMN = 'columns = { text = "text" }'
"""What more it says where the prompt stands in the field ``text``."""


def copy_english_and_thai(folder: Path) -> Path:
    """Write the sample's English and Thai as a dataset folder; return it."""
    for language in ("en", "th"):
        shutil.copytree(SAMPLE_FOLDER / "data" / language, folder / "data" / language)
    shutil.copy(SAMPLE_FOLDER / "README.md", folder / "README.md")
    return folder


def copy_planted_model(folder: Path) -> Path:
    """Write the planted model as a checkpoint folder; return it."""
    return Path(shutil.copytree(planted_pair("single").folder / "tuned", folder))
