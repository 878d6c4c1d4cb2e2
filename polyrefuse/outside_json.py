"""JSON that others wrote: whatever is wrong with it is a ValueError.

The standard library's parser also raises RecursionError (nested too deep); a number of more than
4,300 digits is a ValueError that is no JSONDecodeError.
"""

import json
from typing import Any

TOO_DEEP = "is nested too deep"


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: it is no JSON, not UTF-8, nested too deep, or has a number too long; a
            `json.JSONDecodeError` where the place is known.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError(TOO_DEEP) from None


def json_problem(error: ValueError) -> str:
    """Return what is wrong in a few words, of an error of `parse_json`."""
    return str(getattr(error, "msg", None) or error).split(":")[0].split(";")[0][:120]


def rows_problem(error: ValueError) -> str:
    """Return where and what is wrong of a file that should be a list of rows."""
    if str(error) == TOO_DEEP:
        return f": is not a plain list of rows ({TOO_DEEP.removeprefix('is ')})"
    line = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
    return f"{line}: is not valid JSON ({json_problem(error)})"
