"""The notation of phrases in the keyword tables, and how it becomes one fast regular expression.

    ``(a|b)``  one of these          ``[a|b]``  one of these or nothing
    ``*``      a gap inside a clause  ``~``      any ending of the word before it
    anything else stands for itself

Python's `re` tries the branches of an alternation one after the other, so a table of a thousand
phrases would be slow at every character. Phrases are therefore expanded at their beginnings and
those beginnings are shared in a prefix tree. This module knows no language and no judge.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

HEAD_LENGTH = 4
"""Beginnings are expanded until they are this long; what follows stays a nested alternation."""


@dataclass(frozen=True, slots=True)
class Notation:
    """How gaps and word edges read in one script.

    Attributes:
        gap: regular expression of ``*``.
        ending: regular expression of ``~``.
        edge: regular expression of the edge of a word, empty where words attach to each other.
    """

    gap: str
    ending: str = r"\w*"
    edge: str = ""


@dataclass(frozen=True, slots=True)
class _Choice:
    options: tuple["_Sequence", ...]


_Sequence = tuple["str | _Choice", ...]


LONGEST, LONGEST_HEAD = 2_000, 200
"""Characters of a phrase, and of what it begins with before anything may vary."""
MOST_CHOICES = 30
"""Choices in one phrase; each may double the ways to begin it."""


class NotationError(ValueError):
    """A phrase that is not well formed."""


def parse_phrase(phrase: str) -> _Sequence:
    """Turn a phrase into literal characters and choices.

    Raises:
        NotationError: brackets do not match, or there is too much of it.
    """
    if len(phrase) > LONGEST:
        raise NotationError(f"longer than {LONGEST} characters: {phrase[:40]!r}")
    nodes, end = _parse_sequence(phrase, 0, "")
    if end != len(phrase):
        raise NotationError(f"unexpected {phrase[end]!r} at {end} in {phrase!r}")
    return nodes


def _parse_sequence(phrase: str, start: int, closing: str) -> tuple[_Sequence, int]:
    nodes: list[str | _Choice] = []
    position = start
    while position < len(phrase):
        character = phrase[position]
        if character in "([":
            choice, position = _parse_choice(phrase, position)
            # An optional word takes the space after it along, the last word the one before it.
            if character == "[" and phrase[position : position + 1] == " ":
                filled = [(*option, " ") for option in choice.options if option]
                choice, position = _Choice((*filled, ())), position + 1
            elif character == "[" and nodes[-1:] == [" "] and _ends(phrase, position, closing):
                nodes.pop()
                filled = [(" ", *option) for option in choice.options if option]
                choice = _Choice((*filled, ()))
            nodes.append(choice)
        elif character in ")]|":
            if not closing:
                raise NotationError(f"unexpected {character!r} at {position} in {phrase!r}")
            break
        else:
            nodes.append(character)
            position += 1
    return tuple(nodes), position


def _ends(phrase: str, position: int, closing: str) -> bool:
    return position == len(phrase) or (closing != "" and phrase[position] in f"|{closing}")


def _parse_choice(phrase: str, start: int) -> tuple[_Choice, int]:
    if phrase.count("(", 0, start) + phrase.count("[", 0, start) > MOST_CHOICES:
        raise NotationError(f"more than {MOST_CHOICES} choices in {phrase[:40]!r}")
    closing = ")" if phrase[start] == "(" else "]"
    options: list[_Sequence] = []
    position = start
    while True:
        option, position = _parse_sequence(phrase, position + 1, closing)
        options.append(option)
        if position >= len(phrase) or phrase[position] not in f"|{closing}":
            raise NotationError(f"no {closing!r} for {phrase[start]!r} at {start} in {phrase!r}")
        if phrase[position] == closing:
            break
    if closing == "]":
        options.append(())
    return _Choice(tuple(options)), position + 1


def _expand_head(nodes: _Sequence, head: str = "") -> Iterable[tuple[str, _Sequence]]:
    """Yield (literal beginning, rest) for every way to begin `nodes`."""
    for index, node in enumerate(nodes):
        if isinstance(node, _Choice):
            if len(head) >= HEAD_LENGTH:
                yield head, nodes[index:]
                return
            for option in node.options:
                yield from _expand_head((*option, *nodes[index + 1 :]), head)
            return
        if node in "*~":
            yield head, nodes[index:]
            return
        head += node
    yield head, ()


def _rest_pattern(nodes: _Sequence, notation: Notation) -> str:
    parts: list[str] = []
    for index, node in enumerate(nodes):
        if isinstance(node, _Choice):
            options = [_rest_pattern(option, notation) for option in node.options if option]
            optional = "?" if () in node.options else ""
            parts.append(f"(?:{'|'.join(options)}){optional}" if options else "")
        elif node == "*":
            parts.append(notation.gap)
        elif node == "~":
            parts.append(notation.ending)
        elif node == " " and index and nodes[index - 1] == "*":
            continue  # the gap ends with its own space
        else:
            parts.append(re.escape(node))
    return "".join(parts)


def alternation(phrases: Iterable[str], notation: Notation) -> str:
    """Return one regular expression, without groups, that matches any of `phrases`.

    Raises:
        NotationError: a phrase is not well formed, or could match the empty text.
    """
    tails: dict[str, dict[str, None]] = {}
    for phrase in phrases:
        for head, rest in _expand_head(parse_phrase(phrase)):
            if not head.strip():
                raise NotationError(f"phrase begins with nothing fixed: {phrase!r}")
            if len(head) > LONGEST_HEAD:
                raise NotationError(f"phrase begins with {len(head)} letters: {phrase[:40]!r}")
            ending = "" if rest[-1:] == ("~",) else notation.edge
            tails.setdefault(head, {})[_rest_pattern(rest, notation) + ending] = None
    return _tree(sorted(tails), tails, 0)


def first_characters(phrases: Iterable[str]) -> str:
    """Return a character class of all characters with which one of `phrases` can begin."""
    heads = {head[0] for phrase in phrases for head, _ in _expand_head(parse_phrase(phrase))}
    return f"[{''.join(re.escape(character) for character in sorted(heads))}]"


def _tree(heads: Sequence[str], tails: dict[str, dict[str, None]], depth: int) -> str:
    """Return the pattern of sorted `heads`, which agree up to `depth`, with their tails."""
    branches: list[str] = []
    start = 0
    own: list[str] = []
    if heads[0] == heads[0][:depth]:
        own = list(tails[heads[0]])
        start = 1
    while start < len(heads):
        character = heads[start][depth]
        end = start
        while end < len(heads) and heads[end][depth] == character:
            end += 1
        branches.append(re.escape(character) + _tree(heads[start:end], tails, depth + 1))
        start = end
    # Longer beginnings first, so that the more telling phrase wins; the bare ending comes last.
    branches += sorted(own, key=len, reverse=True)
    return branches[0] if len(branches) == 1 else f"(?:{'|'.join(branches)})"
