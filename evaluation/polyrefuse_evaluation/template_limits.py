"""Chat templates are programs that strangers wrote: they render in a sandbox, within limits.

transformers renders them in jinja2's sandbox, which keeps them from Python's insides and files. It
does not keep them from taking all time and memory: that is done here. Knows no tokenizer.
"""

import re
import resource
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import nodes

LARGEST = 1024**2
"""Characters of a template; the longest in use has about 20,000."""
LONGEST_TEXT = 10_000_000
"""Characters that one conversation may become."""
MOST_SECONDS = 20.0
"""Processor time that rendering one conversation may take; it takes milliseconds."""
MOST_BYTES = 2 * 1024**3
"""Memory that rendering one conversation may add."""
MOST_FACTOR = 10_000

_GENERATION = re.compile(r"\{%-?\s*(?:end)?generation\s*[-+]?%\}")
"""Tags of transformers' own, which jinja2 alone does not parse."""


class TemplateLimitError(Exception):
    """A template that takes too much; the message says of what."""


def require_modest(template: str | dict[str, str]) -> None:
    """Check what can be seen of a template before it runs.

    Raises:
        TemplateLimitError: it is too large, nested too deep, or multiplies numbers without bound,
            which no clock can interrupt.
    """
    from jinja2 import nodes

    for text in template.values() if isinstance(template, dict) else [template]:
        if not isinstance(text, str):
            raise TemplateLimitError("it is no text")
        if len(text) > LARGEST:
            raise TemplateLimitError(f"it has {len(text)} characters, at most {LARGEST} are read")
        tree = parse_template(text)
        if tree is None:
            continue  # rendering reports the fault
        if any(tree.find_all(nodes.Pow)) or not all(map(_is_bounded, tree.find_all(nodes.Mul))):
            raise TemplateLimitError("it multiplies numbers without bound")


def parse_template(text: str) -> "nodes.Template | None":
    """Return the syntax tree of a template; None where it is not well formed.

    Raises:
        TemplateLimitError: it is nested too deep.
    """
    from jinja2 import Environment, TemplateSyntaxError

    # It is only parsed; transformers renders it, in a sandbox.
    environment = Environment(extensions=["jinja2.ext.loopcontrols"])  # noqa: S701
    try:
        return environment.parse(_GENERATION.sub("", text))
    except TemplateSyntaxError:
        return None
    except RecursionError:
        raise TemplateLimitError("it is nested too deep") from None


def _is_bounded(product: "nodes.Mul") -> bool:
    """Whether a product has a factor that is written out and small."""
    from jinja2 import nodes

    values = [side.value for side in (product.left, product.right) if isinstance(side, nodes.Const)]
    return any(isinstance(value, int) and abs(value) <= MOST_FACTOR for value in values)


@contextmanager
def limited() -> Iterator[None]:
    """Let what happens inside take `MOST_SECONDS` and `MOST_BYTES` more than before, no more.

    Time is limited in the main thread alone, memory on Linux alone.

    Raises:
        TemplateLimitError: it took more.
    """
    with _limited_memory(), _limited_time():
        yield


@contextmanager
def _limited_time() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGVTALRM, _stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, MOST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _stop(*_: Any) -> None:
    raise TemplateLimitError(f"it does not end within {MOST_SECONDS:.0f} seconds")


@contextmanager
def _limited_memory() -> Iterator[None]:
    if not sys.platform.startswith("linux"):
        yield
        return
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = pages * resource.getpagesize() + MOST_BYTES
    fits = resource.RLIM_INFINITY in (soft, hard) or limit <= hard
    resource.setrlimit(resource.RLIMIT_AS, (limit if fits else soft, hard))
    try:
        yield
    except MemoryError:
        raise TemplateLimitError(f"it takes more than {MOST_BYTES // 1024**3} GiB") from None
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
