"""Every function that reads what others wrote, with sound input to mutate and what it may raise.

A new reader of outside data gets a line here: `test_parsers` fuzzes it, `coverage` asks for its
lines.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tests.abuse import seeds

Read = Callable[[Path, bytes], object]
"""Gives the bytes to the parser; the path is of an empty folder to put files into."""


@dataclass
class Parser:
    """One reader of outside data.

    Attributes:
        name: for reports.
        read: calls it.
        made: sound input, or what makes it when it is needed.
        covers: what coverage is asked of: ``module`` or ``module:function,Class.method``.
        raises: what it may raise beside a `PolyRefuseError`, where its docstring says so.
        sound: whether the seeds themselves must be read without error.
    """

    name: str
    read: Read
    made: tuple[bytes | Callable[[], bytes], ...]
    covers: tuple[str, ...]
    raises: tuple[type[Exception], ...] = field(default=())
    sound: bool = True

    @cached_property
    def seeds(self) -> tuple[bytes, ...]:
        """Sound input to mutate."""
        return tuple(seed if isinstance(seed, bytes) else seed() for seed in self.made)


def _in_file(name: str, read: Callable[[Path], object]) -> Read:
    """Return a `Read` that writes the bytes to the file `name` and reads that."""

    def run(folder: Path, content: bytes) -> object:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        found = read(path)
        return list(found) if isinstance(found, Iterator) else found

    return run


def _text(read: Callable[[str], object]) -> Read:
    """Return a `Read` that gives the bytes as text; bytes that are no UTF-8 become surrogates."""
    return lambda _, content: read(content.decode("utf-8", "surrogateescape"))


def all_parsers() -> list[Parser]:
    """Return every parser; imports what they need."""
    from tests.abuse import parsers_builders, parsers_evaluation

    return [*_core(), *parsers_builders.parsers(), *parsers_evaluation.parsers()]


def _shown(folder: Path) -> object:
    """Return the status of a run, as text and as JSON; what is shown of it is harmless."""
    from polyrefuse.observing.show import status_json, status_text
    from polyrefuse.observing.status import read_status

    status = read_status(folder)
    text = status_text(status)
    assert all(line.isprintable() for line in text.split("\n")), "status shows what a log says raw"
    return text, json.dumps(status_json(status))


def _core() -> list[Parser]:
    from polyrefuse.calibration_schema import read_calibration
    from polyrefuse.check import check_folder, count_table
    from polyrefuse.cli.evaluation import _parse_ids
    from polyrefuse.folder import folder_languages, read_errata, read_prompts
    from polyrefuse.languages import parse_languages
    from polyrefuse.results import read_result
    from polyrefuse.run_lock import hold_lock

    def dataset(folder: Path, content: bytes) -> object:
        (folder / "data" / "en").mkdir(parents=True, exist_ok=True)
        (folder / "README.md").write_text("card", encoding="utf-8")
        (folder / "data" / "en" / "train.jsonl").write_bytes(content)
        folder_languages(folder)
        read_prompts(folder)
        report = check_folder(folder)
        return [*map(str, report.violations), count_table(report)]

    def errata(folder: Path, content: bytes) -> object:
        (folder / "errata.jsonl").write_bytes(content)
        return read_errata(folder)

    def log(folder: Path, content: bytes) -> object:
        (folder / "log.jsonl").write_bytes(content)
        (folder / "settings.json").write_bytes(content[:4000])
        (folder / ".lock").unlink(missing_ok=True)
        return _shown(folder)

    def lock(folder: Path, content: bytes) -> object:
        (folder / "log.jsonl").write_bytes(seeds.LOG)
        (folder / ".lock").write_bytes(content)
        said = _shown(folder)
        with hold_lock(folder, lines.append):
            assert all(line.isprintable() for line in lines)
            lines.clear()
        return said

    lines: list[str] = []
    return [
        Parser(
            "the log of a run",
            log,
            (seeds.LOG,),
            (
                "polyrefuse.observing.record:parse_line,_fits",
                "polyrefuse.observing.run_log:read_log",
                "polyrefuse.observing.views",
                "polyrefuse.observing.status:_model,_age,_time,_last_error",
            ),
        ),
        Parser(
            "the lock of a run",
            lock,
            (seeds.lock,),
            (
                "polyrefuse.run_lock:_parse",
                "polyrefuse.observing.holder",
            ),
        ),
        Parser(
            "rows of a dataset",
            dataset,
            (seeds.PROMPTS,),
            (
                "polyrefuse.folder:read_prompts,read_jsonl,folder_languages,require_dataset_folder,"
                "_refuse_stray_files",
                "polyrefuse.prompts:Prompt._known_language,Prompt._known_category",
                "polyrefuse.invariants",
            ),
        ),
        Parser("errata", errata, (seeds.ERRATA,), ("polyrefuse.folder:read_errata",)),
        Parser(
            "result.json",
            _in_file("result.json", read_result),
            (seeds.result,),
            ("polyrefuse.results:read_result", "polyrefuse.errors:first_problem"),
        ),
        Parser(
            "a calibration",
            _in_file("c.json", read_calibration),
            (seeds.calibration,),
            ("polyrefuse.calibration_schema:read_calibration",),
        ),
        Parser(
            "a list of languages",
            _text(parse_languages),
            (b"en,de", b" th , en"),
            ("polyrefuse.languages:parse_languages,get_language",),
        ),
        Parser(
            "a list of token ids",
            _text(_parse_ids),
            (b"40,2121", b"1"),
            ("polyrefuse.cli.evaluation:_parse_ids",),
        ),
    ]
