"""Rows of a dataset, kept on disk while questions between them are answered.

Memory does not grow with the rows (temporary_database.py). Knows no invariant (invariants.py).
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from polyrefuse.prompts import Prompt, normalised
from polyrefuse.temporary_database import TemporaryDatabase

BATCH = 1_000
"""Rows inserted, or hashed, at a time."""


class KeptRow(NamedTuple):
    """What translations share, and where the row stands.

    Attributes:
        number: place among all rows, from 0.
        english: digest of `prompt_en`, so that it takes 16 bytes.
    """

    number: int
    id: str
    language: str
    split: Any
    label: str
    english: bytes
    category: str | None
    source: str
    pair_id: str | None


class RowIndex(TemporaryDatabase):
    """Rows on disk, in the order they came; a context manager that removes them."""

    schema = """
    CREATE TABLE rows (number INTEGER PRIMARY KEY, id, language, split, label, english, category,
        source, pair_id, text, prompt);
    CREATE VIEW kept AS
        SELECT number, id, language, split, label, english, category, source, pair_id FROM rows
    """

    def __init__(self) -> None:
        self._rows = 0

    def keep(self, rows: Iterable[Prompt]) -> Iterator[Prompt]:
        """Yield `rows` as they come, and keep what questions between them need.

        Raises:
            DatasetError: the folder for temporary files is full or cannot be written.
        """
        rows = iter(rows)
        while batch := list(islice(rows, BATCH)):
            self.insert(
                "INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (_record(number, row) for number, row in enumerate(batch, start=self._rows)),
            )
            self._rows += len(batch)
            yield from batch

    def languages(self) -> list[str]:
        """Return the languages that have rows, sorted."""
        return [code for (code,) in self.ask("SELECT DISTINCT language FROM rows ORDER BY 1")]

    def by_id(self) -> Iterator[KeptRow]:
        """Yield all rows by id, those of one id in the order they came."""
        found = self.ask("SELECT * FROM kept ORDER BY id, number")
        return map(KeptRow._make, found)

    def without_pair(self) -> Iterator[KeptRow]:
        """Yield the rows whose `pair_id` is no id of any row, in the order they came."""
        found = self.ask(
            "SELECT * FROM kept WHERE pair_id IS NOT NULL"
            " AND pair_id NOT IN (SELECT id FROM rows) ORDER BY number"
        )
        return map(KeptRow._make, found)

    def same_text(self) -> Iterator[tuple[KeptRow, KeptRow]]:
        """Yield (row, first row with its text) of every id that has the English text of another.

        The row is the first of its id with an English text. Texts are the same where `normalised`
        ones are.
        """
        first: KeptRow | None = None
        seen = None
        # SQLite takes the other columns from the row that MIN found.
        for text, *columns in self.ask(
            "SELECT text, MIN(number) AS number, id, language, split, label, english, category,"
            " source, pair_id FROM rows WHERE text IS NOT NULL GROUP BY id ORDER BY text, number"
        ):
            row = KeptRow._make(columns)
            if first is None or text != seen:
                first, seen = row, text
            else:
                yield row, first

    def content_digest(self) -> str:
        """Return the sha256 of what an evaluation reads; see `polyrefuse.folder.content_digest`."""
        found = self.ask(
            "SELECT language, split, label, id, prompt FROM rows ORDER BY 1, 2, 3, 4, 5"
        )
        digest, between = hashlib.sha256(b"["), b""
        while batch := list(islice(found, BATCH)):  # as json.dumps of one list would write it
            digest.update(between + json.dumps(batch)[1:-1].encode())
            between = b", "
        digest.update(b"]")
        return f"sha256:{digest.hexdigest()}"


def _record(number: int, row: Prompt) -> tuple[Any, ...]:
    text = normalised(row.prompt_en)
    return (
        number,
        row.id,
        row.language,
        row.split,
        row.label,
        _short(row.prompt_en),
        row.category,
        row.source,
        row.pair_id,
        _short(text) if text else None,
        row.prompt,
    )


def _short(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
