"""What the load benchmark makes and says: valid prompts, and a verdict that can be no."""

import pytest

from benchmarks.load_table import Cost, is_linear, measure, steps, table
from benchmarks.many_prompts import write_many_prompts
from benchmarks.scale import evaluation
from polyrefuse.check import check_folder
from polyrefuse_evaluation.prompt_sets import read_prompt_sets

MIB = 2**20


def costs(power: float) -> list[Cost]:
    """Return costs that grow with this power of the size, beside 20 s that every process takes."""
    return [Cost(n, 20 + 1e-3 * n**power, 1.0, 100 * MIB + 500 * n) for n in (100, 300, 1000)]


@pytest.mark.parametrize(("power", "linear"), [(1.0, True), (0.9, True), (1.3, False), (2, False)])
def test_what_grows_faster_than_its_size_is_told(power, linear):
    assert is_linear(costs(power)) is linear
    assert ("NOT linear" in table("Title", "row", costs(power))) is not linear


def test_what_every_process_needs_is_not_counted():
    assert [(round(1000 * cpu), size) for cpu, size in steps(costs(1.0))] == [(1, 500)] * 2


def test_a_process_of_its_own_is_measured_and_one_that_fails_is_told():
    work = "x = bytearray(200 * 2**20); x[::4096] = b'x' * len(x[::4096]); sum(range(5 * 10**6))"
    cost = measure(1, ["-c", f"{work}; print('done')"])
    assert cost.said == "done\n"
    assert cost.cpu > 0.02
    assert 200 * MIB < cost.peak < 260 * MIB
    with pytest.raises(SystemExit, match="no such thing"):
        measure(1, ["-c", "raise SystemExit('no such thing')"])


def test_many_prompts_are_a_valid_dataset_of_that_many(tmp_path):
    folder = write_many_prompts(tmp_path / "dataset", 301)
    assert check_folder(folder).ok
    prompts = read_prompt_sets(folder, languages="en").test_prompts()
    assert len(prompts) == len({row.id for row in prompts}) == 301
    assert sum(row.label == "harmful" for row in prompts) == 151


def test_an_evaluation_in_two_processes_is_measured(tmp_path):
    cost = evaluation(tmp_path, 12)
    assert cost.note.startswith("36 answers, ")
    assert cost.cpu > 1
