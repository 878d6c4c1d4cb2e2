"""Resuming a kept pass at a layer gives what a whole pass with the addition gives, for less."""

import pytest
import torch

from polyrefuse_evaluation.ablation import add
from polyrefuse_evaluation.base_pass import Resumer, run_base_pass
from polyrefuse_evaluation.chat import render
from polyrefuse_evaluation.forward_work import count_work

ARCHITECTURES = [
    "bloom",
    "falcon",
    "gemma2",
    "gemma4_text",
    "gpt2",
    "gpt_oss",
    "llama",
    "mixtral",
    "mpt",
    "opt",
    "phi3",
    "qwen3_moe",
]


def directions(n, seed=0, hidden=32):
    return 3 * torch.randn(n, hidden, generator=torch.Generator().manual_seed(seed))


def prompts(loaded, texts):
    return render(loaded.tokenizer, texts, loaded.chat)


def whole_passes(loaded, rows, layer, sequences):
    logits = []
    for direction in rows:
        with add(loaded.model, direction, layer):
            logits.append(torch.cat([loaded.last_logits([sequence]) for sequence in sequences]))
    return torch.stack(logits)


def resumed_passes(resumer, rows, layer, n, batch_tokens):
    logits = torch.full((len(rows), n, resumer.base.logits.shape[1]), torch.nan)
    for number, indices, some in resumer.added(layer, rows, batch_tokens):
        logits[number, indices] = some
    return logits


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_resumed_pass_gives_the_logits_of_a_whole_one_at_every_layer(
    make_loaded, texts, architecture
):
    loaded = make_loaded(architecture)
    sequences = prompts(loaded, texts)
    rows = directions(2)
    resumer = Resumer(loaded, run_base_pass(loaded, sequences, 100))
    assert len(resumer.base.batches) > 1
    for layer in range(3):
        expected = whole_passes(loaded, rows, layer, sequences)
        found = resumed_passes(resumer, rows, layer, len(sequences), 1000)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)
    assert resumer.exact == {0: False, 1: True, 2: True}  # nothing to pass over at layer 0
    assert (found - resumer.base.logits).abs().max() > 1e-2
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in loaded.model.modules())
    assert not any("forward" in m.__dict__ for m in loaded.model.modules())


def test_blocks_before_the_layer_are_not_computed(make_loaded, texts):
    loaded = make_loaded("llama")
    sequences = prompts(loaded, texts)
    tokens = sum(len(sequence) for sequence in sequences)
    resumer = Resumer(loaded, run_base_pass(loaded, sequences, 10_000))
    resumed_passes(resumer, directions(1), 2, len(sequences), 10_000)  # proves the layer too
    with count_work(loaded.model) as work:
        resumed_passes(resumer, directions(1), 2, len(sequences), 10_000)
    assert work.token_layers == tokens


def test_a_model_whose_blocks_share_more_than_the_stream_gets_whole_passes(make_loaded, texts):
    """The fault to catch: block 2 reads what block 0 left aside, so block 0 cannot be left out."""
    loaded = make_loaded("llama")
    sequences = prompts(loaded, texts)
    assert loaded.stream
    first, last = (loaded.model.model.layers[index] for index in (0, 2))
    aside = {}
    compute_first, compute_last = first.forward, last.forward

    def leave(x, *args, **kwargs):
        aside["sum"] = x.sum()  # of whichever batch ran last
        return compute_first(x, *args, **kwargs)

    def read(x, *args, **kwargs):
        return compute_last(x * (1 + 0.1 * torch.sin(aside["sum"])), *args, **kwargs)

    first.forward, last.forward = leave, read
    resumer = Resumer(loaded, run_base_pass(loaded, sequences, 1))  # one prompt a batch
    loaded.last_logits([[5, 6, 7]])  # what stands aside now is of another prompt
    expected = whole_passes(loaded, directions(1), 1, sequences)
    found = resumed_passes(resumer, directions(1), 1, len(sequences), 1)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)
    assert resumer.exact == {1: False}
    resumer.exact[1] = True  # without the proof the logits would be wrong
    aside["sum"] = torch.tensor(0.0)
    wrong = resumed_passes(resumer, directions(1), 1, len(sequences), 1)
    assert (wrong - expected).abs().max() > 1e-3


def test_inputs_resumed_at_the_wrong_layer_are_caught(make_loaded, texts):
    loaded = make_loaded("llama")
    sequences = prompts(loaded, texts)
    base = run_base_pass(loaded, sequences, 1000)
    for batch in base.batches:
        object.__setattr__(batch, "inputs", (batch.inputs[1], batch.inputs[2], batch.inputs[0]))
    resumer = Resumer(loaded, base)
    found = resumed_passes(resumer, directions(1), 1, len(sequences), 1000)
    assert resumer.exact == {1: False}
    expected = whole_passes(loaded, directions(1), 1, sequences)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)


def test_inputs_that_would_take_too_much_memory_are_not_kept(make_loaded, texts):
    loaded = make_loaded("llama")
    sequences = prompts(loaded, texts)
    padded = len(sequences) * max(len(sequence) for sequence in sequences)
    size = padded * 3 * 32 * 4
    assert run_base_pass(loaded, sequences, 10_000, most_bytes=size).batches[0].inputs
    base = run_base_pass(loaded, sequences, 10_000, most_bytes=size - 1)
    assert base.batches[0].inputs == ()
    resumer = Resumer(loaded, base)
    found = resumed_passes(resumer, directions(2), 1, len(sequences), 10_000)
    expected = whole_passes(loaded, directions(2), 1, sequences)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)
