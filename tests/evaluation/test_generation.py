"""Batches cover every prompt once within their budget; padding changes no answer."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polyrefuse_evaluation.ablation import ablate
from polyrefuse_evaluation.chat import render
from polyrefuse_evaluation.directions import random_direction
from polyrefuse_evaluation.generation import end_tokens, generate, plan_batches
from polyrefuse_evaluation.models import LoadedModel
from polyrefuse_evaluation.reasoning import has_reasoning

LENGTHS = st.lists(st.integers(1, 40), max_size=40)


def rows_of(lengths):
    return [[7] * length for length in lengths]


@given(LENGTHS, st.integers(1, 300), st.integers(1, 30))
def test_the_plan_covers_each_prompt_once_longest_first_within_the_budget(lengths, budget, new):
    plan = plan_batches(rows_of(lengths), budget, new)
    assert sorted(index for batch in plan for index in batch) == [*range(len(lengths))]
    flat = [lengths[index] for batch in plan for index in batch]
    assert flat == sorted(lengths, reverse=True)
    for batch in plan:
        padded = len(batch) * (max(lengths[index] for index in batch) + new)
        assert padded <= budget or len(batch) == 1


@given(LENGTHS, st.integers(1, 300))
def test_the_plan_wastes_no_room_and_is_always_the_same(lengths, budget):
    plan = plan_batches(rows_of(lengths), budget, 5)
    assert plan == plan_batches(rows_of(lengths), budget, 5)
    for batch in plan[:-1]:
        assert (len(batch) + 1) * (lengths[batch[0]] + 5) > budget


def test_no_prompts_need_no_batches():
    assert plan_batches([], 100, 5) == []


@pytest.mark.parametrize("architecture", ["llama", "gemma2", "gpt2", "gpt_neox"])
@pytest.mark.parametrize("ablated", [False, True])
def test_a_padded_batch_gives_the_answers_of_single_prompts(
    make_loaded, texts, architecture, ablated
):
    loaded = make_loaded(architecture)
    sequences = render(loaded.tokenizer, texts, loaded.chat)

    def answers():
        return generate(loaded, sequences, 6), [generate(loaded, [s], 6)[0] for s in sequences]

    if ablated:
        with ablate(loaded.model, random_direction(32, 0), stream=loaded.stream):
            together, alone = answers()
    else:
        together, alone = answers()
    assert together == alone
    assert len({answer.tokens for answer in together}) > 1


def test_answers_are_plainly_greedy_whatever_the_checkpoint_brings_along(make_loaded, texts):
    loaded = make_loaded()
    (sequence,) = render(loaded.tokenizer, texts[:1], loaded.chat)
    own = loaded.model.generation_config
    own.update(do_sample=True, temperature=5.0, repetition_penalty=1.5, min_new_tokens=5)
    own.suppress_tokens = list(generate(loaded, [sequence], 5)[0].tokens)
    (answer,) = generate(loaded, [sequence], 5)
    assert loaded.model.generation_config is own
    ids = list(sequence)
    for token in answer.tokens:
        with torch.no_grad():
            assert int(loaded.model(torch.tensor([ids])).logits[0, -1].argmax()) == token
        ids.append(token)
    assert answer.text == loaded.tokenizer.decode(answer.tokens, skip_special_tokens=True)


def bias_to(loaded, script):
    """Let the model say the tokens of `script` one by one, whatever it reads."""
    steps = iter(script)

    def follow(_, args, output):
        output.logits = torch.nn.functional.one_hot(torch.tensor([[next(steps)]]), 320).float()
        return output

    return loaded.model.register_forward_hook(follow)


@pytest.mark.parametrize(
    ("script", "tokens", "finished"),
    [
        ([40, 41, 2, 42, 43], (40, 41), True),
        ([2, 41, 42, 43, 44], (), True),
        ([40, 41, 42, 43, 44], (40, 41, 42, 43, 44), False),
        ([40, 41, 42, 43, 2], (40, 41, 42, 43), True),
    ],
)
def test_an_answer_ends_before_the_end_of_turn_token(make_loaded, script, tokens, finished):
    loaded = make_loaded()
    handle = bias_to(loaded, script)
    (answer,) = generate(loaded, [[5, 6, 7]], 5)
    handle.remove()
    assert (answer.tokens, answer.finished) == (tokens, finished)
    assert answer.text == loaded.tokenizer.decode(tokens)


def test_special_tokens_in_an_answer_are_kept_as_tokens_and_dropped_from_its_text(make_loaded):
    loaded = make_loaded()
    handle = bias_to(loaded, [40, 3, 41, 2])
    (answer,) = generate(loaded, [[5, 6, 7]], 5)
    handle.remove()
    assert answer.tokens == (40, 3, 41)
    assert answer.text == loaded.tokenizer.decode([40, 41])


@pytest.mark.parametrize(
    ("configured", "expected"), [(2, {2}), ([2, 7], {2, 7}), (None, {2}), (7, {2, 7})]
)
def test_end_tokens_are_the_checkpoints_and_the_tokenizers(make_loaded, configured, expected):
    loaded = make_loaded()
    loaded.model.generation_config.eos_token_id = configured
    assert end_tokens(loaded) == expected


def test_a_model_without_any_end_token_runs_to_the_limit(make_loaded):
    loaded = make_loaded()
    loaded.model.generation_config.eos_token_id = None
    loaded.tokenizer.eos_token = None
    assert end_tokens(loaded) == frozenset()
    (answer,) = generate(loaded, [[5, 6, 7]], 4)
    assert len(answer.tokens) == 4
    assert not answer.finished


def test_reasoning_that_the_template_opened_begins_the_text(make_loaded, make_tokenizer):
    loaded = make_loaded()
    plain = generate(loaded, render(loaded.tokenizer, ["Explain the rain"], loaded.chat), 4)
    opening = loaded.tokenizer.chat_template.replace("<assistant>\n", "<assistant>\n<think>\n")
    loaded = LoadedModel(loaded.model, make_tokenizer(opening), "tiny")
    (answer,) = generate(loaded, render(loaded.tokenizer, ["Explain the rain"], loaded.chat), 4)
    assert answer.text.startswith("<think>\n")
    assert has_reasoning(answer.text)
    assert not plain[0].text.startswith("<think>")
