"""``labels.parquet``: one row for each verdict, with the digest of the text it is about.

No text of a completion, no vector. The file is written uncompressed and is read back only if it is:
then its size on disk bounds what reading it can take, whatever it claims. Strings are read as
dictionaries, so one long string that stands in a million rows stays one string.
"""

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from polyrefuse.isolated import CrashedError, DecodingError, isolated
from polyrefuse.languages import LANGUAGE_CODES
from polyrefuse.outcomes import Outcome
from polyrefuse.parquet import packed
from polyrefuse.prompts import LABELS as PROMPT_LABELS
from polyrefuse.prompts import Label
from polyrefuse_evaluation.leaderboard.names import DIGEST
from polyrefuse_evaluation.leaderboard.problems import Problem, shown
from polyrefuse_evaluation.leaderboard.schema import LABELS
from polyrefuse_evaluation.run_directory import JudgementRecord

if TYPE_CHECKING:
    import pyarrow
    import pyarrow.parquet

MOST_ROWS = 1_000_000
MOST_ROW_GROUPS = 1_000

STRINGS: dict[str, re.Pattern[str]] = {
    "id": re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9]|[._:-](?=[A-Za-z0-9])){0,119}"),
    "language": re.compile("|".join(LANGUAGE_CODES)),
    "condition": re.compile(rf"baseline|ablate:(?:random|{'|'.join(LANGUAGE_CODES)})"),
    "label": re.compile("|".join(PROMPT_LABELS)),
    "outcome": re.compile("|".join(Outcome)),
    "judge": re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9]|[ .,:_/@-](?=[ A-Za-z0-9])){0,119}"),
    "response_language": re.compile("|".join(LANGUAGE_CODES)),
    "reason": re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9 ._,:;=/@-]{0,199})?"),
    "sha256": DIGEST,
}
"""String columns, and what each value must match as a whole."""

COLUMNS = (
    "id", "language", "condition", "label", "outcome", "judge", "score", "response_language",
    "reason", "reasoning", "sha256",
)  # fmt: skip
NULLABLE = {"score", "response_language"}


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One verdict on one completion; `sha256` is of the completion's UTF-8 text."""

    id: str
    language: str
    condition: str
    label: Label
    outcome: Outcome
    judge: str
    score: float | None
    response_language: str | None
    reason: str
    reasoning: bool
    sha256: str

    @property
    def completion(self) -> tuple[str, str, str]:
        """Which completion it is about: condition, language, prompt id."""
        return self.condition, self.language, self.id


def to_judgements(rows: Iterable[LabelRow]) -> list[JudgementRecord]:
    """Return the rows as judgements of a run, which is what figures are made of."""
    return [
        JudgementRecord.model_construct(
            condition=row.condition,
            language=row.language,
            label=row.label,
            id=row.id,
            batch=0,
            judge=row.judge,
            outcome=row.outcome,
            score=row.score,
            response_language=row.response_language,
            reason=row.reason,
            reasoning=row.reasoning,
        )
        for row in rows
    ]


def write_labels(rows: Sequence[LabelRow]) -> bytes:
    """Return the rows as Parquet, uncompressed, in the order given."""
    import pyarrow
    from pyarrow import parquet

    columns = {name: [getattr(row, name) for row in rows] for name in COLUMNS}
    table = pyarrow.table(columns, schema=_schema())
    sink = io.BytesIO()
    repeated = [name for name in STRINGS if name != "sha256"]
    parquet.write_table(table, sink, compression="NONE", use_dictionary=repeated)
    return sink.getvalue()


def read_labels(content: bytes) -> tuple[list[LabelRow], list[Problem]]:
    """Read untrusted Parquet; return its rows and what is wrong with them.

    Rows are returned only where every value is of the right kind.

    Raises:
        OSError: no process can be started to read it in.
    """
    import pyarrow

    try:
        (piece,) = isolated(f"{__name__}:decode_labels", content)
    except DecodingError as error:
        return [], [_problem(str(error))]
    except CrashedError as error:
        return [], [_problem(f"is no Parquet file that can be read: {error}")]
    values, problems = _values(pyarrow.ipc.open_stream(piece).read_all())
    if problems:
        return [], problems
    values["outcome"] = [Outcome(value) for value in values["outcome"]]
    ordered = [values[name] for name in COLUMNS]
    return [LabelRow(*row) for row in zip(*ordered, strict=True)], []


def decode_labels(content: bytes) -> Iterator[bytes]:
    """Yield the table, as a stream of Arrow's; runs in a child (polyrefuse/isolated.py).

    Raises:
        ValueError: it is no such table; says why.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        source = pyarrow.BufferReader(content)
        fault = _fault_of_shape(parquet.read_metadata(source), len(content))
        if fault is None:
            file = parquet.ParquetFile(source, read_dictionary=list(STRINGS))
            table = file.read(use_threads=False)
            table.validate(full=True)
    except Exception as error:  # a C++ parser on hostile bytes raises whatever it likes
        kind = type(error).__name__
        raise ValueError(f"is no Parquet file that can be read ({kind})") from error
    if fault is not None:
        raise ValueError(fault)
    yield packed(table)


def _schema() -> "pyarrow.Schema":
    import pyarrow

    types = {"score": pyarrow.float64(), "reasoning": pyarrow.bool_()}
    return pyarrow.schema(
        [
            pyarrow.field(name, types.get(name, pyarrow.string()), nullable=name in NULLABLE)
            for name in COLUMNS
        ]
    )


def _problem(detail: str) -> Problem:
    return Problem("labels", LABELS, detail)


def _fault_of_shape(metadata: "pyarrow.parquet.FileMetaData", size: int) -> str | None:
    """Return what the file's own description says against it; nothing has been decoded yet."""
    names = tuple(shown(metadata.schema.column(i).path, 40) for i in range(metadata.num_columns))
    if names != COLUMNS:
        return f"has the columns {', '.join(names[:20])}, not {', '.join(COLUMNS)}"
    if not 0 < metadata.num_rows <= MOST_ROWS:
        return f"claims {metadata.num_rows} rows; 1 to {MOST_ROWS} are read"
    if metadata.num_row_groups > MOST_ROW_GROUPS:
        return f"has {metadata.num_row_groups} row groups, at most {MOST_ROW_GROUPS}"
    for group in range(metadata.num_row_groups):
        about = metadata.row_group(group)
        for column in range(metadata.num_columns):
            chunk = about.column(column)
            if chunk.compression != "UNCOMPRESSED":
                return f"is compressed ({chunk.compression}): write it with 'submit'"
            if chunk.num_values != about.num_rows or chunk.total_uncompressed_size > size:
                return "claims more values or bytes than it can hold"
    return None


def _values(table: "pyarrow.Table") -> tuple[dict[str, list[Any]], list[Problem]]:
    """Return the columns as lists, once every value in them is of the right kind."""
    import pyarrow

    expected = {"score": pyarrow.float64(), "reasoning": pyarrow.bool_()}
    problems: list[Problem] = []
    values: dict[str, list[Any]] = {}
    for name in COLUMNS:
        column = table.column(name)
        kind = expected.get(name, pyarrow.dictionary(pyarrow.int32(), pyarrow.string()))
        if column.type != kind:
            problems.append(_problem(f"column {name} is of type {shown(column.type, 60)}"))
        elif column.null_count and name not in NULLABLE:
            problems.append(_problem(f"column {name} has {column.null_count} empty values"))
        elif found := _bad_text(name, column) if name in STRINGS else _bad_score(name, column):
            problems.append(found)
        else:
            values[name] = column.to_pylist()
    return values, problems


def _bad_text(name: str, column: "pyarrow.ChunkedArray") -> Problem | None:
    from pyarrow import compute

    for chunk in column.chunks:
        known = chunk.dictionary
        longest = compute.max(compute.binary_length(known)).as_py() or 0
        if longest > 400:
            return _problem(f"column {name} holds a text of {longest} bytes")
        for text in known.to_pylist():
            if text is not None and not STRINGS[name].fullmatch(text):
                return _problem(
                    f"column {name} holds {shown(repr(text), 60)}, which is not allowed"
                )
    return None


def _bad_score(name: str, column: "pyarrow.ChunkedArray") -> Problem | None:
    if name != "score":
        return None
    for value in column.unique().to_pylist():
        if value is not None and not 0 <= value <= 1:
            return _problem(f"column score holds {value}, which is not in [0, 1]")
    return None
