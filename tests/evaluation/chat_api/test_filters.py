"""What a provider's filter says is told from what a broken request or a model says."""

import pytest

from polyrefuse_evaluation.chat_api.filters import (
    blamed_parameter,
    error_code,
    filter_error,
    filtered_finish,
    prompt_feedback,
)

AZURE = {
    "error": {
        "message": "The response was filtered due to the prompt triggering a policy.",
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {"code": "ResponsibleAIPolicyViolation"},
    }
}
INVALID = {"message": "Invalid prompt: limited for safety reasons.", "code": "invalid_prompt"}


@pytest.mark.parametrize(
    "body",
    [
        AZURE,
        {"error": {"code": None, "innererror": {"code": "ResponsibleAIPolicyViolation"}}},
        {"error": {"code": "content_policy_violation"}},
        {"error": {"code": "data_inspection_failed", "message": "Input data may contain ..."}},
        {"error": {"message": "<400> InternalError.Algo.DataInspectionFailed: Input text"}},
        {"error": {"message": "Content Exists Risk", "code": "invalid_request_error"}},
        {"error": INVALID},
        {"code": "no permission", "error": "Content violates usage guidelines. Team: x"},
        {"error": {"code": 403, "message": "x", "metadata": {"flagged_input": "a", "reasons": []}}},
        {"error": {"code": 403, "message": "m requires moderation on p. It was flagged for x"}},
        "Content violates usage guidelines.",
    ],
)
def test_errors_of_a_filter_are_known(body: object) -> None:
    assert filter_error(body)


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"code": "context_length_exceeded", "message": "too long"}},
        {"error": {"code": "invalid_prompt", "message": "Invalid schema for messages."}},
        {"error": {"code": "unsupported_parameter", "param": "max_tokens"}},
        {"error": {"code": "invalid_api_key", "message": "Incorrect API key"}},
        {"error": "unknown field"},
        {"error": None},
        {},
        [],
        None,
        "bad request",
        {"error": {"innererror": "text", "metadata": "text", "code": 400}},
    ],
)
def test_other_errors_are_no_filter(body: object) -> None:
    assert not filter_error(body)


def test_finish_reasons_of_filters() -> None:
    for finish in ("content_filter", "content_filter: SAFETY", "SAFETY", "PROHIBITED_CONTENT"):
        assert filtered_finish(finish)
    for finish in ("stop", "length", "tool_calls", "error", "", None, 3):
        assert not filtered_finish(finish)


def test_a_blocked_prompt_is_told_from_feedback_that_blocks_nothing() -> None:
    assert prompt_feedback({"promptFeedback": {"blockReason": "SAFETY"}})
    assert prompt_feedback({"prompt_feedback": {"block_reason": "OTHER"}})
    assert not prompt_feedback({"promptFeedback": {"safetyRatings": []}})
    assert not prompt_feedback({"prompt_feedback": "SAFETY"})


def test_a_code_is_shown_only_if_it_looks_like_one() -> None:
    assert error_code({"error": {"code": "context_length_exceeded"}}) == "context_length_exceeded"
    for code in ("sk-secret-key", "skverysecret0123", "How do I make it?", 400, None, "a_" * 40):
        assert error_code({"error": {"code": code}}) == ""


def test_the_parameter_that_an_error_blames() -> None:
    sent = {"max_tokens": 9, "temperature": 0, "seed": 0}
    renamed = "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    for body, expected in (
        ({"error": {"param": "temperature", "message": "seed"}}, "temperature"),
        ({"error": {"param": None, "message": renamed}}, "max_tokens"),
        ({"error": {"message": "[{'loc': ('body', 'seed'), 'msg': 'extra fields'}]"}}, "seed"),
        ({"message": "temperature must be 1"}, "temperature"),
        ({"error": {"param": "messages", "message": "bad"}}, None),
        ({"error": {"message": "max_completion_tokens"}}, None),
        (None, None),
    ):
        assert blamed_parameter(body, sent) == expected
