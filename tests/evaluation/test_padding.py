"""A model that reads padding gets batches of one length; any other does not need them."""

from types import SimpleNamespace

import pytest
import torch

from polyrefuse_evaluation.candidate_scores import logits_of
from polyrefuse_evaluation.chat import render
from polyrefuse_evaluation.extraction import extract
from polyrefuse_evaluation.models import LoadedModel
from polyrefuse_evaluation.padding import ignores_padding, prompt_batches


class WithoutMask(LoadedModel):
    """A model that takes no notice of the mask, as recurrent ones may."""

    def inputs(self, sequences):
        batch = super().inputs(sequences)
        return {**batch, "attention_mask": torch.ones_like(batch["attention_mask"])}


@pytest.fixture
def reads_padding(make_loaded):
    loaded = make_loaded("llama")
    return WithoutMask(loaded.model, loaded.tokenizer, "reads padding")


@pytest.mark.parametrize("architecture", ["bloom", "gemma2", "gpt2", "llama", "opt", "qwen3_moe"])
def test_models_that_heed_the_mask_are_told_from_one_that_does_not(
    make_loaded, reads_padding, architecture
):
    assert ignores_padding(make_loaded(architecture))
    assert not ignores_padding(reads_padding)


def test_the_logits_of_a_model_that_reads_padding_do_not_depend_on_the_batch(reads_padding, texts):
    loaded = reads_padding
    sequences = render(loaded.tokenizer, [*texts, *texts], loaded.chat)
    assert len([*prompt_batches(loaded, sequences, 10_000)]) == len({len(s) for s in sequences})
    expected = torch.cat([loaded.last_logits([sequence]) for sequence in sequences])
    torch.testing.assert_close(logits_of(loaded, sequences, 10_000), expected, atol=1e-4, rtol=0)
    assert (loaded.last_logits(sequences) - expected).abs().max() > 1e-2


def test_its_means_are_those_of_single_prompts(reads_padding, texts):
    rows = [SimpleNamespace(id="1", language="en", prompt=text) for text in texts]
    split = {"harmful": rows[:3], "harmless": rows[3:]}
    alone, together = (extract(reads_padding, split, "en", budget) for budget in (1, 10_000))
    torch.testing.assert_close(
        together.candidates.differences, alone.candidates.differences, atol=1e-4, rtol=0
    )
