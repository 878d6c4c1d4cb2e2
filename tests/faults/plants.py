"""Faults planted in the product, one at a time, to see the suite catch them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.faults.hooks import replace_everywhere


def writes_in_place() -> None:
    """A writer that is not atomic: a kill leaves half a file under its name."""
    from polyrefuse import atomic

    @contextmanager
    def whole_file(target: Path) -> Iterator[Path]:
        target.write_bytes(b"")
        yield target
        os.fsync(os.open(target, os.O_RDONLY))

    replace_everywhere(atomic.whole_file, whole_file)


def forgets_what_is_there() -> None:
    """A resume that repeats what was kept."""
    from polyrefuse_evaluation.run_directory import RunDirectory

    RunDirectory.recover = lambda self, sizes, judges=1: set()


def leaves_partials() -> None:
    """A run that does not look for what a killed one left."""
    from polyrefuse import atomic

    replace_everywhere(atomic.remove_partials, lambda folder: None)
    named = atomic.partial_of

    def unique(target: Path) -> Path:
        return named(target).with_name(f".{target.name}.{os.getpid()}.partial")

    replace_everywhere(named, unique)


def lets_two_in() -> None:
    """A lock that holds nobody back."""
    import fcntl

    fcntl.flock = lambda *_: None


def resumes_after_a_torn_line() -> None:
    """Half a line is kept, and an append goes on behind it; either alone is healed."""
    from polyrefuse_evaluation import record_lines
    from polyrefuse_evaluation.run_directory import RunDirectory

    def append_lines(path: Path, data: bytes) -> None:
        with path.open("ab") as stream:
            stream.write(data)

    replace_everywhere(record_lines.append_lines, append_lines)
    RunDirectory.rewrite = lambda self, name, rows: None


def ignores_inputs() -> None:
    """A run that never looks at its inputs again."""
    from polyrefuse_evaluation.input_files import InputFiles

    InputFiles.require_unchanged = lambda self: None


def asks_again() -> None:
    """A translation cache that remembers nothing."""
    from polyrefuse_builders.translation import TranslationCache

    def known(self: Any, *_: Any) -> dict[str, Any]:
        return {}

    TranslationCache.known = known
