"""Running out of memory halves the work, changes no answer, and is recorded."""

import inspect

import pytest
import torch

from polyrefuse_evaluation import memory
from polyrefuse_evaluation.generation import generate, memory_limit
from polyrefuse_evaluation.memory import (
    Halving,
    MemoryLimit,
    in_halves,
    in_smaller_batches,
    is_out_of_memory,
)

PROMPTS = [[5 + n, *range(30, 33 + n)] for n in range(9)]
CPU = "[enforce fail at alloc_cpu.cpp:119] . DefaultCPUAllocator: can't allocate memory: you tried"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Collecting garbage takes a while in a process as large as the tests'."""
    monkeypatch.setattr(memory, "clear_device_cache", lambda garbage_collection: None)


def raise_above(loaded, rows, error):
    """The test double: a model whose forward pass fails above so many rows."""
    forward = loaded.model.forward

    def limited(*args, **kwargs):
        if len(kwargs["input_ids"]) > rows:
            raise error
        return forward(*args, **kwargs)

    limited.__signature__ = inspect.signature(forward)
    loaded.model.forward = limited


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError(CPU),
        RuntimeError("HIP out of memory. Tried to allocate"),
        MemoryError(),
    ],
)
def test_every_kind_of_out_of_memory_is_known(error):
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", [RuntimeError("shape mismatch"), ValueError(" out of memory.")])
def test_other_errors_are_not_taken_for_it(error):
    assert not is_out_of_memory(error)


@pytest.mark.parametrize("rows", [1, 2, 4, 8])
def test_a_model_that_runs_out_of_memory_above_a_batch_size_gives_the_same_answers(
    make_loaded, rows
):
    expected = generate(make_loaded(), PROMPTS, 6)
    loaded = make_loaded()
    raise_above(loaded, rows, torch.OutOfMemoryError("CUDA out of memory."))
    assert generate(loaded, PROMPTS, 6) == expected
    limit = memory_limit(loaded)
    assert limit.halvings[0] == Halving("generate", 9 * 18, 81, 9)
    assert limit.budget is not None


def test_the_smaller_budget_is_remembered_and_not_run_into_again(make_loaded):
    loaded = make_loaded()
    raise_above(loaded, 2, torch.OutOfMemoryError("CUDA out of memory."))
    first = generate(loaded, PROMPTS, 6)
    failures = len(memory_limit(loaded).halvings)
    assert failures >= 2
    assert generate(loaded, PROMPTS, 6) == first
    assert len(memory_limit(loaded).halvings) <= failures + 1


def test_a_prompt_that_does_not_fit_alone_is_a_recorded_failure_and_the_rest_go_on(make_loaded):
    expected = generate(make_loaded(), PROMPTS, 6)
    loaded = make_loaded()
    forward = loaded.model.forward

    def limited(*args, **kwargs):
        if kwargs["input_ids"].shape[1] > 11:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(*args, **kwargs)

    limited.__signature__ = inspect.signature(forward)
    loaded.model.forward = limited
    answers = generate(loaded, PROMPTS, 6)
    assert answers[:8] == expected[:8]
    assert answers[8].failure == "out of memory: a single row of up to 18 tokens"
    assert (answers[8].text, answers[8].finished) == ("", False)


def test_any_other_error_is_raised(make_loaded):
    loaded = make_loaded()
    raise_above(loaded, 1, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="shapes"):
        generate(loaded, PROMPTS, 6)
    assert memory_limit(loaded).halvings == []


def test_halves_come_back_in_order_and_nothing_is_done_twice_that_was_done():
    done = []

    def work(rows):
        if len(rows) > 3:
            raise MemoryError
        done.extend(rows)
        return [row * 10 for row in rows]

    limit = MemoryLimit()
    assert in_halves(work, [5] * 11, limit, lambda row, width: -1) == [n * 10 for n in range(11)]
    assert done == list(range(11))
    assert in_halves(work, [], limit, lambda row, width: -1) == []


def test_a_stage_is_done_again_in_smaller_batches_until_it_fits():
    tried = []

    def work(budget):
        tried.append(budget)
        if budget > 100:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return budget

    limit = MemoryLimit()
    assert in_smaller_batches("select", work, 400, limit) == 100
    assert tried == [400, 200, 100]
    assert limit.halvings == [Halving("select", 400, 200), Halving("select", 200, 100)]
    assert limit.budget is None  # generation needs memory of its own


def test_a_stage_that_never_fits_raises_its_error():
    def work(budget):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(torch.OutOfMemoryError):
        in_smaller_batches("select", work, 400, MemoryLimit())
