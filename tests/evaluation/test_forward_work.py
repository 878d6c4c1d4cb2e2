"""Work is counted in tokens without padding, times the blocks that computed them."""

import pytest
import torch

from polyrefuse_evaluation.chat import render
from polyrefuse_evaluation.forward_work import count_work


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_padding_does_not_count_and_every_block_does(make_loaded, texts, architecture):
    loaded = make_loaded(architecture)
    sequences = render(loaded.tokenizer, texts, loaded.chat)
    tokens = sum(len(sequence) for sequence in sequences)
    assert tokens < len(sequences) * max(len(sequence) for sequence in sequences)
    with count_work(loaded.model) as work:
        loaded.last_logits(sequences)
        assert work.token_layers == 3 * tokens
        loaded.model(torch.tensor(sequences[:1]))  # without a mask
    assert work.token_layers == 3 * (tokens + len(sequences[0]))
    assert work.passes == 2
    loaded.last_logits(sequences)
    assert work.passes == 2
    assert not any("forward" in m.__dict__ for m in loaded.model.modules())
    assert not loaded.model._forward_pre_hooks


def test_with_a_cache_each_token_counts_once(make_loaded, texts):
    loaded = make_loaded("llama")
    sequences = render(loaded.tokenizer, texts[:2], loaded.chat)
    inputs = loaded.inputs(sequences)
    inputs.pop("position_ids", None)
    with count_work(loaded.model) as work:
        loaded.model.generate(**inputs, max_new_tokens=4, min_new_tokens=4, do_sample=False)
    prompt_tokens = sum(len(sequence) for sequence in sequences)
    assert work.token_layers == 3 * (prompt_tokens + 3 * 2)  # the last one is never read


def test_a_forward_that_stood_on_the_block_before_comes_back(make_loaded, texts):
    loaded = make_loaded("llama")
    assert loaded.stream
    block = loaded.model.model.layers[0]
    own = block.forward = block.forward
    with pytest.raises(ZeroDivisionError), count_work(loaded.model):
        _ = 1 / 0
    assert block.__dict__["forward"] is own
