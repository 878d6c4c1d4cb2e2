"""Runs commands one after the other in one process: ``python -m tests.abuse.run_commands FILE``.

FILE is JSON: a list of argument lists. What came of each (exit code, seconds, the end of what it
printed) goes to the file that is named second, as JSON.
"""

import contextlib
import io
import json
import sys
import time
from pathlib import Path

from polyrefuse.cli import main


def run(arguments: list[str]) -> dict[str, object]:
    """Run one command as `main` does."""
    out, code, started = io.StringIO(), 0, time.monotonic()
    sys.argv = ["polyrefuse", *arguments]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
    return {
        "command": arguments,
        "code": code,
        "said": out.getvalue()[-2000:],
        "seconds": round(time.monotonic() - started, 1),
    }


if __name__ == "__main__":
    target = sys.argv[2]
    results = [run(arguments) for arguments in json.loads(Path(sys.argv[1]).read_text("utf-8"))]
    Path(target).write_text(json.dumps(results), encoding="utf-8")
