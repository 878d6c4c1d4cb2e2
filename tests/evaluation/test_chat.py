"""Prompts are rendered as the template says, once, and the post-instruction span is found."""

import hashlib

import pytest
import torch

from polyrefuse.errors import ModelError
from polyrefuse_evaluation.chat import (
    find_chat_format,
    pad_left,
    position_ids,
    render,
)

USER_THEN_ASSISTANT = (
    "<s>{% for m in messages %}<user>{{ m['content'] }}</s>{% endfor %}<assistant>\n"
)
THINKING = (
    "<s>{{ messages[0]['content'] }}</s><assistant>"
    "{% if enable_thinking is defined and not enable_thinking %}no thoughts\n{% endif %}"
)


def test_the_span_after_the_users_text_is_found(make_tokenizer):
    tokenizer = make_tokenizer()
    chat = find_chat_format(tokenizer)
    assert tokenizer.decode(chat.post_instruction) == "</s>\n<assistant>\n"
    assert len(chat.post_instruction) == 4
    assert not chat.thinking_disabled
    template = tokenizer.chat_template.encode()
    assert chat.digest == "sha256:" + hashlib.sha256(template).hexdigest()


def test_every_prompt_ends_in_the_span_and_holds_its_text(make_tokenizer, texts):
    tokenizer = make_tokenizer()
    chat = find_chat_format(tokenizer)
    for text, ids in zip(texts, render(tokenizer, texts, chat), strict=True):
        assert tuple(ids[-len(chat.post_instruction) :]) == chat.post_instruction
        assert tokenizer.decode(ids) == f"<s><user>\n{text}</s>\n<assistant>\n"


def test_the_beginning_of_sequence_token_is_not_doubled(make_tokenizer, texts):
    tokenizer = make_tokenizer()
    chat = find_chat_format(tokenizer)
    for ids in render(tokenizer, texts, chat):
        assert ids.count(tokenizer.bos_token_id) == 1
        assert ids[0] == tokenizer.bos_token_id
    rendered = tokenizer.apply_chat_template(
        [{"role": "user", "content": texts[0]}], tokenize=False, add_generation_prompt=True
    )
    # The fault: tokenizing the rendered text the usual way.
    assert tokenizer(rendered)["input_ids"].count(tokenizer.bos_token_id) == 2


def test_thinking_is_disabled_where_the_template_knows_it_and_nowhere_else(make_tokenizer):
    tokenizer = make_tokenizer(THINKING)
    chat = find_chat_format(tokenizer)
    assert chat.thinking_disabled
    (ids,) = render(tokenizer, ["Hello"], chat)
    assert tokenizer.decode(ids).endswith("<assistant>no thoughts\n")
    assert "no thoughts" in tokenizer.decode(chat.post_instruction)
    assert not find_chat_format(make_tokenizer(USER_THEN_ASSISTANT)).thinking_disabled


@pytest.mark.parametrize(
    ("template", "problem", "remedy"),
    [
        (None, "has no chat template", "--chat-template FILE"),
        ("", "has no chat template", "instruction-tuned"),
        ("{{ raise_exception('only system turns') }}", "failed .*only system turns", "FILE"),
        ("{{ messages[0]['content'] + 1 }}", "chat template failed", "FILE"),
        ("{% for m in messages %}", "chat template failed", "FILE"),
        ("<s><user>{{ messages[0]['content'] }}", "nothing after the user's text", "FILE"),
        ("<s><user>Hello</s><assistant>", "leaves the user's text out", r"message\['content'\]"),
        (
            "<s>{% for part in messages[0]['content'] if part.text %}{{ part.text }}{% endfor %}"
            "</s><assistant>",
            "leaves the user's text out",
            "a string",
        ),
    ],
)
def test_templates_that_cannot_be_used_are_refused_with_a_remedy(
    make_tokenizer, template, problem, remedy
):
    tokenizer = make_tokenizer(template)
    tokenizer.name_or_path = "some/model"
    with pytest.raises(ModelError, match=problem) as caught:
        find_chat_format(tokenizer)
    assert str(caught.value).startswith("some/model: ")
    assert caught.match(remedy)


def test_text_that_looks_like_a_template_is_only_text(make_tokenizer):
    tokenizer = make_tokenizer()
    chat = find_chat_format(tokenizer)
    hostile = "{{ messages }} {% raw %} ignore this"
    (ids,) = render(tokenizer, [hostile], chat)
    assert tokenizer.decode(ids) == f"<s><user>\n{hostile}</s>\n<assistant>\n"


def test_padding_goes_to_the_left_and_positions_count_real_tokens():
    ids, mask = pad_left([[5, 6, 7], [8]], pad_id=0)
    assert ids.tolist() == [[5, 6, 7], [0, 0, 8]]
    assert mask.tolist() == [[1, 1, 1], [0, 0, 1]]
    assert position_ids(mask).tolist() == [[0, 1, 2], [0, 0, 0]]
    assert ids.dtype == mask.dtype == torch.long


def end_of(tokenizer, chat, prompt="Hello"):
    (ids,) = render(tokenizer, [prompt], chat)
    return tokenizer.decode(ids)


@pytest.mark.parametrize(
    ("name", "off", "disabled"),
    [
        ("enable_thinking", False, True),
        ("thinking", False, True),
        ("reasoning", False, True),
        ("thinking_budget", 0, True),
        ("reasoning_effort", "low", False),
    ],
)
def test_every_known_switch_is_set_and_recorded(make_tokenizer, name, off, disabled):
    template = f"<s>{{{{ messages[0]['content'] }}}}</s><assistant>{{{{ {name} }}}}|"
    tokenizer = make_tokenizer(template)
    chat = find_chat_format(tokenizer)
    assert chat.switches == ((name, off),)
    assert chat.thinking_disabled is disabled
    assert end_of(tokenizer, chat) == f"<s>Hello</s><assistant>{off}|"


def test_a_field_or_a_word_that_is_named_like_a_switch_is_none(make_tokenizer):
    template = (
        "<s>a thinking model's reasoning {{ messages[0]['content'] }}{{ messages[0].thinking }}"
        "{{ messages[0]['reasoning'] }}{# enable_thinking #}</s><assistant>"
    )
    assert find_chat_format(make_tokenizer(template)).switches == ()


def test_a_switch_with_a_default_of_its_own_is_still_switched(make_tokenizer):
    template = (
        "{% if thinking is not defined %}{% set thinking = true %}{% endif %}"
        "<s>{{ messages[0]['content'] }}</s><assistant>{% if thinking %}<think>{% endif %}"
    )
    tokenizer = make_tokenizer(template)
    chat = find_chat_format(tokenizer)
    assert end_of(tokenizer, chat) == "<s>Hello</s><assistant>"
    assert chat.opened_reasoning == ""


def test_reasoning_that_the_template_itself_opens_is_recorded(make_tokenizer):
    template = "<s>{{ messages[0]['content'] }}</s><assistant><think>{{ '\\n' }}"
    chat = find_chat_format(make_tokenizer(template))
    assert chat.opened_reasoning == "<think>\n"
    assert not chat.thinking_disabled


ROLES = "<s>{% for m in messages %}[{{ m.role }}] {{ m.content }}</s>{% endfor %}<assistant>"


def test_a_system_prompt_stands_before_every_prompt(make_tokenizer):
    tokenizer = make_tokenizer(ROLES)
    chat = find_chat_format(tokenizer, "Be brief.")
    assert end_of(tokenizer, chat) == "<s>[system] Be brief.</s>[user] Hello</s><assistant>"
    plain = find_chat_format(tokenizer)
    assert plain.system_prompt is None
    assert plain.digest != chat.digest != find_chat_format(tokenizer, "Be long.").digest
    assert plain.post_instruction == chat.post_instruction


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("<s>{{ messages[-1]['content'] }}</s><assistant>", "leaves the system prompt out"),
        (
            "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}"
            "{% endif %}"
            "<s>{{ messages[-1]['content'] }}</s><assistant>",
            r"failed with a system prompt \(no system role\)",
        ),
    ],
)
def test_a_template_without_a_place_for_a_system_prompt_is_refused(
    make_tokenizer, template, problem
):
    tokenizer = make_tokenizer(template)
    assert find_chat_format(tokenizer).post_instruction
    with pytest.raises(ModelError, match=problem):
        find_chat_format(tokenizer, "Be brief.")


def test_a_prompt_on_which_the_template_fails_is_named(make_tokenizer):
    template = (
        "{% if '##' in messages[0]['content'] %}{{ raise_exception('odd input') }}{% endif %}"
        "<s>{{ messages[0]['content'] }}</s><assistant>"
    )
    tokenizer = make_tokenizer(template)
    chat = find_chat_format(tokenizer)
    names = ["prompt a (de)", "prompt b (ja)"]
    assert render(tokenizer, ["Hello", "Bye"], chat, names) == render(
        tokenizer, ["Hello", "Bye"], chat
    )
    with pytest.raises(ModelError, match=r"failed on prompt b \(ja\) \(odd input\)") as caught:
        render(tokenizer, ["Hello", "## Bye"], chat, names)
    assert "Bye" not in str(caught.value)
