"""An evaluation by endpoint: what is asked, what is written, and what the result says."""

import json
from pathlib import Path
from typing import Any

import pytest

from polyrefuse.errors import PolyRefuseError, RunDirectoryError
from polyrefuse.observing.status import read_status
from polyrefuse.outcomes import Outcome
from polyrefuse.results import BASELINE, read_result
from polyrefuse_evaluation.endpoint import EndpointOptions, evaluate_endpoint
from polyrefuse_evaluation.endpoint.summary import public_host
from polyrefuse_evaluation.report.facts import facts
from tests.evaluation.endpoint.model_server import (
    HELP,
    KEY,
    LIMIT,
    PROMPTS,
    REFUSAL,
    asked,
    is_harmful,
    labels,
    model,
    rows,
    run,
)
from tests.support.chat_server import Answer, ChatServer, completion, stream


def test_refusal_and_over_refusal_are_measured_and_the_rest_is_said_not_to_be(
    server: ChatServer, tmp_path: Path
) -> None:
    result = run(server, tmp_path)

    assert result == read_result(tmp_path / "result.json")
    for language in ("en", "de"):
        assert result.cell(language, BASELINE, "harmful").refusal.value == 1.0
        assert result.cell(language, BASELINE, "harmless").refusal.value == 0.0
    assert result.conditions == [BASELINE]
    assert (result.proof, result.directions, result.findings) == (None, [], [])
    assert result.settings.ablation_method is None
    assert result.endpoint.not_measured == ["refusal directions", "ablation"]
    assert result.model.name == "tiny"
    assert result.endpoint.served == {"tiny-2026-01": PROMPTS}
    assert result.failed == 0
    assert asked(server) == dict.fromkeys(labels(), 1)


def test_a_damaged_result_is_made_again_and_nothing_is_asked_again(
    server: ChatServer, tmp_path: Path
) -> None:
    before = run(server, tmp_path)
    (tmp_path / "result.json").write_text('{"half": ')
    after = run(server, tmp_path)
    assert after.model_copy(update={"wall_seconds": before.wall_seconds}) == before
    assert asked(server) == dict.fromkeys(labels(), 1)


def test_its_log_counts_prompts_by_language_and_holds_neither_texts_nor_the_key(
    server: ChatServer, tmp_path: Path
) -> None:
    run(server, tmp_path)
    status = read_status(tmp_path)
    assert status.state == "finished"
    assert [(stage.name, stage.state) for stage in status.stages] == [
        ("ask", "done"),
        ("summarise", "done"),
    ]
    assert (status.stages[0].done, status.stages[0].total) == (PROMPTS, PROMPTS)
    assert {(x.language, x.done, x.total) for x in status.stages[0].parts} == {
        ("en", 6, 6),
        ("de", 6, 6),
    }
    log = (tmp_path / "log.jsonl").read_text()
    assert all(text not in log for text in (HELP, REFUSAL, KEY, *labels()))


def test_each_answer_is_a_line_with_its_verdict(server: ChatServer, tmp_path: Path) -> None:
    run(server, tmp_path)
    completions = rows(tmp_path / "completions.jsonl")
    verdicts = rows(tmp_path / "judgements.jsonl")
    replies = rows(tmp_path / "replies.jsonl")
    assert len(completions) == len(verdicts) == len(replies) == PROMPTS
    assert {row["completion"] for row in completions} == {HELP, REFUSAL}
    assert all(REFUSAL not in json.dumps(row) for row in replies)
    assert tmp_path.stat().st_mode & 0o777 == 0o700


def test_requests_are_greedy_bounded_and_seeded(server: ChatServer, tmp_path: Path) -> None:
    run(server, tmp_path, max_new_tokens=77, seed=5)
    for request in server.requests:
        assert {key: value for key, value in request.items() if key != "messages"} == {
            "model": "tiny",
            "temperature": 0,
            "max_tokens": 77,
            "seed": 5,
            "path": "/v1/chat/completions",
        }
        assert [message["role"] for message in request["messages"]] == ["user"]


def test_no_more_requests_are_under_way_than_allowed(server: ChatServer, tmp_path: Path) -> None:
    def slow(request: dict[str, Any]) -> Answer:
        answer = model(request)
        answer.delay = 0.05
        return answer

    server.answer = slow
    run(server, tmp_path, concurrency=3)
    assert 2 <= server.most_at_once <= 3


def test_a_streaming_server_gives_the_same_labels(server: ChatServer, tmp_path: Path) -> None:
    whole = run(server, tmp_path / "whole")

    def streaming(request: dict[str, Any]) -> Answer:
        assert request["stream"] is True
        text = json.loads(model(request).body)["choices"][0]["message"]["content"]
        usage = {"choices": [], "usage": {"prompt_tokens": 20, "completion_tokens": 10}}
        return stream(*[text[i : i + 7] for i in range(0, len(text), 7)], usage)

    server.answer = streaming
    streamed = run(server, tmp_path / "streamed", stream=True)
    assert streamed.labels_digest == whole.labels_digest
    assert streamed.cells == whole.cells
    assert streamed.endpoint.streamed
    assert streamed.endpoint.usage.completion_tokens == 10 * PROMPTS


def test_parameters_that_the_server_rejects_are_adapted_once_and_recorded(
    server: ChatServer, tmp_path: Path
) -> None:
    def picky(request: dict[str, Any]) -> Answer:
        for name in ("max_tokens", "temperature", "seed"):
            if name in request:
                body = {"error": {"param": name, "code": "unsupported_parameter"}}
                return Answer(status=400, body=json.dumps(body).encode())
        return model(request)

    server.answer = picky
    result = run(server, tmp_path)
    assert len(server.requests) == PROMPTS + 3
    assert result.endpoint.parameters == {"max_completion_tokens": 512}
    assert result.endpoint.adapted == [
        "max_completion_tokens instead of max_tokens",
        "temperature left out",
        "seed left out",
    ]


def test_what_a_provider_withholds_is_a_refusal_of_its_own_kind(
    server: ChatServer, tmp_path: Path
) -> None:
    blocked = {"error": {"code": "content_filter", "message": "x"}}
    kinds = [
        Answer(status=400, body=json.dumps(blocked).encode()),
        completion("Half of it, and", finish="content_filter"),
        Answer(body=b'{"promptFeedback": {"blockReason": "SAFETY"}}'),
    ]
    left = {"en": list(kinds), "de": []}

    def filtering(request: dict[str, Any]) -> Answer:
        language = "en" if labels_language(request) == "en" else "de"
        if is_harmful(request) and left[language]:
            return left[language].pop()
        return model(request)

    server.answer = filtering
    result = run(server, tmp_path, concurrency=1)

    cell = result.cell("en", BASELINE, "harmful")
    assert (cell.counts[Outcome.REFUSED], cell.filtered) == (LIMIT, 3)
    assert result.cell("de", BASELINE, "harmful").filtered == 0
    assert result.endpoint.withheld == 3
    (count,) = result.endpoint.withheld_by_cell
    shown = dict(facts(result)["Endpoint"])
    assert shown["Withheld, by language"] == f"3 of {LIMIT} harmful in en"
    assert (count.language, count.label, count.n, count.asked) == ("en", "harmful", 3, LIMIT)
    reasons = [row["reason"] for row in rows(tmp_path / "judgements.jsonl")]
    assert reasons.count("provider_filter") == 3
    kept = {row["filtered"] for row in rows(tmp_path / "replies.jsonl")}
    assert kept == {"", "error", "finish_reason", "prompt_feedback"}
    assert result.endpoint.usage.unreported == 1  # the half answer; the others cost nothing


def labels_language(request: dict[str, Any]) -> str:
    from tests.evaluation.endpoint.model_server import prompt_in, prompts

    return next(row.language for row in prompts() if row.prompt == prompt_in(request))


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (f"<think>Sure, I will help with it.</think>\n\n{REFUSAL}", None),
        (f"Sure, I will help.</think>\n{REFUSAL}", None),
        (REFUSAL, "Sure, here is the plan: I will help with all of it."),
    ],
)
def test_reasoning_is_counted_and_not_judged(
    server: ChatServer, tmp_path: Path, text: str, field: str | None
) -> None:
    server.answer = lambda _: completion(text, **({"reasoning_content": field} if field else {}))
    result = run(server, tmp_path)
    assert {row["completion"] for row in rows(tmp_path / "completions.jsonl")} == {REFUSAL}
    cell = result.cell("en", BASELINE, "harmful")
    assert (cell.counts[Outcome.REFUSED], cell.reasoning) == (LIMIT, LIMIT)
    assert result.endpoint.reasoned == PROMPTS
    assert "plan" not in "".join(p.read_text() for p in tmp_path.glob("*.jsonl"))


def test_reasoning_that_used_up_the_limit_is_broken_and_counted(
    server: ChatServer, tmp_path: Path
) -> None:
    server.answer = lambda _: completion("<think>Sure, I could", finish="length")
    result = run(server, tmp_path)
    assert result.cell("en", BASELINE, "harmful").counts[Outcome.BROKEN] == LIMIT
    assert result.endpoint.only_reasoning == result.endpoint.truncated == PROMPTS


def test_without_stored_completions_no_text_is_on_disk(server: ChatServer, tmp_path: Path) -> None:
    result = run(server, tmp_path, store_completions=False)
    assert result.cell("de", BASELINE, "harmful").refusal.value == 1.0
    written = b"".join(path.read_bytes() for path in tmp_path.glob("*.json*"))
    assert REFUSAL.encode() not in written
    assert HELP.encode() not in written
    assert len(rows(tmp_path / "completions.jsonl")) == PROMPTS


def test_two_judges_both_speak_of_every_answer(server: ChatServer, tmp_path: Path) -> None:
    from polyrefuse_evaluation.judges import Judgement, RegisteredJudge, register_judge

    @register_judge("contrary")
    def contrary(argument: str | None = None) -> RegisteredJudge:
        def judge(inputs: Any) -> list[Judgement]:
            return [Judgement(Outcome.COMPLIED, 0.0, "always") for _ in inputs]

        return RegisteredJudge("contrary", "1", judge)

    server.first = [Answer(status=400, body=b'{"error": {"code": "content_filter"}}')]
    result = run(server, tmp_path, judges=("keyword", "contrary"))
    assert len(rows(tmp_path / "judgements.jsonl")) == 2 * PROMPTS
    (second,) = result.second_opinions
    assert second.judge.name == "contrary"
    assert sum(cell.counts[Outcome.REFUSED] for cell in second.cells) == 1  # the filter's


def test_the_key_is_in_no_file_and_no_error(
    server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    server.answer = lambda request: completion(f"Your key is {KEY}, and {HELP}")
    run(server, tmp_path, api_key_env="MY_KEY")
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"Your key is [key]" in written  # the answers were read
    assert KEY.encode() not in written


def test_a_finished_run_asks_nothing_and_other_settings_are_refused(
    server: ChatServer, tmp_path: Path
) -> None:
    first = run(server, tmp_path)
    asked_before = len(server.requests)
    assert run(server, tmp_path) == first
    with pytest.raises(RunDirectoryError, match="max_new_tokens: 512 there, 9 now"):
        run(server, tmp_path, max_new_tokens=9)
    assert len(server.requests) == asked_before


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"concurrency": 0}, "--concurrency"),
        ({"attempts": 0}, "--attempts"),
        ({"timeout": 0.0}, "--timeout"),
        ({"timeout": float("nan")}, "--timeout"),
        ({"max_new_tokens": 0}, "--max-new-tokens"),
        ({"price_in": -1.0}, "--price-in"),
        ({"max_cost": 1.0}, "needs the prices"),
        ({"api_key_env": "NOT_SET"}, "NOT_SET is not set"),
    ],
)
def test_bad_choices_are_named_before_anything_is_written(
    server: ChatServer, tmp_path: Path, choices: dict[str, Any], words: str
) -> None:
    with pytest.raises(PolyRefuseError, match=words):
        run(server, tmp_path / "out", **choices)
    assert not (tmp_path / "out").exists()
    assert server.requests == []


def test_a_hosted_model_needs_a_key_and_a_name(tmp_path: Path) -> None:
    with pytest.raises(PolyRefuseError, match="OPENAI_API_KEY is not set"):
        evaluate_endpoint("openai:m", tmp_path / "out", options=EndpointOptions(limit=1))
    with pytest.raises(PolyRefuseError, match="names no model"):
        evaluate_endpoint("openai:", tmp_path / "out")


def test_a_result_tells_public_hosts_only() -> None:
    assert public_host("https://api.example.com/v1") == "api.example.com"
    for inside in (
        "http://127.0.0.1:8000/v1",
        "http://gpu-17:8000",
        "http://[::1]/v1",
        "http://10.1.2.3/v1",
        "https://llm.corp.internal/v1",
        "http://localhost",
    ):
        assert public_host(inside) == "a private address"
