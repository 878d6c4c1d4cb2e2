"""Line coverage of the parsers, and of nothing else: `make abuse` prints the table.

``python -m tests.abuse.parser_coverage`` runs `FILES` under coverage.py, then counts the lines of
exactly the modules and functions that `parsers` names. Exit code 1 below 95%.
"""

import ast
import importlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path

LEAST = 0.95
ROOT = Path(__file__).parents[2]
FILES = [
    ROOT / "tests" / name
    for name in (
        "abuse/test_parsers.py", "abuse/test_datasets.py", "abuse/test_bombs.py",
        "polyrefuse/test_folder.py", "polyrefuse/test_invariants.py", "polyrefuse/test_check.py",
        "builders/sources/test_manifest.py", "builders/sources/test_readers.py",
        "builders/sources/test_prepare.py", "builders/test_import_upstream.py",
        "builders/translation/test_cache.py", "evaluation/judges/test_parsers.py",
        "evaluation/calibration/test_reference.py", "evaluation/calibration/test_read_sheets.py",
        "evaluation/chat_api/test_replies.py", "evaluation/chat_api/test_filters.py",
        "evaluation/leaderboard/test_fuzz.py", "evaluation/leaderboard/test_labels.py",
        "evaluation/test_run_directory.py", "evaluation/test_select_directions.py",
        "polyrefuse/test_parquet.py",
    )
]  # fmt: skip
"""The parsers under hostile input, and the parsers' own tests."""


def statements(path: Path, names: Iterable[str] | None) -> set[int]:
    """Return the numbers of the lines that belong to `names` (all of the file where None).

    Names are functions, or ``Class.method``; a name that is not there raises.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if names is None:
        return set(range(1, 1 + len(path.read_text(encoding="utf-8").splitlines())))
    functions = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            functions[node.name] = node
        elif isinstance(node, ast.ClassDef):
            inside = [item for item in node.body if isinstance(item, ast.FunctionDef)]
            functions |= {f"{node.name}.{item.name}": item for item in inside}
    lines: set[int] = set()
    for name in names:
        node = functions[name]
        lines |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def wanted(covers: Iterable[str]) -> dict[str, set[str] | None]:
    """Return the functions of each module that coverage is asked of; None for all of it."""
    found: dict[str, set[str] | None] = {}
    for text in covers:
        module, _, names = text.partition(":")
        if not names or found.get(module, set()) is None:
            found[module] = None
        else:
            found[module] = set(names.split(",")) | (found.get(module) or set())
    return found


def file_of(module: str) -> Path:
    """Return the file of a module, without running it."""
    return Path(str(importlib.util.find_spec(module).origin))  # type: ignore[union-attr]


def measure(data: "object", covers: Iterable[str]) -> list[tuple[str, int, int, list[int]]]:
    """Return (module, statements, covered, missing lines) for a `coverage.Coverage`."""
    rows = []
    for module, names in sorted(wanted(covers).items()):
        path = file_of(module)
        _, all_lines, _, missing, _ = data.analysis2(str(path))  # type: ignore[attr-defined]
        ours = statements(path, names) & set(all_lines)
        gone = sorted(ours & set(missing))
        rows.append((module, len(ours), len(ours) - len(gone), gone))
    return rows


def table(rows: list[tuple[str, int, int, list[int]]]) -> str:
    """Return the figures as text."""
    lines = [f"{'parser':64} lines covered"]
    for module, total, covered, gone in rows:
        lines.append(f"{module:64} {total:5} {covered / total:7.1%} {' '.join(map(str, gone))}")
    total, covered = (sum(row[n] for row in rows) for n in (1, 2))
    lines.append(f"{'all parsers':64} {total:5} {covered / total:7.1%}")
    return "\n".join(lines)


def share(rows: list[tuple[str, int, int, list[int]]]) -> float:
    """Return the covered share of all lines, in [0, 1]."""
    return sum(row[2] for row in rows) / sum(row[1] for row in rows)


def main() -> int:
    """Fuzz under coverage; return the exit code."""
    import coverage
    import pytest

    os.environ.setdefault("ABUSE_EXAMPLES", "30")
    # Imported first, so that nothing but the package's own files is traced.
    sources = [str(ROOT / name) for name in ("polyrefuse", "builders", "evaluation")]
    measured = coverage.Coverage(
        data_file=None, config_file=False, include=[f"{s}/*" for s in sources]
    )
    measured.start()
    failed = pytest.main(
        ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not slow", *map(str, FILES)]
    )
    measured.stop()
    from tests.abuse.parsers import all_parsers

    rows = measure(measured, [text for parser in all_parsers() for text in parser.covers])
    print(table(rows))
    if failed:
        return 1
    if share(rows) < LEAST:
        print(f"below {LEAST:.0%}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
