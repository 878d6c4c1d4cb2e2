"""Reads the key of an endpoint from the environment, and keeps it out of everything else.

No message here holds a key: not what is wrong with it, not how it begins.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from polyrefuse.errors import PolyRefuseError
from polyrefuse.redaction import remember

HIDDEN = "[key]"
LONG = 12
"""Shorter "keys" (``EMPTY``, ``none``) are placeholders of local servers and may be words."""


@dataclass(frozen=True)
class Key:
    """A key and the variable it came from; its representation shows only the latter."""

    value: str = field(repr=False)
    variable: str

    def hide_in(self, text: str) -> str:
        """Return `text` without the key: a server may echo what it was sent."""
        return text.replace(self.value, HIDDEN) if len(self.value) >= LONG else text


def read_key(variables: Sequence[str], *, required: bool = False) -> Key | None:
    """Return the key in the first of these variables that is set; None where none is.

    Raises:
        PolyRefuseError: it cannot be a key, or none is set and one is required.
    """
    for variable in variables:
        value = os.environ.get(variable, "").strip()
        if not value:
            continue
        if not all("!" <= character <= "~" for character in value):
            raise PolyRefuseError(
                f"the environment variable {variable} holds white space or characters beyond "
                "ASCII, so it is no key.",
                "Set it again, without quotes or line breaks.",
            )
        remember(value)  # wherever text leaves the process
        return Key(value, variable)
    if required:
        raise PolyRefuseError(
            f"the environment variable {variables[0]} is not set.",
            "Keys are read from the environment only: export it first.",
        )
    return None
