"""Hostile bytes for every format: mutations of sound files, as Hypothesis strategies.

A mutation is drawn as numbers and applied to a seed here, so that examples are cheap and shrink.
Knows formats, not parsers.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from hypothesis import strategies as st

RAW_JSON = (
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1",
    "1.5",
    "-0.0",
    "1e999",
    "-1e999",
    "NaN",
    "Infinity",
    "9" * 400,
    "1" * 5000,
    "1E-999",
    '""',
    '" "',
    '"x"',
    '"\\ud800"',
    '"\\udfff\\ud800"',
    '"\\u0000"',
    '"\\u001b[2J"',
    '"\\u202e"',
    '"en"',
    '"harmful"',
    '"../../x"',
    '"/etc/passwd"',
    '"' + "y" * 9000 + '"',
    "[]",
    "{}",
    "[[]]",
    '[""]',
    "[null]",
    '{"a": 1, "a": 2}',
    '{"": {}}',
    '{"id": []}',
    "[" * 3000 + "]" * 3000,
    '{"a":' * 3000 + "1" + "}" * 3000,
    "[" * 200_000,
    '"=1+1"',
    '"<script>"',
    '"{{7*7}}"',
    '"2026-13-45"',
    '"0x"',
    "[1, 2]",
    '{"$ref": "#"}',
    "tru",
)
"""Values that parsers meet at the wrong place; some are no JSON."""

TOKENS: tuple[bytes, ...] = (
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xfe\xff",
    b"\xed\xa0\x80",
    b"\xc0\x80",
    b"\x1b[2J",
    b"\r",
    b"\n",
    b"\n\n",
    b"\t",
    b",",
    b";",
    b'"',
    b"'",
    b'"""',
    b"{",
    b"}",
    b"[",
    b"]",
    b"[[",
    b"]]",
    b":",
    b"=",
    b"#",
    b"---\n",
    b"...\n",
    b"&a ",
    b"*a",
    b"!!python/object/apply:os.system ['true']",
    b"!!binary ",
    b"<<: ",
    b"- ",
    b"? ",
    b"|",
    b"%",
    b"\\",
    b"\\u",
    b"\\ud800",
    b"\\x",
    b"NaN",
    b"nan",
    b"inf",
    b"1e999",
    b"-" * 3,
    b"9" * 400,
    b"1" * 5000,
    b"0x",
    b"2026-13-45",
    b"99999-01-01T00:00:00Z",
    b"null",
    b"true",
    b"data: ",
    b"event: ",
    b"[DONE]",
    b"PAR1",
    b"PK\x03\x04",
    b"SQLite format 3\0",
    b"\x93NUMPY",
    b"[" * 3000,
    b"{" * 3000,
    b'{"a":' * 3000,
    b"(" * 3000,
    b"a" * 9000,
    b"sources",
    b".",
    b"..",
    b"/",
    "é".encode(),
    "e\u0301".encode(),
    "\u202e".encode(),
    "\u2028".encode(),
    "\x85".encode(),
)

_edit = st.tuples(
    st.integers(0, 2**20),
    st.integers(0, 6),
    st.one_of(st.sampled_from(TOKENS), st.binary(max_size=12)),
)
_swap = st.tuples(st.integers(0, 2**16), st.integers(0, 4), st.sampled_from(RAW_JSON))


def mutate_bytes(seed: bytes, edits: Sequence[tuple[int, int, bytes]]) -> bytes:
    """Apply edits: insert, overwrite, delete, double or cut at places of `seed`."""
    content = bytearray(seed)
    for place, kind, token in edits:
        at = place % (len(content) + 1)
        if kind <= 1:
            content[at:at] = token
        elif kind == 2:
            content[at : at + len(token)] = token
        elif kind == 3:
            del content[at : at + 1 + place % 40]
        elif kind == 4:
            content[at:at] = content[max(0, at - 60) : at]
        elif kind == 5 and content:
            content[at % len(content)] ^= 1 << (place % 8)
        elif kind == 6:
            content = content[:at]
    return bytes(content)


def mutate_json(seed: bytes, swaps: Sequence[tuple[int, int, str]]) -> bytes:
    """Put raw values in the place of parts of a JSON document, or of a line of JSON Lines."""
    lines = seed.split(b"\n")
    with suppress(ValueError, RecursionError):
        json.loads(seed)
        lines = [seed]
    for place, kind, raw in swaps:
        number = place % len(lines)
        try:
            tree = json.loads(lines[number])
        except (ValueError, RecursionError):
            continue
        lines[number] = _swapped(tree, place // len(lines), kind, raw)
    return b"\n".join(lines)


def _swapped(tree: Any, place: int, kind: int, raw: str) -> bytes:
    nodes: list[tuple[Any, Any]] = []
    _walk(tree, nodes)
    if not nodes or kind == 4:
        return raw.encode()
    parent, key = nodes[place % len(nodes)]
    mark = "\x01swap\x01"
    if kind == 3:
        del parent[key]
    elif kind == 2 and isinstance(parent, dict):
        parent[mark] = parent[key]
    else:
        parent[key] = mark
    text = json.dumps(tree)
    quoted = json.dumps(mark)
    name = raw if raw.startswith('"') and raw.endswith('"') and len(raw) > 1 else quoted
    if kind == 2:
        return text.replace(quoted + ":", f"{name}:").encode()
    return text.replace(quoted, raw).encode()


def _walk(tree: Any, nodes: list[tuple[Any, Any]]) -> None:
    items: Any = ()
    if isinstance(tree, dict):
        items = list(tree.items())
    elif isinstance(tree, list):
        items = list(enumerate(tree))
    for key, item in items:
        nodes.append((tree, key))
        _walk(item, nodes)


def hostile(seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Return a strategy of bytes: mutations of `seeds`, raw values, and anything at all."""
    seed = st.sampled_from(list(seeds))
    return st.one_of(
        st.builds(mutate_bytes, seed, st.lists(_edit, min_size=1, max_size=5)),
        st.builds(mutate_json, seed, st.lists(_swap, min_size=1, max_size=4)),
        st.builds(mutate_json, seed, st.lists(_swap, min_size=1, max_size=1)),
        st.builds(
            mutate_bytes,
            st.builds(mutate_json, seed, st.lists(_swap, max_size=2)),
            st.lists(_edit, max_size=2),
        ),
        st.sampled_from([raw.encode() for raw in RAW_JSON]),
        st.binary(max_size=64),
        st.just(b""),
    )


def hostile_text(seeds: Sequence[str]) -> st.SearchStrategy[str]:
    """Return a strategy of texts, lone surrogates included."""
    edited = hostile([seed.encode() for seed in seeds])
    return st.one_of(edited.map(lambda raw: raw.decode("utf-8", "surrogateescape")), st.text())
