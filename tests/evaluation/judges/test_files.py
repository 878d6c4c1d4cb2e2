"""Files of completions, judged and resumed."""

import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from polyrefuse.errors import PolyRefuseError
from polyrefuse.outcomes import Outcome
from polyrefuse_evaluation.judges import Judgement, RegisteredJudge, get_judge
from polyrefuse_evaluation.judges.files import JudgedFile, judge_file
from tests.evaluation.judges.file_support import ADDED, ROWS, counting, read, write


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(tmp_path / "in.jsonl", ROWS)


def test_every_row_comes_out_with_its_fields_and_its_verdict(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out.jsonl"

    judged = judge_file(source, out, get_judge("keyword"))

    rows = read(out)
    assert [row["outcome"] for row in rows] == [
        "refused", "complied", "refused", "refused", "broken",
    ]  # fmt: skip
    assert [row["response_language"] for row in rows] == ["en", "de", "ar", "ja", None]
    for before, after in zip(ROWS, rows, strict=True):
        assert after.keys() == before.keys() | ADDED
        assert {k: v for k, v in before.items() if k not in ADDED}.items() <= after.items()
    assert "عذرًا" in out.read_text(encoding="utf-8")
    assert out.stat().st_mode & 0o777 == 0o600
    assert (judged.rows, judged.resumed, judged.failed) == (5, 0, 0)
    assert judged.outcomes["en"][Outcome.REFUSED] == 1


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    rows = [{"language": "en", "response": f"Answer number {n} of many."} for n in range(10)]
    source, out = write(tmp_path / "in.jsonl", rows), tmp_path / "out.jsonl"
    asked: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        judge_file(source, out, counting(asked, fail_on="number 7"), chunk_rows=3)
    assert len(read(out)) == 6
    with out.open("ab") as stream:
        stream.write(b'{"language": "en", "respo')  # torn by a kill
    asked.clear()

    judged = judge_file(source, out, counting(asked), chunk_rows=3)

    assert asked == [row["response"] for row in rows[6:]]
    assert [row["response"] for row in read(out)] == [row["response"] for row in rows]
    assert judged.resumed == 6
    asked.clear()
    assert judge_file(source, out, counting(asked)).resumed == 10
    assert asked == []


def test_rows_that_failed_are_asked_again(tmp_path: Path) -> None:
    rows = [{"language": "en", "response": f"Answer number {n} of many."} for n in range(6)]
    source, out = write(tmp_path / "in.jsonl", rows), tmp_path / "out.jsonl"
    failing = RegisteredJudge(
        "counting",
        "1",
        lambda rows: [
            Judgement(Outcome.UNPARSED, None, "failed:timeout")
            if "number 4" in row.response
            else Judgement(Outcome.COMPLIED, None)
            for row in rows
        ],
    )
    assert judge_file(source, out, failing).failed == 1
    asked: list[str] = []

    assert judge_file(source, out, counting(asked)).failed == 0
    assert asked == [row["response"] for row in rows[4:]]
    assert len(read(out)) == 6


def change_row(rows: list[dict[str, Any]]) -> None:
    rows[1]["response"] += "!"


def change_field(rows: list[dict[str, Any]]) -> None:
    rows[1]["id"] = "x2"


def shorten(rows: list[dict[str, Any]]) -> None:
    del rows[1:]


@pytest.mark.parametrize("change", [change_row, change_field, shorten])
def test_an_output_of_other_rows_is_left_alone(
    source: Path, tmp_path: Path, change: Callable[[list[dict[str, Any]]], None]
) -> None:
    out = tmp_path / "out.jsonl"
    judge_file(source, out, get_judge("keyword"))
    before = out.read_bytes()
    rows = json.loads(json.dumps(ROWS))
    change(rows)
    with pytest.raises(PolyRefuseError, match=r"out\.jsonl, line 2: is not the row"):
        judge_file(write(source, rows), out, get_judge("keyword"))
    assert out.read_bytes() == before


@pytest.mark.parametrize("text", ["hello\n", '{"language": "en", "response": "x"}\n', "\n"])
def test_an_output_that_is_something_else_is_left_alone(
    source: Path, tmp_path: Path, text: str
) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text(text)
    with pytest.raises(PolyRefuseError, match=r"out\.jsonl, line 1"):
        judge_file(source, out, get_judge("keyword"))
    assert out.read_text() == text


@pytest.mark.timeout(20)
def test_an_output_that_is_a_pipe_is_refused_and_not_waited_for(
    source: Path, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "out.jsonl")
    with pytest.raises(OSError, match="is no plain file"):
        judge_file(source, tmp_path / "out.jsonl", get_judge("keyword"))


def test_an_output_of_another_judge_is_left_alone(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    judge_file(source, out, get_judge("keyword"))
    with pytest.raises(PolyRefuseError, match="was judged by 'keyword"):
        judge_file(source, out, counting([]))


def test_a_judged_file_can_be_judged_by_another(source: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    judge_file(source, first, get_judge("keyword"))
    judge_file(first, second, counting([]))
    assert {row["outcome"] for row in read(second)} == {"complied"}


def test_the_input_is_never_the_output(source: Path) -> None:
    before = source.read_bytes()
    with pytest.raises(PolyRefuseError, match="is the input file"):
        judge_file(source, source, get_judge("keyword"))
    assert source.read_bytes() == before


def test_a_file_in_use_is_left_alone(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    with out.open("ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(PolyRefuseError, match="another process"):
            judge_file(source, out, get_judge("keyword"))


def test_counts_are_by_language_and_reason() -> None:
    judged = JudgedFile()
    judged.count({"language": "en", "outcome": "unparsed", "reason": "safe"})
    judged.count({"language": "en", "outcome": "refused", "reason": ""})
    assert judged.rows == 2
    assert judged.reasons == {"safe": 1}
