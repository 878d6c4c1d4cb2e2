"""Check a dataset folder: counts per language, and every violated invariant.

Rows are read one at a time. What is held is what was found, counts and violations.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from polyrefuse.folder import iter_lines, read_errata
from polyrefuse.invariants import Erratum, Violation, find_violations, unlisted
from polyrefuse.languages import LANGUAGES
from polyrefuse.progress import count_bytes
from polyrefuse.prompts import LABELS, SPLITS, Prompt
from polyrefuse.row_index import RowIndex

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class CheckReport:
    """What `check_folder` found.

    Attributes:
        tally: rows per (language, label, split, status).
        errata: the known faults that the folder lists.
        violations: every broken invariant.
        unlisted: those that no erratum lists; empty means the answer is yes.
        digest: content digest of the rows.
    """

    tally: Counter[tuple[str, str, str, str]]
    errata: Sequence[Erratum]
    violations: list[Violation]
    unlisted: list[Violation]
    digest: str

    @property
    def ok(self) -> bool:
        """Whether every violation is a listed erratum."""
        return not self.unlisted

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.tally.total()

    def counts(self, language: str) -> Counter[tuple[str, str]]:
        """Return rows per (label, split) of one language."""
        found: Counter[tuple[str, str]] = Counter()
        for (code, label, split, _), count in self.tally.items():
            if code == language:
                found[label, split] += count
        return found


def check_folder(folder: Path, advance: Callable[[int], None] | None = None) -> CheckReport:
    """Read a dataset folder and check every invariant.

    Args:
        folder: a dataset folder.
        advance: called with the bytes read since it was last called.

    Raises:
        DatasetError: the folder cannot be read at all.
    """
    lines = count_bytes(iter_lines(folder), advance)
    return check_prompts((row for row, _ in lines), read_errata(folder))


def check_prompts(prompts: Iterable[Prompt], errata: Sequence[Erratum] = ()) -> CheckReport:
    """Check every invariant among rows, which are read once and not held.

    Raises:
        DatasetError: there is no room for temporary files.
    """
    tally: Counter[tuple[str, str, str, str]] = Counter()
    with RowIndex() as index:
        violations = find_violations(_tallied(prompts, tally), index)
        digest = index.content_digest()
    return CheckReport(tally, errata, violations, unlisted(violations, errata), digest)


def _tallied(
    prompts: Iterable[Prompt], tally: Counter[tuple[str, str, str, str]]
) -> Iterator[Prompt]:
    for row in prompts:
        tally[row.language, row.label, row.split, row.status] += 1
        yield row


def count_table(report: CheckReport) -> "Table":
    """Return rows per language, label and split, with what is suspect, failed or missing."""
    from rich.table import Table

    table = Table(title="Prompts by language (train/validation/test)", header_style="bold")
    table.add_column("language", no_wrap=True)
    for name in (*reversed(LABELS), "suspect", "failed", "missing"):
        table.add_column(name, justify="right", no_wrap=True)
    status: Counter[tuple[str, str]] = Counter()
    for (language, _, _, verdict), count in report.tally.items():
        status[language, verdict] += count
    missing = Counter(v.language for v in report.violations if v.kind == "missing")
    for language in sorted({language for language, *_ in report.tally}):
        counts = report.counts(language)
        table.add_row(
            f"{language} {LANGUAGES[language].name}",
            *(
                "/".join(str(counts[label, split]) for split in SPLITS)
                for label in reversed(LABELS)
            ),
            str(status[language, "suspect"]),
            str(status[language, "failed"]),
            str(missing[language]),
        )
    return table
