"""A direction for each row gives what ablating one direction at a time gives."""

import pytest
import torch

from polyrefuse.errors import ModelError
from polyrefuse_evaluation import row_ablation
from polyrefuse_evaluation.ablation import ablate
from polyrefuse_evaluation.chat import render
from polyrefuse_evaluation.row_ablation import (
    ablate_rows,
    ablated_alone,
    ablated_by_rows,
    close_logits,
)

ARCHITECTURES = [
    "bloom",
    "falcon",
    "gemma2",
    "gemma4_text",
    "gpt2",
    "gpt_oss",
    "llama",
    "mixtral",
    "opt",  # flattens rows and tokens
    "phi3",
    "qwen3_moe",
]


def directions(n, seed=0, hidden=32):
    return torch.randn(n, hidden, generator=torch.Generator().manual_seed(seed))


def prompts(loaded, texts):
    return render(loaded.tokenizer, texts, loaded.chat)


def rows_agree(loaded, rows, sequences):
    expected = ablated_alone(loaded, rows, sequences)
    return close_logits(loaded, ablated_by_rows(loaded, rows, sequences), expected)


def one_at_a_time(loaded, rows, sequences):
    logits = []
    for direction, sequence in zip(rows, sequences, strict=True):
        with ablate(loaded.model, direction):
            logits.append(loaded.last_logits([sequence]))
    return torch.cat(logits)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_each_row_is_ablated_as_it_would_be_alone(make_loaded, texts, architecture):
    loaded = make_loaded(architecture)
    sequences = prompts(loaded, texts)
    rows = directions(len(sequences))
    expected = one_at_a_time(loaded, rows, sequences)
    with ablate_rows(loaded.model, rows):
        found = loaded.last_logits(sequences)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)
    plain = loaded.last_logits(sequences)
    assert (found - plain).abs().max() > 1e-2
    assert rows_agree(loaded, rows[:2], sequences[:2])
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in loaded.model.modules())


def test_in_bfloat16_rows_agree_too(make_loaded, texts):
    loaded = make_loaded("gemma2")
    loaded.model.bfloat16()
    assert rows_agree(loaded, directions(2), prompts(loaded, texts[:2]))


@pytest.mark.parametrize("architecture", ["llama", "opt", "qwen3_moe"])
def test_directions_that_reach_the_wrong_rows_are_caught(
    make_loaded, texts, architecture, monkeypatch
):
    loaded = make_loaded(architecture)
    project = row_ablation._RowProjection.__call__

    def shifted(self, x):
        self.units = self.units.roll(1, 0)
        try:
            return project(self, x)
        finally:
            self.units = self.units.roll(-1, 0)

    sequences, two = prompts(loaded, texts[:2]), directions(2)
    assert rows_agree(loaded, two, sequences)
    monkeypatch.setattr(row_ablation._RowProjection, "__call__", shifted)
    assert not rows_agree(loaded, two, sequences)


def test_a_writer_that_only_ablation_by_rows_misses_is_caught(make_loaded, texts, monkeypatch):
    loaded = make_loaded("llama")
    whole = loaded.stream
    name = whole.writers[-1].name

    def blind(model, rows, *, stream):
        return ablate_rows(model, rows, stream=stream.without(name))

    monkeypatch.setattr(row_ablation, "ablate_rows", blind)
    assert not rows_agree(loaded, directions(2), prompts(loaded, texts[:2]))


def test_a_model_that_mixes_the_rows_of_a_batch_is_caught(make_loaded, texts):
    """A writer that hands on (tokens, rows, hidden), or all in one row, must not pass."""
    loaded = make_loaded("llama")
    sequences = prompts(loaded, texts[:2])
    assert loaded.stream
    mlp = loaded.model.model.layers[1].mlp
    whole = mlp.forward

    class Turned(torch.nn.Module):
        def forward(self, x):
            return whole(x).transpose(0, 1)

    turned = Turned()
    mlp.forward = lambda x: turned(x).transpose(0, 1)
    object.__setattr__(loaded.stream.writers[3], "module", turned)
    assert loaded.stream.writers[3].name.endswith("1.mlp")
    assert not rows_agree(loaded, directions(2), sequences)


def test_a_batch_with_another_number_of_rows_is_an_error_and_not_a_guess(make_loaded, texts):
    loaded = make_loaded("llama")
    sequences = prompts(loaded, texts[:2])
    with pytest.raises(RuntimeError), ablate_rows(loaded.model, directions(7)):
        loaded.last_logits(sequences)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in loaded.model.modules())


@pytest.mark.parametrize(
    "wrong",
    [
        torch.ones(32),
        torch.ones(2, 31),
        torch.ones(0, 32),
        torch.zeros(2, 32),
        torch.full((1, 32), torch.nan),
    ],
)
def test_directions_that_cannot_be_ablated_are_refused(make_loaded, wrong):
    with pytest.raises(ModelError), ablate_rows(make_loaded("llama").model, wrong):
        pass


def test_a_model_under_ablation_by_rows_cannot_be_saved(make_loaded, tmp_path):
    loaded = make_loaded("llama")
    with pytest.raises(ModelError, match="saved"), ablate_rows(loaded.model, directions(2)):
        loaded.model.save_pretrained(tmp_path)
    assert not [*tmp_path.iterdir()]
