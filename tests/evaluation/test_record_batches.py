"""Batches of several processes' files: the same as from all rows in memory, without them."""

import random
import tracemalloc
from collections import Counter

import pytest

from polyrefuse.outcomes import Outcome
from polyrefuse_evaluation.answering import read_judgements
from polyrefuse_evaluation.derived_figures import figures_of
from polyrefuse_evaluation.judges import get_judge
from polyrefuse_evaluation.run_directory import (
    COMPLETIONS,
    JUDGEMENTS,
    WORKERS,
    CompletionRecord,
    JudgementRecord,
    RunDirectory,
)
from polyrefuse_evaluation.token_rows import TokenRows
from tests.evaluation.report.factories import make_result

BYTES = 1_600
"""A prompt under three conditions, at the most: measured are 1,000; as records it is 20,000."""


def completion(condition: str, batch: int, at: int) -> CompletionRecord:
    return CompletionRecord(
        condition=condition, language="en", label="harmful", id=f"harmful-sample-{at:012}",
        batch=batch, completion="I cannot help with that.", sha256=f"sha256:{'ab' * 32}", tokens=8,
        finished=True,
    )  # fmt: skip


def judgement(condition: str, batch: int, at: int) -> JudgementRecord:
    outcome = Outcome.COMPLIED if condition == "ablate:en" or at % 9 == 0 else Outcome.REFUSED
    return JudgementRecord(
        condition=condition, language="en", label="harmful", id=f"harmful-sample-{at:012}",
        batch=batch, judge="keyword", outcome=outcome, score=1.0 - at % 2, response_language="en",
        reason="opening",
    )  # fmt: skip


def write(path, rows) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        stream.writelines(row.model_dump_json() + "\n" for row in rows)


def recovered_in_memory(files, sizes) -> tuple[set[int], list[str]]:
    """The oracle: all rows in memory, each once, those of whole batches sorted by batch."""
    rows = {}
    for lines in files:
        for row in lines:
            rows.setdefault((row.condition, row.language, row.id), row)
    counts = Counter(row.batch for row in rows.values())
    whole = {batch for batch, n in counts.items() if batch < len(sizes) and n == sizes[batch]}
    kept = sorted((row for row in rows.values() if row.batch in whole), key=lambda row: row.batch)
    return whole, [row.model_dump_json() for row in kept]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_a_kill_leaves_is_recovered_as_from_memory(tmp_path, seed):
    """Batches in any file, some torn, some in two files, some in parts, some beyond the plan."""
    draw = random.Random(seed)
    sizes = [draw.randint(1, 4) for _ in range(8)]
    files = [[], [], []]
    for batch in draw.sample(range(10), 10):
        size = sizes[batch] if batch < len(sizes) else 2
        rows = [completion("baseline", batch, 10 * batch + k) for k in range(size)]
        for file in draw.sample(files, draw.choice([1, 1, 1, 2])):
            torn = draw.random() < 0.3
            file += rows[: draw.randint(0, size)] if torn else rows
    for number, rows in enumerate(files):
        own = tmp_path / WORKERS / f"{number}.{COMPLETIONS}"
        write(own if number else tmp_path / COMPLETIONS, rows)
    whole, lines = recovered_in_memory(files, sizes)
    verdicts = [
        judgement("baseline", batch, 10 * batch + k)
        for batch in range(8)
        for k in range(sizes[batch])
    ]
    write(tmp_path / JUDGEMENTS, verdicts)
    run = RunDirectory(tmp_path)
    assert run.recover(sizes) == whole
    assert (tmp_path / COMPLETIONS).read_text("utf-8").splitlines() == lines
    before = (tmp_path / COMPLETIONS).stat().st_mtime_ns
    assert run.recover(sizes) == whole
    assert (tmp_path / COMPLETIONS).stat().st_mtime_ns == before, "what is right is left alone"


CONDITIONS = ("baseline", "ablate:en", "ablate:random")


def finished_run(folder, prompts: int) -> RunDirectory:
    """Write what two processes leave of an evaluation of so many prompts, in batches of ten."""
    batches = prompts // 10
    for number, condition in enumerate(CONDITIONS):
        for batch in range(batches):
            rows = [(condition, number * batches + batch, 10 * batch + k) for k in range(10)]
            for name, make in ((COMPLETIONS, completion), (JUDGEMENTS, judgement)):
                place = folder / WORKERS / f"1.{name}" if batch % 2 else folder / name
                write(place, [make(*row) for row in rows])
    return RunDirectory(folder)


def summarised(run: RunDirectory, prompts: int) -> dict:
    settings = make_result().settings
    settings = settings.model_copy(update={"languages": ["en"], "judges": settings.judges[:1]})
    run.recover([10] * (3 * prompts // 10))
    rows = read_judgements(run, [get_judge("keyword")])
    return figures_of(rows, settings, tested=["en"], seed=0, validated={})


def bytes_a_prompt(folder, action) -> float:
    """Return how much more memory 1,200 prompts take at the peak than 400, a prompt."""
    peaks = []
    for prompts in (400, 1200):
        run = finished_run(folder / str(prompts), prompts)
        action(run, prompts)  # what is imported and computed once
        tracemalloc.start()
        try:
            action(run, prompts)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    return (peaks[1] - peaks[0]) / 800


def test_recovering_and_summarising_take_little_memory_a_prompt(tmp_path):
    assert bytes_a_prompt(tmp_path / "small", summarised) < BYTES


def test_records_kept_whole_would_be_seen(tmp_path):
    """The mutation: rows read into lists of records, as files were read before."""

    def in_lists(run, prompts):
        kept = [run.read(COMPLETIONS, CompletionRecord), run.read(JUDGEMENTS, JudgementRecord)]
        assert sum(map(len, kept)) > 0
        summarised(run, prompts)

    assert bytes_a_prompt(tmp_path / "lists", in_lists) > 3 * BYTES


def test_token_rows_are_the_lists_they_were_made_of():
    lists = [[1, 2, 70_000], [], [5], [2**31 - 1] * 40]
    rows = TokenRows(iter(lists))
    assert list(rows) == lists
    assert (len(rows), rows[-1], rows[1:3]) == (4, lists[-1], lists[1:3])
    assert sorted(range(4), key=lambda at: len(rows[at])) == [1, 2, 0, 3]
    with pytest.raises(IndexError):
        rows[4]
