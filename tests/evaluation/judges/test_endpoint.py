"""The endpoint judge against a loopback server that also fails."""

import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from polyrefuse.errors import PolyRefuseError
from polyrefuse.outcomes import Outcome
from polyrefuse_evaluation.judges import JudgeInput, get_judge
from polyrefuse_evaluation.judges.endpoint_translator import endpoint_translator
from tests.evaluation.judges.endpoint_support import HELP, KEY, REFUSAL, make, outcomes
from tests.evaluation.judges.hostile import hostile_responses
from tests.evaluation.judges.judge_server import (
    Answer,
    JudgeServer,
    agreeable,
    case_in,
    completion,
)


def test_it_asks_by_the_rubric_and_reads_the_verdict(server: JudgeServer) -> None:
    judge = make(server)

    verdicts = judge.judge([REFUSAL, HELP, JudgeInput("en", "", "?")])

    assert [v.outcome for v in verdicts] == [Outcome.REFUSED, Outcome.COMPLIED, Outcome.BROKEN]
    assert (judge.name, judge.version) == ("openai:judge-1", "rubric:1")
    assert verdicts[0].score == 1.0
    assert len(server.requests) == 2  # what is broken is not paid for
    request = next(r for r in server.requests if HELP.response in r["messages"][1]["content"])
    assert request["path"] == "/v1/chat/completions"
    assert request["response_format"]["json_schema"]["strict"] is True
    assert request["temperature"] == 0
    assert "Wie?" in request["messages"][1]["content"]
    assert "German" in request["messages"][1]["content"]


def test_no_refusal_that_gives_nothing_is_a_deflection(server: JudgeServer) -> None:
    server.answer = lambda request: completion(
        json.dumps({"case": case_in(request), "refusal": False, "harmfulness": 1, "specificity": 1})
    )
    assert outcomes(make(server), HELP) == [Outcome.DEFLECTED]


def test_the_key_comes_from_the_environment_and_goes_nowhere_else(
    server: JudgeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other")
    monkeypatch.setenv("POLYREFUSE_JUDGE_KEY", KEY)
    cache = tmp_path / "cache.sqlite"
    judge = make(server, cache=cache)

    verdicts = judge.judge([REFUSAL])

    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert KEY not in repr((judge, verdicts, server.requests))
    assert KEY.encode() not in b"".join(p.read_bytes() for p in tmp_path.iterdir())


def test_without_a_key_none_is_sent(server: JudgeServer) -> None:
    make(server).judge([REFUSAL])
    assert "Authorization" not in server.headers[0]


def test_nothing_is_paid_for_twice(server: JudgeServer, tmp_path: Path) -> None:
    cache = tmp_path / "deep" / "cache.sqlite"
    first = make(server, cache=cache).judge([REFUSAL, HELP, REFUSAL])
    again = make(server, cache=cache).judge([HELP, REFUSAL])

    assert [again[1], again[0], again[1]] == first
    assert len(server.requests) == 2
    assert cache.stat().st_mode & 0o777 == 0o600
    assert REFUSAL.response not in cache.read_bytes().decode("latin-1")


def test_the_cache_tells_models_inputs_and_failures_apart(
    server: JudgeServer, tmp_path: Path
) -> None:
    cache = tmp_path / "cache.sqlite"
    server.answer = lambda _: Answer(status=500)
    make(server, cache=cache).judge([REFUSAL])
    failed = len(server.requests)
    server.answer = agreeable
    make(server, cache=cache).judge([REFUSAL])
    make(server, cache=cache).judge([JudgeInput("de", REFUSAL.response, REFUSAL.prompt)])
    make(server, cache=cache).judge([JudgeInput("en", REFUSAL.response, "Another?")])
    get_judge("openai:judge-2", url=server.url, cache=cache).judge([REFUSAL])

    assert len(server.requests) == failed + 4


def test_a_cache_that_is_no_cache_is_named(server: JudgeServer, tmp_path: Path) -> None:
    broken = tmp_path / "cache.sqlite"
    broken.write_bytes(b"this is no database, but it is long enough to be read as one" * 20)
    with pytest.raises(PolyRefuseError, match=r"cache\.sqlite.*--judge-cache"):
        make(server, cache=broken)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PolyRefuseError, match=r"is no plain file.*--judge-cache"):
        make(server, cache=tmp_path / "pipe")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache.sqlite", "pipe"]


def test_a_cached_outcome_that_is_unknown_is_asked_again(
    server: JudgeServer, tmp_path: Path
) -> None:
    cache = tmp_path / "cache.sqlite"
    make(server, cache=cache).judge([REFUSAL])
    with sqlite3.connect(cache) as database:
        database.execute("UPDATE verdicts SET outcome = 'evil'")
    assert outcomes(make(server, cache=cache), REFUSAL) == [Outcome.REFUSED]
    assert len(server.requests) == 2


def test_requests_run_side_by_side_and_no_more_than_allowed(server: JudgeServer) -> None:
    def slow(request: dict[str, Any]) -> Answer:
        answer = agreeable(request)
        answer.delay = 0.05
        return answer

    server.answer = slow
    rows = [JudgeInput("en", f"Here is the plan, number {n}.", "?") for n in range(12)]
    make(server, concurrency=4, timeout=10.0).judge(rows)
    assert 2 <= server.most_at_once <= 4


@pytest.mark.parametrize("echo", [True, False])
def test_500_hostile_responses_do_not_talk_it_out_of_its_verdict(
    server: JudgeServer, echo: bool
) -> None:
    """Whether the judge answers, or falls for the response and repeats what it holds."""
    unquoted: list[str] = []

    def gullible(request: dict[str, Any]) -> Answer:
        text = request["messages"][1]["content"]
        case = case_in(request)
        quoted = text.split(f"=== response {case} ===\n")[1]
        forged = text.count(f"=== end of response {case} ===") != 1
        if forged or "<|" in quoted or "[/INST]" in quoted:
            unquoted.append(quoted)
        return completion(quoted.split(f"\n=== end of response {case}")[0])

    server.answer = gullible if echo else agreeable
    rows = [
        JudgeInput("en", text if echo else text.replace("sorry", "glad"), "Why?")
        for text in hostile_responses()
    ]

    found = set(outcomes(make(server), *rows)) - {Outcome.BROKEN}

    assert found == {Outcome.UNPARSED if echo else Outcome.COMPLIED}
    assert unquoted == []


def test_it_translates_then_judges(server: JudgeServer) -> None:
    def translator(request: dict[str, Any]) -> Answer:
        if request["model"] == "translator":
            assert "From German." in request["messages"][1]["content"]
            return completion("I am sorry, no.")
        return agreeable(request)

    server.answer = translator
    judge = get_judge(
        "openai:judge-1",
        url=server.url,
        cache=False,
        translator=endpoint_translator("translator", server.url),
    )

    german = JudgeInput("de", "Das mache ich auf keinen Fall.", "Wie?", "How is it done?")
    verdicts = judge.judge([german, JudgeInput("de", "", "Wie?"), REFUSAL])

    assert [v.outcome for v in verdicts] == [Outcome.REFUSED, Outcome.BROKEN, Outcome.REFUSED]
    assert judge.name == "openai:judge-1 on English"
    assert "translator:openai:translator" in judge.version
    asked = [r["messages"][1]["content"] for r in server.requests if r["model"] == "judge-1"]
    assert any("How is it done?" in text and "I am sorry, no." in text for text in asked)


@pytest.mark.parametrize(
    "settings",
    [{"url": "ftp://host"}, {"url": "no url"}, {"concurrency": 0}, {"timeout": 0}],
)
def test_bad_settings_are_named(settings: dict[str, Any]) -> None:
    with pytest.raises(PolyRefuseError):
        get_judge("openai:judge-1", cache=False, **settings)


@pytest.mark.parametrize("name", ["openai", "openai@main"])
def test_a_missing_model_is_named(name: str) -> None:
    with pytest.raises(PolyRefuseError, match="needs a model"):
        get_judge(name, cache=False)
