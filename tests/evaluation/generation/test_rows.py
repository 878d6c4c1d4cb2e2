"""A batch that finished rows leave gives each prompt the answer that it gets alone."""

import pytest
import torch

from polyrefuse_evaluation.ablation import ablate
from polyrefuse_evaluation.directions import random_direction
from polyrefuse_evaluation.generation import engines, rows
from polyrefuse_evaluation.generation.engines import decode_rows, decode_single, plain_greedy
from polyrefuse_evaluation.generation.rows import GreedyRows

PROMPTS = [[5 + n, 5 + n, *range(30, 30 + length)] for n, length in enumerate((3, 14, 9, 5, 2))]
LIMITS = [4, 7, 16, 11, 2]
MIXERS = {
    "mamba": {"state_size": 8},
    "falcon_h1": {
        "intermediate_size": 48,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "mamba_d_ssm": 32,
        "mamba_n_heads": 4,
        "mamba_d_head": 8,
        "mamba_d_state": 8,
        "mamba_n_groups": 1,
        "mamba_chunk_size": 8,
    },
    "lfm2": {"intermediate_size": 48, "num_key_value_heads": 2},
}
TYPES = ["llama", "gemma2", "gpt2", "bloom", "qwen3_moe", "gpt_oss", *MIXERS]


@pytest.fixture
def make(make_loaded, monkeypatch):
    from tests.evaluation import conftest

    for name, settings in MIXERS.items():
        monkeypatch.setitem(conftest.ARCHITECTURES, name, settings)

    def build(architecture, **changes):
        loaded = make_loaded(architecture, **changes)
        loaded.model.generation_config.eos_token_id = None
        loaded.tokenizer.eos_token = None
        return loaded

    return build


def alone(loaded):
    return [
        decode_single(loaded, [prompt], limit)[0].tokens
        for prompt, limit in zip(PROMPTS, LIMITS, strict=True)
    ]


def together(loaded):
    return [answer.tokens for answer in decode_rows(loaded, PROMPTS, max(LIMITS), LIMITS)]


@pytest.mark.parametrize("architecture", TYPES)
def test_rows_that_leave_one_by_one_get_the_answers_of_single_prompts(make, architecture):
    loaded = make(architecture)
    assert together(loaded) == alone(loaded)
    assert len(set(together(loaded))) == len(PROMPTS)


@pytest.mark.parametrize("method", ["hooks", "weights"])
def test_rows_may_leave_an_ablated_model_too(make, method):
    loaded = make("gemma2")
    with ablate(loaded.model, random_direction(32, 0), method=method, stream=loaded.stream):
        assert together(loaded) == alone(loaded)


def test_without_a_cache_rows_leave_as_well(make, monkeypatch):
    loaded = make("llama")
    expected = alone(loaded)
    greedy = GreedyRows(frozenset(), LIMITS)
    with plain_greedy(loaded, max(LIMITS), use_cache=False):
        batch = loaded.inputs(PROMPTS)
        batch.pop("position_ids")
        loaded.model.generate(**batch, custom_generate=greedy)
    assert [answer.tokens for answer in greedy.answers] == expected
    assert greedy.row_steps < len(PROMPTS) * max(LIMITS)


def test_taking_the_wrong_rows_out_of_the_cache_changes_answers(make, monkeypatch):
    """The fault that the tests above would see: mask and tokens leave, but other cached rows."""
    loaded = make("llama")
    keep = rows.keep_rows
    monkeypatch.setattr(rows, "keep_rows", lambda cache, index: keep(cache, index.flip(0)))
    assert together(loaded) != alone(loaded)


def test_finished_rows_are_no_longer_computed(make):
    loaded = make("llama")
    sizes = []
    hook = loaded.model.register_forward_pre_hook(
        lambda _, __, kwargs: sizes.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    together(loaded)
    hook.remove()
    assert len(sizes) == max(LIMITS)
    assert sizes == sorted(sizes, reverse=True)
    # Rows wait until a quarter has finished, so the sum is a little above that of the limits.
    assert sum(LIMITS) <= sum(sizes) <= 1.25 * sum(LIMITS)


def test_rows_stay_where_a_cache_is_of_an_unknown_kind(make, monkeypatch):
    loaded = make("llama")
    expected = alone(loaded)
    monkeypatch.setattr(rows, "rows_can_leave", lambda cache: False)
    greedy = GreedyRows(frozenset(), LIMITS)
    with plain_greedy(loaded, max(LIMITS)):
        batch = loaded.inputs(PROMPTS)
        batch.pop("position_ids")
        loaded.model.generate(**batch, custom_generate=greedy)
    assert greedy.row_steps == len(PROMPTS) * max(LIMITS)
    assert [answer.tokens for answer in greedy.answers] == expected


def test_a_row_ends_at_its_end_token_and_the_others_go_on(make):
    loaded = make("llama")
    free = decode_rows(loaded, PROMPTS, 12)
    end = free[1].tokens[3]
    loaded.model.generation_config.eos_token_id = int(end)
    ended = decode_rows(loaded, PROMPTS, 12)
    for before, after in zip(free, ended, strict=True):
        cut = before.tokens.index(end) if end in before.tokens else 12
        assert (after.tokens, after.finished) == (before.tokens[:cut], cut < 12)
    assert ended[1].finished
    assert not all(answer.finished for answer in ended)


def test_a_layer_with_room_holds_what_a_plain_one_holds():
    from transformers.cache_utils import DynamicLayer

    from polyrefuse_evaluation.generation.room import ROOM, RoomyLayer

    plain, roomy = DynamicLayer(), RoomyLayer()
    generator = torch.Generator().manual_seed(0)
    rooms = set()
    for step in range(ROOM + 20):
        if step == 10:
            for layer in (plain, roomy):
                layer.reorder_cache(torch.tensor([2, 0]))
        shape = (3 if step < 10 else 2, 2, 5 if step == 0 else 1, 4)
        new = [torch.randn(shape, generator=generator) for _ in range(2)]
        for a, b in zip(plain.update(*new), roomy.update(*new), strict=True):
            assert torch.equal(a, b)
        rooms.add(roomy._key_room.data_ptr())
    assert plain.get_seq_length() == roomy.get_seq_length() == ROOM + 24
    assert len(rooms) == 3  # at the start, when rows left, and when it was full


@pytest.fixture
def undecided(make):
    """Tokens in pairs of nearly the same logit, and noise that comes with company in a batch."""
    loaded = make("llama", tie_word_embeddings=False)
    head = loaded.model.get_output_embeddings()
    with torch.no_grad():
        head.weight[1::2] = head.weight[::2] * (1 + 1e-6)

    def noise(_, args, output):
        shaken = output + 1e-5 * torch.randn(output.shape, generator=generator)
        return shaken if len(args[0]) > 1 else output

    generator = torch.Generator().manual_seed(0)
    head.register_forward_hook(noise)
    return loaded


def test_near_ties_are_settled_alone(undecided):
    assert together(undecided) == alone(undecided)


def test_unsettled_ties_depend_on_the_batch(undecided, monkeypatch):
    monkeypatch.setattr(engines, "NEAR", 0.0)
    assert together(undecided) != alone(undecided)
