"""Every text of a result or manifest, against what may stand in that field.

Each field has a form of its own: a name, a digest, a version. Markup, formulas, addresses and
control characters fit none. Figures are not looked at here: they are recomputed from the labels.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from polyrefuse.languages import LANGUAGE_CODES
from polyrefuse_evaluation.leaderboard.labels import STRINGS
from polyrefuse_evaluation.leaderboard.names import COMMIT, DIGEST, NAME
from polyrefuse_evaluation.leaderboard.problems import Problem, shown

WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,79}")
VERSION = re.compile(r"[0-9][A-Za-z0-9.+!_-]{0,39}")
PLAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 .,:;_@+-]|/(?!/)){0,199}")
"""Where nothing narrower is known: no brackets, no quotes, no ``//``, nothing a formula begins
with."""

NOTE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 .,:;_%'()+-]|/(?!/)){0,299}")
SAMPLE_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
LANGUAGE = re.compile("|".join(LANGUAGE_CODES))
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ][0-9:.]{5,15}(?:Z|\+00:00)?")

FORMS: dict[str, re.Pattern[str]] = {
    "model": NAME,
    "revision": COMMIT,
    "weights_digest": DIGEST,
    "files.*.sha256": DIGEST,
    "licence": re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,39}"),
    "family": re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,39}"),
    "model.name": NAME,
    "model.revision": COMMIT,
    "model.weights_digest": DIGEST,
    "model.chat_template_digest": DIGEST,
    "model.architecture": WORD,
    "model.dtype": re.compile(r"[a-z][a-z0-9_]{1,19}"),
    "model.planted_variant": re.compile(r"[a-z][a-z-]{0,19}"),
    "model.endpoint": re.compile(r"a private address|[A-Za-z0-9][A-Za-z0-9.-]{0,252}"),
    "dataset.name": NAME,
    "dataset.revision": SAMPLE_TAG,
    "dataset.content_digest": DIGEST,
    "dataset.test_split": re.compile("test"),
    "settings.languages.*": LANGUAGE,
    "settings.source_languages.*": LANGUAGE,
    "settings.judges.*.name": STRINGS["judge"],
    "settings.judges.*.version": PLAIN,
    "settings.ablation_method": re.compile(r"[a-z]{1,20}"),
    "directions.*.language": LANGUAGE,
    "directions.*.rung": re.compile(r"[a-z][a-z0-9_.]{0,39}"),
    "directions.*.refusal_tokens_from": re.compile(r"own|union|override"),
    "environment.versions.*": VERSION,
    "environment.python": VERSION,
    "environment.platform": re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,79}"),
    "environment.device": re.compile(r"[a-z]{2,20}(?: \([A-Za-z0-9][A-Za-z0-9 .,_/-]{0,80}\))?"),
    "endpoint.host": re.compile(r"a private address|[A-Za-z0-9][A-Za-z0-9.-]{0,252}"),
    "endpoint.first_answer": TIME,
    "endpoint.last_answer": TIME,
    "endpoint.withheld_by_cell.*.language": LANGUAGE,
    "endpoint.withheld_by_cell.*.label": STRINGS["label"],
    "calibrations.*.judge": STRINGS["judge"],
    "calibrations.*.judge_version": PLAIN,
    "calibrations.*.reference.files.*": SAMPLE_TAG,
    "calibrations.*.reference.digest": DIGEST,
    "calibrations.*.reference.kind": WORD,
    "calibrations.*.reference.column": WORD,
    "calibrations.*.languages.*.language": LANGUAGE,
    "calibrations.*.languages.*.readings.*.reading": re.compile(r"[a-z+]{1,40}"),
    "calibrations.*.languages.*.readings.*.notes.*": NOTE,
    "calibrations.*.pooled.language": re.compile("all"),
    "calibrations.*.pooled.readings.*.reading": re.compile(r"[a-z+]{1,40}"),
    "calibrations.*.pooled.readings.*.notes.*": NOTE,
    "calibrations.*.annotators.*.language": re.compile(f"all|{LANGUAGE.pattern}"),
    "labels_digest": DIGEST,
}  # fmt: skip
KEYS = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,59}")
"""Names of fields, libraries and parameters."""

FREE = (
    "files",
    "environment.versions",
    "endpoint.served",
    "endpoint.parameters",
    "model.chat_switches",
)
"""Objects whose keys are data."""

TOKENS = "directions.*.refusal_token_texts.*"
SERVED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,99}")

RECOMPUTED = {
    "cells", "differences", "averages", "comparisons", "findings", "second_opinions", "agreement",
    "failed", "labels_digest",
}  # fmt: skip
"""Fields of a result that must equal what the labels give."""


def text_problems(name: str, record: BaseModel) -> list[Problem]:
    """Return each text of `record` that may not stand where it stands."""
    values = record.model_dump(mode="json", exclude=RECOMPUTED)
    return [
        Problem("text", f"{name}: {where}", f"{shown(repr(text), 60)} is not allowed here")
        for where, pattern, text in _texts(values)
        if not _fits(pattern, text)
    ]


def _fits(pattern: str, text: str) -> bool:
    if pattern == TOKENS:
        return len(text) <= 40 and all(
            unicodedata.category(c)[0] in "LMN" or c in " '.\u2019\u25a1" for c in text
        )
    if pattern.endswith("{}"):
        known = SERVED if pattern == "endpoint.served.{}" else KEYS
        return bool(known.fullmatch(text))
    return bool(FORMS.get(pattern, PLAIN).fullmatch(text))


def _texts(value: Any, where: str = "", pattern: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield (place, place with ``*`` for what varies, text); a key's place ends in ``{}``."""
    if isinstance(value, str):
        yield where, pattern, value
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _texts(item, f"{where}.{at}".lstrip("."), f"{pattern}.*".lstrip("."))
    elif isinstance(value, dict):
        free = pattern in FREE
        for key, item in value.items():
            yield f"{where}.{{}}".lstrip("."), f"{pattern}.{{}}".lstrip("."), key
            step = "*" if free else key
            yield from _texts(item, f"{where}.{key}".lstrip("."), f"{pattern}.{step}".lstrip("."))
