"""A dataset in blocks of ids, so that validation holds one block at a time.

Rows lie in a temporary database until their block is due, and what was found of them until it is
told in the order of the rows. A block has all rows of its ids, in every language; an id that stands
very often in one language makes a large block. Knows no checks.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import groupby

from polyrefuse.prompts import Prompt, QualityCheck, Verdict
from polyrefuse.temporary_database import TemporaryDatabase
from polyrefuse_builders.validation.report import RowReport

BLOCK_IDS = 2_000
"""Most ids of a block. Datasets with fewer are one block, in which everything is compared."""

NumberedLine = tuple[int, bytes]
"""The place of a row among all rows, and its line of JSON."""


class Blocks(TemporaryDatabase):
    """Rows on disk, to be had in blocks; a context manager that removes them."""

    schema = """
    CREATE TABLE rows (number INTEGER PRIMARY KEY, id, language, english, line);
    CREATE TABLE ranks (id PRIMARY KEY, rank) WITHOUT ROWID;
    CREATE TABLE reports (place, number, report, PRIMARY KEY (place, number)) WITHOUT ROWID
    """

    def keep(self, lines: Iterable[tuple[Prompt, bytes]]) -> None:
        """Keep rows, each with its line of JSON, in the order they come.

        Raises:
            DatasetError: the folder for temporary files is full or cannot be written.
        """
        self.insert(
            "INSERT INTO rows VALUES (?, ?, ?, ?, ?)",
            (
                (number, row.id, row.language, bool(row.prompt_en.strip()), line)
                for number, (row, line) in enumerate(lines)
            ),
        )

    def languages(self) -> dict[str, bool]:
        """Return, sorted, the languages that have rows, and whether any row has English."""
        found = self.ask("SELECT language, MAX(english) FROM rows GROUP BY language ORDER BY 1")
        return {code: bool(english) for code, english in found}

    def sizes(self) -> dict[str, int]:
        """Return the number of rows of each language."""
        return dict(self.ask("SELECT language, COUNT(*) FROM rows GROUP BY language"))

    def ids(self) -> int:
        """Return the number of ids."""
        ((count,),) = self.ask("SELECT COUNT(DISTINCT id) FROM rows")
        return int(count)

    def __iter__(self) -> Iterator[list[NumberedLine]]:
        """Yield the rows block by block, those of a block in the order they came.

        Blocks are as large as one another, and ids go into them as they first came.
        """
        ids = self.ids()
        first = self.ask("SELECT id, MIN(number) FROM rows GROUP BY id ORDER BY 2")
        self.insert(
            "INSERT INTO ranks VALUES (?, ?)", ((id_, rank) for rank, (id_, _) in enumerate(first))
        )
        found = self.ask(
            "SELECT rank * ? / ? AS block, number, line FROM rows CROSS JOIN ranks USING (id)"
            " ORDER BY block, number",
            -(-ids // BLOCK_IDS),
            ids,
        )
        for _, rows in groupby(found, key=lambda row: row[0]):
            yield [(number, line) for _, number, line in rows]

    def add_reports(self, place: int, reports: Iterable[tuple[int, RowReport]]) -> None:
        """Keep what was found of rows of one language.

        Args:
            place: of the language among those that are reported.
            reports: (number of the row, report).
        """
        self.insert(
            "INSERT INTO reports VALUES (?, ?, ?)",
            ((place, number, _packed(report)) for number, report in reports),
        )

    def reports(self) -> Iterator[RowReport]:
        """Yield what was found, by language and in the order of the rows."""
        for (packed,) in self.ask("SELECT report FROM reports ORDER BY place, number"):
            yield _unpacked(packed)


def _packed(report: RowReport) -> str:
    qa = [(check.check, check.score, check.verdict) for check in report.qa]
    return json.dumps((report.language, report.id, report.verdict, report.reasons, qa))


def _unpacked(packed: str) -> RowReport:
    language, id_, verdict, reasons, qa = json.loads(packed)
    checks = [QualityCheck(check=name, score=score, verdict=found) for name, score, found in qa]
    return RowReport(language, id_, Verdict(verdict), reasons, checks)
