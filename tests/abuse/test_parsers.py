"""Hypothesis against every parser: any bytes give a value or a one-line error, in bounded time.

`make test` runs a short form; `make abuse` runs 10,000 examples a parser (ABUSE_EXAMPLES).
"""

import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from polyrefuse.cli.common import one_line
from polyrefuse.errors import PolyRefuseError
from tests.abuse.corpus import RAW_JSON, TOKENS, hostile, mutate_bytes, mutate_json
from tests.abuse.parser_coverage import file_of, statements, wanted
from tests.abuse.parsers import Parser, all_parsers

EXAMPLES = int(os.environ.get("ABUSE_EXAMPLES", "20"))
LONGEST_SECONDS = 20.0
"""One example takes milliseconds; this many seconds on a busy machine mean that it does not end."""

PARSERS = all_parsers()
SETTINGS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=EXAMPLES < 1000,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def scratch():
    """A folder in memory where there is one: each example writes a file."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else None))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def outcome(parser: Parser, folder: Path, content: bytes) -> str:
    """Give bytes to a parser; say what came of it, and fail where it is anything but an answer."""
    started = time.monotonic()
    try:
        parser.read(folder, content)
        found = "read"
    except PolyRefuseError as error:
        line = one_line(str(error))
        assert line.strip(), "an error without words"
        line.encode("utf-8")
        found = "refused"
    except parser.raises:
        found = "refused"
    seconds = time.monotonic() - started
    assert seconds < LONGEST_SECONDS, f"{parser.name}: {seconds:.0f} s for {len(content)} bytes"
    return found


def folder_of(scratch: Path, parser: Parser) -> Path:
    folder = scratch / "".join(c if c.isalnum() else "-" for c in parser.name)
    folder.mkdir(exist_ok=True)
    return folder


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_any_bytes_give_a_value_or_a_one_line_error(parser, scratch):
    folder = folder_of(scratch, parser)

    @SETTINGS
    @given(content=hostile(parser.seeds))
    def fuzz(content):
        outcome(parser, folder, content)

    fuzz()


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_known_hostile_values_give_a_value_or_a_one_line_error(parser, scratch):
    """Every raw value in the first places of the first seed, and every token at a few places."""
    folder = folder_of(scratch, parser)
    seed = parser.seeds[0]
    found = [outcome(parser, folder, seed) for seed in parser.seeds]
    assert not parser.sound or set(found) == {"read"}, "a seed is not sound: it tests nothing"
    for raw in RAW_JSON:
        outcome(parser, folder, raw.encode())
    places = range(2 if EXAMPLES < 1000 else 60)
    for place in places:
        for number, raw in enumerate(RAW_JSON):
            outcome(parser, folder, mutate_json(seed, [(place * 7 + number, 0, raw)]))
        for number, token in enumerate(TOKENS):
            at = place * 31 + number * 13
            outcome(parser, folder, mutate_bytes(seed, [(at, number % 3, token)]))


def test_coverage_is_asked_of_code_that_is_there():
    """A function that was renamed would silently no longer be counted."""
    covers = [text for parser in PARSERS for text in parser.covers]
    for module, names in wanted(covers).items():
        assert statements(file_of(module), names), module
    with pytest.raises(KeyError, match="gone"):
        statements(file_of("polyrefuse.run_lock"), {"gone"})


def test_parsers_with_a_hole_would_be_noticed(scratch):
    """The mutation: readers that forget one thing each."""
    import json

    def forgets_digits(_, content):  # 4,300 digits are no JSONDecodeError
        try:
            json.loads(content)
        except json.JSONDecodeError as error:
            raise PolyRefuseError("no JSON") from error
        except (UnicodeDecodeError, RecursionError) as error:
            raise PolyRefuseError("no JSON") from error

    def forgets_depth(_, content):
        try:
            json.loads(content)
        except ValueError as error:
            raise PolyRefuseError("no JSON") from error

    def forgets_type(_, content):
        try:
            return json.loads(content).get("a")
        except (ValueError, RecursionError) as error:
            raise PolyRefuseError("no JSON") from error

    holes = {
        forgets_digits: ValueError,
        forgets_depth: RecursionError,
        forgets_type: AttributeError,
    }
    for hole, expected in holes.items():
        parser = Parser(hole.__name__, hole, (b'{"a": [1, {"b": 2}]}',), ())
        with pytest.raises(expected):
            test_known_hostile_values_give_a_value_or_a_one_line_error(parser, scratch)


def test_a_parser_that_does_not_end_would_be_noticed(scratch, monkeypatch):
    """The mutation: time that grows with the input beyond the bound."""
    monkeypatch.setattr("tests.abuse.test_parsers.LONGEST_SECONDS", 0.01)
    slow = Parser("slow", lambda _, content: time.sleep(0.02), (b"x",), ())
    with pytest.raises(AssertionError, match="slow"):
        outcome(slow, scratch, b"x")
