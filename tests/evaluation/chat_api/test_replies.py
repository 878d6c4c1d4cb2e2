"""Replies are read whole or streamed, with reasoning apart, and damage is seen."""

import json
from typing import Any

import pytest

from polyrefuse_evaluation.chat_api.replies import (
    CutError,
    Reply,
    Usage,
    is_stream,
    read_body,
    read_reply,
)
from tests.support.chat_server import Answer, completion, stream


def body_of(answer: Answer) -> bytes:
    return answer.body + b"".join(answer.pieces)


def streamed(*chunks: Any, **changes: Any) -> Reply:
    return read_reply(read_body("text/event-stream", body_of(stream(*chunks, **changes))))


def end(finish: str = "stop") -> dict[str, Any]:
    return {"choices": [{"delta": {}, "finish_reason": finish}]}


def test_a_stream_is_the_reply_it_makes_up() -> None:
    usage = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
    reply = streamed("Hel", "lo.", {**end(), "model": "m-1"}, usage)
    assert reply == Reply("Hello.", finish="stop", model="m-1", usage=Usage(3, 2))


def test_a_stream_may_have_comments_odd_lines_and_no_last_blank_line() -> None:
    text = (
        ": keep-alive\r\n\r\nevent: message\r\nid: 1\r\n"
        'data: {"choices": [{"delta": {"role": "assistant", "content": "Hi"}}]}\r\n\r\n'
        'data: {"choices": [{"delta": {"content": null}}]}\n\n'
        'data:{"choices": [{"delta": {"content": "!"}, "finish_reason": "stop"}]}'
    )
    assert read_reply(read_body("text/plain", text.encode()[16:])).text == "Hi!"
    assert read_reply(read_body("text/event-stream", text.encode())).text == "Hi!"


def test_a_stream_that_was_not_asked_for_is_read_and_json_in_its_place_too() -> None:
    assert is_stream("application/json", b"\ndata: {}")
    assert not is_stream("application/json", b'{"choices": []}')
    assert read_reply(read_body("application/json", completion("Hi").body)).text == "Hi"


def test_a_stream_without_its_end_is_cut_not_an_answer() -> None:
    with pytest.raises(CutError):
        streamed("Half an ans", done=False)
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        read_body("text/event-stream", b'data: {"choices": [{"del\n\ndata: [DONE]\n\n')
    assert streamed("Whole.", end(), done=False).text == "Whole."
    assert streamed("Whole.").text == "Whole."


def test_an_error_inside_a_stream_is_the_error() -> None:
    body = read_body("text/event-stream", body_of(stream("Half", {"error": {"code": 502}})))
    assert body == {"error": {"code": 502}}


def test_letters_cut_apart_by_chunks_are_joined_and_single_halves_replaced() -> None:
    whole = json.dumps("😀")  # two surrogates
    first, second = json.loads(f'"{whole[1:7]}"'), json.loads(f'"{whole[7:13]}"')
    assert streamed("a", first, second, "b").text == "a😀b"
    assert streamed("a", first, "b").text == "a\ufffdb"


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_stays_out_of_the_text(field: str) -> None:
    whole = read_reply(json.loads(completion("No.", **{field: "Should I?"}).body))
    chunk = {"choices": [{"delta": {field: "Should I?"}}]}
    for reply in (whole, streamed(chunk, "No.", end())):
        assert (reply.text, reply.reasoning) == ("No.", len("Should I?"))


def test_parts_are_joined_and_thinking_parts_are_reasoning() -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
        {"type": "text", "text": "No."},
        "odd",
        {"type": "image"},
    ]
    reply = read_reply(json.loads(completion(parts).body))
    assert (reply.text, reply.reasoning) == ("No.", 3)


@pytest.mark.parametrize(
    ("answer", "filtered", "text"),
    [
        (completion("Half", finish="content_filter"), "finish_reason", "Half"),
        (completion(None, refusal="I won't."), "refusal_field", "I won't."),
        (completion("Fine.", refusal="odd"), "", "Fine."),
        (Answer(body=b'{"promptFeedback": {"blockReason": "SAFETY"}}'), "prompt_feedback", ""),
        (Answer(body=b'{"choices": [{"finish_reason": "safety"}]}'), "prompt_feedback", ""),
        (completion("No."), "", "No."),
    ],
)
def test_what_a_filter_did_is_told_apart(answer: Answer, filtered: str, text: str) -> None:
    reply = read_reply(json.loads(answer.body))
    assert (reply.filtered, reply.text) == (filtered, text)


def test_a_filter_in_a_stream() -> None:
    assert streamed("Half", end("content_filter")).filtered == "finish_reason"
    assert streamed({"promptFeedback": {"blockReason": "X"}}, done=False).filtered != ""
    assert streamed({"choices": [{"delta": {"refusal": "No."}}]}, end()).filtered != ""


@pytest.mark.parametrize(
    "usage", [None, [], {}, {"prompt_tokens": "3"}, {"prompt_tokens": -1}, {"prompt_tokens": True}]
)
def test_usage_that_is_none_is_not_made_up(usage: object) -> None:
    assert read_reply({"usage": usage}).usage == Usage()


def test_reasoning_tokens_are_read_from_either_place() -> None:
    inside = {"completion_tokens_details": {"reasoning_tokens": 7}}
    assert read_reply({"usage": inside}).usage.reasoning == 7
    assert read_reply({"usage": {"reasoning_tokens": 8}}).usage.reasoning == 8
