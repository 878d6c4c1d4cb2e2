"""One pass gives means and scores; what it holds does not grow with the prompts."""

import gc
from types import SimpleNamespace

import pytest
import torch

from polyrefuse.errors import ModelError
from polyrefuse_evaluation import extraction
from polyrefuse_evaluation.activations import one_stream, record
from polyrefuse_evaluation.chat import render
from polyrefuse_evaluation.extraction import extract
from polyrefuse_evaluation.forward_work import count_work
from polyrefuse_evaluation.refusal_score import refusal_score

WINDOW = 50
TOKENS = [5, 9, 17, 200]


def rows(texts):
    return [SimpleNamespace(id="1", language="en", prompt=text) for text in texts]


def split(texts):
    return {"harmful": rows(texts[:3]), "harmless": rows(texts[3:])}


@pytest.mark.parametrize("architecture", ["llama", "gemma2", "qwen3_moe"])
@pytest.mark.parametrize("batch_tokens", [1, 90, 10_000])
def test_means_and_scores_are_those_of_single_prompts(
    make_loaded, texts, architecture, batch_tokens
):
    loaded = make_loaded(architecture)
    found = extract(loaded, split(texts), "en", batch_tokens, TOKENS)
    means = {}
    for label, some in split(texts).items():
        sequences = render(loaded.tokenizer, [row.prompt for row in some], loaded.chat)
        alone = [record(loaded, [sequence]) for sequence in sequences]
        means[label] = torch.cat([one for one, _ in alone]).double().mean(0)
        expected = refusal_score(torch.cat([logits for _, logits in alone]), TOKENS)
        assert found.scores[label].dtype == torch.float64
        torch.testing.assert_close(found.scores[label], expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(
        found.candidates.differences, means["harmful"] - means["harmless"], atol=1e-4, rtol=0
    )
    assert (found.candidates.n_harmful, found.candidates.n_harmless) == (3, 2)


def test_every_prompt_is_run_exactly_once(make_loaded, texts, monkeypatch):
    monkeypatch.setattr(extraction, "WINDOW", 2)
    loaded = make_loaded("llama")
    sequences = render(loaded.tokenizer, texts, loaded.chat)
    whole = extract(loaded, split(texts), "en", 10_000, TOKENS)
    with count_work(loaded.model) as work:
        found = extract(loaded, split(texts), "en", 10_000, TOKENS)
    assert work.token_layers == 3 * sum(len(sequence) for sequence in sequences)
    torch.testing.assert_close(found.candidates.differences, whole.candidates.differences)
    torch.testing.assert_close(found.scores["harmful"], whole.scores["harmful"])


def test_without_refusal_tokens_there_are_means_and_no_scores(make_loaded, texts):
    found = extract(make_loaded("llama"), split(texts), "en", 1000)
    assert {label: len(scores) for label, scores in found.scores.items()} == {
        "harmful": 0,
        "harmless": 0,
    }
    assert found.candidates.defined[:, 1:].all()


def test_a_label_without_prompts_is_an_error(make_loaded, texts):
    with pytest.raises(ValueError, match="no harmless prompts for en"):
        extract(make_loaded("llama"), {"harmful": rows(texts), "harmless": []}, "en", 1000)


def test_activations_that_overflow_are_an_error_that_names_the_layer(make_loaded, texts):
    loaded = make_loaded("llama")
    assert loaded.stream
    with torch.no_grad():
        loaded.model.model.layers[0].mlp.down_proj.weight.fill_(torch.inf)
    with pytest.raises(ModelError, match="not finite at the input of layer 1"):
        extract(loaded, split(texts), "en", 1000)


def bytes_of_tensors():
    gc.collect()
    return sum(x.numel() * x.element_size() for x in gc.get_objects() if type(x) is torch.Tensor)


def held_while_extracting(loaded, texts, count):
    """Return bytes of tensors alive, early and late in an extraction over `count` prompts."""
    held = []

    def prompts():
        for index in range(count):
            if index in (3 * WINDOW, count - 1):  # just after a whole window
                held.append(bytes_of_tensors())
            yield SimpleNamespace(id="1", language="en", prompt=texts[index % 2])

    extract(loaded, {"harmful": prompts(), "harmless": rows(texts)}, "en", 400, TOKENS)
    return held


def test_memory_does_not_grow_with_the_prompts_but_for_a_number_each(make_loaded, monkeypatch):
    loaded = make_loaded("llama", num_hidden_layers=2)
    texts = ["rain", "the rain"]
    monkeypatch.setattr(extraction, "WINDOW", WINDOW)
    count = 20 * WINDOW + 1
    early, late = held_while_extracting(loaded, texts, count)
    assert late - early <= 8 * count
    kept, record_sum = [], extraction.record_sum

    def and_keep(loaded, sequences):
        kept.append(record(loaded, sequences)[0])
        return record_sum(loaded, sequences)

    monkeypatch.setattr(extraction, "record_sum", and_keep)
    early, late = held_while_extracting(loaded, texts, count)
    assert late - early > 8 * count


def test_of_several_streams_the_mean_is_recorded_whichever_axis_they_stand_on():
    streams = torch.randn(4, 2, 6, 8)
    mean = streams.mean(0)
    torch.testing.assert_close(one_stream(streams, (2, 6)), mean)
    torch.testing.assert_close(one_stream(streams.movedim(0, 2), (2, 6)), mean)
    assert torch.equal(one_stream(mean, (2, 6)), mean)


@pytest.mark.parametrize("shape", [(6, 2, 8), (12, 8), (2, 5, 8)])
def test_activations_of_another_shape_are_an_error_and_not_a_guess(shape):
    with pytest.raises(ModelError, match="2 prompts of 6 tokens"):
        one_stream(torch.zeros(shape), (2, 6))
