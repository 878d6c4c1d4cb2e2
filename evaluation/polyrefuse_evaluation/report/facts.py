"""The record of a run as (name, value) texts: model, dataset, settings, environment.

Walks the fields of the schema, so that a field added there is shown without a change here.
"""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from polyrefuse.results import JudgeRecord, Result


def facts(result: Result) -> dict[str, list[tuple[str, str]]]:
    """Return the settings and the rest of the record as (name, value) texts, by heading."""
    environment = result.environment
    versions = [(name, version) for name, version in sorted(environment.versions.items())]
    return {
        "Model": _fields(result.model, unknown=result.model.endpoint is None),
        "Dataset": _fields(result.dataset),
        "Settings": _fields(result.settings),
        **_endpoint(result),
        "Environment": [
            *_fields(environment, without={"versions"}),
            ("Wall time", f"{result.wall_seconds:,.0f} s"),
            ("Labels digest", result.labels_digest),
            *versions,
        ],
    }


def _endpoint(result: Result) -> dict[str, list[tuple[str, str]]]:
    """Return how a model behind an endpoint was asked, and what it cost."""
    endpoint = result.endpoint
    if endpoint is None:
        return {}
    held = [f"{x.n} of {x.asked} {x.label} in {x.language}" for x in endpoint.withheld_by_cell]
    return {
        "Endpoint": [
            *_fields(endpoint, without={"usage", "withheld_by_cell"}),
            ("Withheld, by language", _value_text(held)),
            *_fields(endpoint.usage),
        ]
    }


def _fields(
    record: BaseModel, without: Iterable[str] = (), *, unknown: bool = True
) -> list[tuple[str, str]]:
    """Return the fields of a record; `unknown` False leaves out those that are None."""
    values = {
        name: getattr(record, name) for name in type(record).model_fields if name not in without
    }
    return [
        (name.replace("_", " ").capitalize(), _value_text(value))
        for name, value in values.items()
        if unknown or value is not None
    ]


def _value_text(value: Any) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, JudgeRecord):
        return f"{value.name} (version {value.version})"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_value_text(item)}" for name, item in value.items())
    return ", ".join(map(_value_text, value)) if isinstance(value, list) else str(value)
