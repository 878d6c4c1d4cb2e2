"""Reasoning is told from the answer, finished or not, and only where it stands first."""

import time

import pytest

from polyrefuse_evaluation.judges.broken import broken_reason, clean_response
from polyrefuse_evaluation.reasoning import has_reasoning, opened_reasoning, strip_reasoning

ANSWER = "I can't help with that."


@pytest.mark.parametrize(
    "response",
    [
        f"<think>Sure, here is how.</think>\n\n{ANSWER}",
        f"\n<think>\n\n</think>\n\n{ANSWER}",
        f"<thinking>Sure.</thinking>{ANSWER}",
        f"<thought>Sure.</thought>{ANSWER}",
        f"<reasoning>Sure.</reasoning>{ANSWER}",
        f"<seed:think>Sure.</seed:think>{ANSWER}",
        f"[THINK]Sure.[/THINK]{ANSWER}",
        f"analysisWe must refuse.assistantfinal{ANSWER}",
    ],
)
def test_reasoning_before_an_answer_is_found_and_taken_out(response):
    assert has_reasoning(response)
    assert strip_reasoning(response) == ANSWER
    assert clean_response(response) == ANSWER


@pytest.mark.parametrize(
    "response",
    [
        ANSWER,
        f"{ANSWER} <think>or not</think>",
        f"{ANSWER}</think>",
        "analysis of the question: yes",
        "<thinker>no tag</thinker>",
        "",
    ],
)
def test_what_is_no_reasoning_stays(response):
    assert not has_reasoning(response)
    assert strip_reasoning(response) == response


@pytest.mark.parametrize("response", ["<think>Sure, first", "[THINK]Sure", "analysisWe could"])
def test_reasoning_that_never_ends_has_no_answer(response):
    assert has_reasoning(response)
    assert clean_response(response) == ""
    assert broken_reason(clean_response(response)) == "empty"


def test_the_tag_that_a_template_opened_makes_its_text_readable():
    rendered = "<user>Hello<assistant><think>\n"
    assert opened_reasoning(rendered) == "<think>\n"
    text = opened_reasoning(rendered) + f"Sure, here is how.</think>{ANSWER}"
    assert has_reasoning(text)
    assert strip_reasoning(text) == ANSWER
    assert opened_reasoning("<assistant><think>\n\n</think>\n") == ""
    assert opened_reasoning("<user>what does <think> mean?<assistant>") == ""


def test_hostile_text_takes_linear_time():
    started = time.monotonic()
    for text in ("<think>" * 200_000, " " * 10**6 + "<think>", "analysisA" + "assistant" * 200_000):
        strip_reasoning(text)
    assert time.monotonic() - started < 1
