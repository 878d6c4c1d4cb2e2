"""What is left of a result without its times, and that nothing else is left out."""

import json

import pytest

from polyrefuse.reproducibility import MACHINE, TIMES, without_times
from polyrefuse.results import EndpointRecord, Result

RESULT = {
    "model": {"name": "x"},
    "cells": [{"refusal": 0.1234567890123}],
    "endpoint": {"host": "h", "first_answer": "a", "last_answer": "b", "requests": 3},
    "environment": {"threads": 2},
    "wall_seconds": 4.5,
}


def changed(**values):
    return json.dumps(RESULT | values)


def test_only_times_are_left_out():
    kept = json.loads(without_times(json.dumps(RESULT)))
    assert kept == {
        **{key: value for key, value in RESULT.items() if key != "wall_seconds"},
        "endpoint": {"host": "h", "requests": 3},
    }
    assert "environment" not in json.loads(without_times(json.dumps(RESULT), machine=True))


@pytest.mark.parametrize("endpoint", [None, {}])
def test_a_result_without_an_endpoint_is_taken(endpoint):
    assert json.loads(without_times(changed(endpoint=endpoint)))["endpoint"] == endpoint


def test_times_may_differ_and_nothing_else_may():
    same = without_times(changed())
    assert without_times(changed(wall_seconds=9.0)) == same
    assert without_times(changed(cells=[{"refusal": 0.1234567890124}])) != same
    assert without_times(changed(environment={"threads": 1})) != same
    assert without_times(changed(environment={}), machine=True) == without_times(
        changed(), machine=True
    )
    reordered = dict(reversed(RESULT.items()))
    assert without_times(json.dumps(reordered)) != same


def test_the_fields_that_are_left_out_exist():
    for name in (*TIMES, *MACHINE):
        *outer, last = name.split(".")
        schema = EndpointRecord if outer == ["endpoint"] else Result
        assert last in schema.model_fields


def test_what_is_no_result_is_refused():
    for text in ("[]", "{"):
        with pytest.raises(ValueError, match=r"JSON object|Expecting"):
            without_times(text)
