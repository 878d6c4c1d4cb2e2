"""Hypothesis against the parser: whatever the bytes, there is a verdict and no traceback."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polyrefuse_evaluation.leaderboard.schema import FILES, LABELS, MANIFEST, RESULT
from polyrefuse_evaluation.leaderboard.sources import SAMPLE_SOURCE
from polyrefuse_evaluation.leaderboard.verify import verify_files

QUICK = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    derandomize=True,
)
SLOW = settings(QUICK, max_examples=1700, derandomize=False)

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30),
    st.sampled_from([1e308, -1e308, 10**400, "NaN", "=1+1", "<b>", "../x", "\ud800", "\u202e"]),
)  # fmt: skip
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4)
    ),
    max_leaves=12,
)  # fmt: skip


class Contents(dict):
    """The files of a submission; Hypothesis need not print them."""

    def __repr__(self):
        return "<contents>"


@pytest.fixture(scope="session")
def contents(honest):
    return Contents({name: (honest / name).read_bytes() for name in FILES})


def check(folder, contents):
    """Verify; a changed submission is rejected with reasons that are safe to show."""
    verdict = verify_files(folder, contents, (SAMPLE_SOURCE,))
    for problem in verdict.problems:
        line = str(problem)
        assert line.isprintable()
        assert len(line) < 1000
        line.encode("utf-8")
    return verdict


def places(value, path=()):
    yield path
    if isinstance(value, dict):
        children = value.items()
    else:
        children = enumerate(value) if isinstance(value, list) else ()
    for key, item in children:
        yield from places(item, (*path, key))


def mutate_json(draw, name, contents):
    data = json.loads(contents[name])
    path = draw(st.sampled_from(list(places(data))[1:]))
    item = data
    for step in path[:-1]:
        item = item[step]
    if draw(st.booleans()) and isinstance(item, dict):
        del item[path[-1]]
    else:
        item[path[-1]] = draw(JSON)
    return {**contents, name: json.dumps(data).encode("utf-8", "surrogatepass")}


def mutate_bytes(draw, name, contents):
    content = bytearray(contents[name])
    for _ in range(draw(st.integers(1, 8))):
        if not content:
            break
        at = draw(st.integers(0, len(content) - 1))
        kind = draw(st.integers(0, 3))
        if kind == 0:
            content[at] = draw(st.integers(0, 255))
        elif kind == 1:
            del content[at : at + draw(st.integers(1, 64))]
        elif kind == 2:
            content[at:at] = draw(st.binary(max_size=64))
        else:
            content = content[: max(1, at)]
    return {**contents, name: bytes(content)}


def fuzz_json(data, contents, honest):
    name = data.draw(st.sampled_from([MANIFEST, RESULT]))
    check(honest.name, mutate_json(data.draw, name, contents))


def fuzz_bytes(data, contents, honest):
    name = data.draw(st.sampled_from([MANIFEST, RESULT, LABELS, LABELS, LABELS]))
    changed = mutate_bytes(data.draw, name, contents)
    verdict = check(honest.name, changed)
    if name != MANIFEST:
        assert verdict.accepted == (changed == contents), "a changed byte breaks a digest"


def fuzz_anything(data, contents, honest):
    parts = {
        name: data.draw(st.binary(max_size=200) | JSON.map(lambda x: json.dumps(x).encode()))
        for name in data.draw(st.sets(st.sampled_from(FILES)))
    }
    assert not check(data.draw(st.text(max_size=20)), parts).accepted


FUZZERS = {"json": fuzz_json, "bytes": fuzz_bytes, "anything": fuzz_anything}


@pytest.mark.parametrize("fuzzer", FUZZERS.values(), ids=FUZZERS)
@QUICK
@given(data=st.data())
def test_no_bytes_make_a_traceback(fuzzer, data, contents, honest):
    fuzzer(data, contents, honest)


@pytest.mark.slow
@pytest.mark.parametrize("fuzzer", FUZZERS.values(), ids=FUZZERS)
@SLOW
@given(data=st.data())
def test_no_bytes_of_5100_make_a_traceback(fuzzer, data, contents, honest):
    fuzzer(data, contents, honest)


def test_a_parser_that_crashes_would_be_noticed(contents, honest, monkeypatch):
    """The mutation: a check that raises on what it did not expect."""

    def crash(*_):
        raise RuntimeError("traceback")

    monkeypatch.setattr("polyrefuse_evaluation.leaderboard.verify.text_problems", crash)
    with pytest.raises(RuntimeError):
        check(honest.name, contents)
