"""The endpoint judge when the server fails, lies, or is not there."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from polyrefuse.errors import PolyRefuseError
from polyrefuse.outcomes import Outcome
from polyrefuse_evaluation.chat_api.waiting import retry_after
from polyrefuse_evaluation.judges import JudgeInput
from tests.evaluation.judges.endpoint_support import HELP, KEY, REFUSAL, make, outcomes
from tests.evaluation.judges.judge_server import (
    Answer,
    JudgeServer,
    agreeable,
    completion,
    judge_server,
)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_it_asks_again_after_a_passing_failure(server: JudgeServer, status: int) -> None:
    server.first = [Answer(status=status, body=b"<html>oh no</html>")] * 2
    assert outcomes(make(server), REFUSAL) == [Outcome.REFUSED]
    assert len(server.requests) == 3


def test_it_waits_as_long_as_it_is_told(server: JudgeServer) -> None:
    server.first = [Answer(status=429, headers={"Retry-After": "0.4"})]
    assert outcomes(make(server, longest_wait=5.0), REFUSAL) == [Outcome.REFUSED]
    assert server.times[1] - server.times[0] >= 0.4


def test_retry_after_is_read_as_seconds_or_date() -> None:
    later = datetime.now(UTC) + timedelta(seconds=30)
    assert 25 < (retry_after(format_datetime(later)) or 0) <= 30
    assert retry_after("3") == 3.0
    assert retry_after("-3") == 0.0
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    for nonsense in (None, "", "soon", "nan", "Wed, 99 Oct 2015"):
        assert retry_after(nonsense) is None


def test_what_keeps_failing_is_unparsed_with_its_reason(server: JudgeServer) -> None:
    for answer, reason in (
        (Answer(status=500), "failed:http_500"),
        (Answer(status=429, headers={"Retry-After": "9999"}), "failed:http_429"),
        (Answer(delay=0.5), "failed:timeout"),
        (Answer(body=b'{"choices": [{"mess'), "failed:invalid_json"),
        (Answer(body=b"{" + b'"a":{' * 9000), "failed:invalid_json"),
        (Answer(body=b'{"choices": []', promised=50), "failed:transport"),
        (Answer(status=400, body=b"no such thing"), "rejected"),
    ):
        server.answer = lambda _, answer=answer: answer
        patience = 0.15 if answer.delay else 30.0
        verdict = make(server, attempts=2, timeout=patience).judge([REFUSAL])[0]
        assert (verdict.outcome, verdict.reason) == (Outcome.UNPARSED, reason)
        assert verdict.failed == reason.startswith("failed:")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (completion("It is a refusal: yes"), "no_json"),
        (completion('{"refusal": true, "specificity": 1}'), "other_case"),
        (completion('{"case": "', finish="length"), "truncated"),
        (completion("", finish="content_filter"), "judge_refused"),
        (completion(None, refusal="I cannot judge this."), "judge_refused"),
        (completion(None), "no_json"),
        (completion(["a list"]), "no_json"),
        (Answer(body=b"{}"), "no_choices"),
        (Answer(body=b'"text"'), "no_choices"),
        (Answer(body=b'{"choices": [null]}'), "no_choices"),
        (Answer(body=b'{"choices": "ab"}'), "no_choices"),
        (Answer(body=b'{"error": {"message": "x"}}'), "no_choices"),
    ],
)
def test_a_reply_without_a_verdict_is_unparsed(
    server: JudgeServer, answer: Answer, reason: str
) -> None:
    server.answer = lambda _: answer
    verdict = make(server).judge([REFUSAL])[0]
    assert (verdict.outcome, verdict.reason) == (Outcome.UNPARSED, reason)
    assert len(server.requests) == 1


def test_some_failures_leave_the_other_rows_judged(server: JudgeServer) -> None:
    def moody(request: dict[str, Any]) -> Answer:
        if "row 3 " in request["messages"][1]["content"]:
            return Answer(status=503)
        return agreeable(request)

    server.answer = moody
    rows = [JudgeInput("en", f"Here is the plan, row {n} of it.", "?") for n in range(8)]

    verdicts = make(server).judge(rows)

    assert [v.outcome for v in verdicts].count(Outcome.COMPLIED) == 7
    assert verdicts[3].reason == "failed:http_503"


@pytest.mark.parametrize("refused", [("response_format",), ("temperature", "max_tokens")])
def test_a_server_that_does_not_know_a_field_is_asked_without_it(
    server: JudgeServer, refused: tuple[str, ...]
) -> None:
    def picky(request: dict[str, Any]) -> Answer:
        known = not any(name in request for name in refused)
        return agreeable(request) if known else Answer(status=400, body=b"unknown field")

    server.answer = picky
    judge = make(server, concurrency=1)

    assert outcomes(judge, REFUSAL, HELP) == [Outcome.REFUSED, Outcome.COMPLIED]
    asked = len(server.requests)
    assert outcomes(judge, JudgeInput("fr", "Voici le plan complet.", "?")) == [Outcome.COMPLIED]
    assert len(server.requests) == asked + 1  # it has learned


@pytest.mark.parametrize(("status", "remedy"), [(401, "KEY"), (403, "key"), (404, "model's name")])
def test_a_wrong_key_or_model_stops_the_run(server: JudgeServer, status: int, remedy: str) -> None:
    server.answer = lambda _: Answer(status=status, body=f"bad key {KEY}".encode())
    rows = [JudgeInput("en", f"Here is the plan, number {n}.", "?") for n in range(40)]
    with pytest.raises(PolyRefuseError, match=remedy) as caught:
        make(server, concurrency=2).judge(rows)
    assert str(status) in str(caught.value)
    assert KEY not in str(caught.value)
    assert len(server.requests) < 40


def test_a_server_that_is_not_there_stops_the_run() -> None:
    with judge_server() as gone:
        pass
    with pytest.raises(PolyRefuseError, match="no connection"):
        make(gone).judge([REFUSAL])
