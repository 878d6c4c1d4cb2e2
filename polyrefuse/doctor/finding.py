"""What an examination finds: one line on one thing, how bad it is, and what to do."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "not tried", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: the thing.
        level: ``problem`` where something is broken, ``warning`` where something is missing that
            only some commands need, or looks wrong.
        detail: what was seen; never the value of a secret.
        remedy: what to do, where something is to be done.
    """

    name: str
    level: Level
    detail: str
    remedy: str = ""
