"""What must never reach a terminal raw."""

import re

RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""C0 and C1 controls but tab and line feed, ESC among them, and direction overrides."""
HOSTILE = "a\x1b[31mb\x1b]0;title\x07c\x9b2Jd\u202ee\u2066f\x08g\rh\x00i"
HOSTILE_NAME = HOSTILE.replace("\x00", "")
"""No file name and no argument holds NUL."""


def assert_harmless(text: str) -> None:
    """Fail where `text` would do something to a terminal."""
    found = RAW.search(text)
    assert found is None, (
        f"{found[0]!r} at {found.start()}: {text[max(0, found.start() - 80) :][:200]!r}"
    )
