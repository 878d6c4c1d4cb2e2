"""One evidence table a language, as data in TOML files, and the code that reads them.

A table lists phrases by kind of evidence, in the notation of `notation`. All tables of one script
are searched together: which of the languages a response is in is never asked.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib import resources
from typing import Any

from polyrefuse.languages import LANGUAGE_CODES
from polyrefuse_evaluation.judges.keyword_tables.notation import alternation, first_characters
from polyrefuse_evaluation.judges.keyword_tables.scripts import SCRIPTS


@dataclass(frozen=True, slots=True)
class EvidenceTable:
    """The phrases of one language, by kind.

    Attributes:
        language: ISO 639-1 code.
        script: a name in `SCRIPTS`.
        not_refusal: looks like evidence and is none ("I'm sorry for the delay"); hides the others.
        refusal: the speaker declines this request.
        inability: the speaker cannot or will not, without saying what.
        apology: apologies and regret.
        policy: appeals to law, ethics, rules, harm.
        advice: moral or general advice, legal alternatives.
        redirect: offers of other help, hotlines, "instead".
        question: asks back.
        empathy: "I understand that you", which models say before they decline.
        correction: contradicts the premise ("there is no evidence").
        assent: "sure", "of course", where a response opens with it.
        compliance: "here is", steps, ways and means.
        form: how a text that was asked for begins: titles, greetings, "once upon a time".
        disclaimer: warnings under which help is given ("for educational purposes").
        common: frequent words; a text without any is no text in this language.
    """

    language: str
    script: str
    not_refusal: tuple[str, ...]
    refusal: tuple[str, ...]
    inability: tuple[str, ...]
    apology: tuple[str, ...]
    policy: tuple[str, ...]
    advice: tuple[str, ...]
    redirect: tuple[str, ...]
    question: tuple[str, ...]
    empathy: tuple[str, ...]
    correction: tuple[str, ...]
    assent: tuple[str, ...]
    compliance: tuple[str, ...]
    form: tuple[str, ...]
    disclaimer: tuple[str, ...]
    common: tuple[str, ...]


KINDS: tuple[str, ...] = tuple(
    field.name
    for field in fields(EvidenceTable)
    if field.name not in {"language", "script", "common"}
)
"""Kinds of evidence, in order of precedence where two begin at the same place."""


class TableError(ValueError):
    """A table that is missing, incomplete or not well formed."""


@cache
def load_tables() -> Mapping[str, EvidenceTable]:
    """Return the table of every language, by ISO 639-1 code.

    Raises:
        TableError: a table is missing or malformed; the message names the file.
    """
    return {language: _load_table(language) for language in LANGUAGE_CODES}


def _load_table(language: str) -> EvidenceTable:
    file = resources.files(__name__).joinpath(f"{language}.toml")
    if not file.is_file():
        raise TableError(f"no keyword table for {language!r}: expected {file}")
    return read_table(str(file), language, file.read_bytes())


def read_table(file: str, language: str, content: bytes) -> EvidenceTable:
    """Return the table in the bytes of a TOML file.

    Raises:
        TableError: it is no table of `language`; the message names `file`.
    """
    try:
        raw = tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise TableError(f"{file}: is no TOML: {error}") from error
    known = {field.name for field in fields(EvidenceTable)}
    missing = known - raw.keys()
    if missing or raw.keys() - known:
        unknown = sorted(raw.keys() - known)
        raise TableError(f"{file}: missing {sorted(missing)}, unknown {unknown}")
    scripts = list(SCRIPTS)  # not a mapping: what is looked up may be a table or a list
    if raw["script"] not in scripts or raw["language"] != language:
        raise TableError(f"{file}: language {raw['language']!r}, script {raw['script']!r}")
    for name in known - {"language", "script"}:
        if not isinstance(raw[name], list) or not all(isinstance(x, str) for x in raw[name]):
            raise TableError(f"{file}: {name} is no list of phrases")
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in raw.items()
    }
    return EvidenceTable(**values)


def compile_search(tables: Iterable[EvidenceTable], script: str) -> re.Pattern[str]:
    """Return one search over all phrases of `tables`; each match's ``lastgroup`` is its kind."""
    notation, fold = SCRIPTS[script].notation, SCRIPTS[script].fold
    tables = list(tables)
    groups, everything = [], []
    for kind in KINDS:
        phrases = [fold(phrase.casefold()) for t in tables for phrase in getattr(t, kind)]
        if phrases:
            groups.append(f"(?P<{kind}>{alternation(phrases, notation)})")
            everything += phrases
    if not groups:
        return re.compile(r"(?!)")
    return re.compile(f"{notation.edge}(?={first_characters(everything)})(?:{'|'.join(groups)})")
