"""Markdown from templates: hostile text in a row is shown, never followed.

Knows nothing of prompts.
"""

import html
import re
from typing import Any


def render_template(name: str, **context: Any) -> str:
    """Render ``templates/<name>`` with `context`; an undefined name is an error."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("polyrefuse_builders"),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701  # Markdown; cells are escaped by the filters
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_finalize,
    )
    environment.filters.update(cell=cell, text=text, whole=Escaped)
    return environment.get_template(name).render(**context)


class Escaped(str):
    """Text that is Markdown of our own, or escaped already."""

    __slots__ = ()


def _finalize(value: object) -> object:
    """Let no text bring an HTML element: a name or description from a card is Markdown at most."""
    if isinstance(value, str) and not isinstance(value, Escaped):
        return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", value)
    return value


def cell(value: object) -> str:
    """Escape text for one cell of a Markdown table: markup is shown, never followed."""
    plain = " ".join(str(value).split())
    return Escaped(re.sub(r"([\\|<>*_\[\]])", r"\\\1", plain))


def text(value: str, language: str, direction: str) -> str:
    """Return `value` for a cell, in an element that gives its language and writing direction."""
    plain = html.escape(" ".join(value.split()))
    plain = re.sub(r"[\\`|*_\[\]!:@~#]", lambda match: f"&#{ord(match.group())};", plain)
    return Escaped(f'<bdi lang="{language}" dir="{direction}">{plain}</bdi>')
