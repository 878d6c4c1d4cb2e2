"""Every prompt ends answered or recorded, whatever the server does, and a rerun asks the rest."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from polyrefuse.errors import AnswerIsNo, PolyRefuseError, RunDirectoryError
from polyrefuse.outcomes import Outcome
from polyrefuse_evaluation.endpoint.asking import Asker
from polyrefuse_evaluation.endpoint.records import REPLIES
from polyrefuse_evaluation.run_directory import RunDirectory
from tests.evaluation.endpoint.model_server import (
    KEY,
    PROMPTS,
    asked,
    is_harmful,
    labels,
    model,
    prompt_in,
    rows,
    run,
)
from tests.support.chat_server import Answer, ChatServer, completion, stream

BAD = [
    Answer(status=429, headers={"Retry-After": "0"}),
    Answer(status=500, body=b"<html>oh no</html>"),
    Answer(delay=3.0),
    Answer(body=b'{"choices": [{"mess'),
    Answer(body=b'{"choices": []}'),
    Answer(body=b'{"error": {"message": "upstream"}}'),
    Answer(body=b'{"choices": [{"message": {"content": "cut', promised=40),
    stream("Half", done=False),
]


def test_every_kind_of_failure_passes_unseen_where_a_later_attempt_succeeds(
    server: ChatServer, tmp_path: Path
) -> None:
    server.first = list(BAD)
    result = run(server, tmp_path, timeout=1.5, attempts=len(BAD) + 1)
    assert result.failed == 0
    assert len(rows(tmp_path / "completions.jsonl")) == PROMPTS
    assert len(server.requests) == PROMPTS + len(BAD)


def test_what_keeps_failing_is_recorded_and_only_that_is_asked_again(
    server: ChatServer, tmp_path: Path
) -> None:
    harmful = [text for text, label in labels().items() if label == "harmful"]
    fate = dict(zip(harmful[:4], (BAD[1], BAD[2], BAD[3], BAD[4]), strict=True))
    server.answer = lambda request: fate.get(prompt_in(request)) or model(request)

    first = run(server, tmp_path, timeout=1.5, attempts=2)

    assert first.failed == 4
    assert sum(cell.counts[Outcome.UNPARSED] for cell in first.cells) == 4
    reasons = {row["reason"] for row in rows(tmp_path / "judgements.jsonl")}
    assert {"failed:http_500", "failed:timeout", "failed:invalid_json", "failed:no_choices"} < (
        reasons
    )
    before = asked(server)
    assert all(before[text] == (2 if text in fate else 1) for text in labels())

    server.answer = model
    second = run(server, tmp_path, timeout=1.5, attempts=2)

    assert second.failed == 0
    again = asked(server) - before
    assert again == dict.fromkeys(fate, 1)
    verdicts = rows(tmp_path / "judgements.jsonl")
    assert len({(row["language"], row["id"]) for row in verdicts}) == len(verdicts) == PROMPTS


def test_a_prompt_that_is_too_long_is_recorded_with_the_server_s_code(
    server: ChatServer, tmp_path: Path
) -> None:
    long = next(text for text, label in labels().items() if label == "harmful")
    body = json.dumps({"error": {"code": "context_length_exceeded", "message": KEY}}).encode()
    server.answer = lambda request: (
        Answer(status=400, body=body) if prompt_in(request) == long else model(request)
    )
    result = run(server, tmp_path)
    assert result.failed == 1
    reasons = {row["reason"] for row in rows(tmp_path / "judgements.jsonl")}
    assert "failed:rejected:context_length_exceeded" in reasons
    assert asked(server)[long] == 1  # it was settled which parameters the server takes


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_wrong_key_or_model_stops_after_one_request(
    server: ChatServer, tmp_path: Path, status: int
) -> None:
    server.answer = lambda _: Answer(status=status)
    with pytest.raises(PolyRefuseError, match=str(status)):
        run(server, tmp_path)
    assert len(server.requests) == 1
    assert not (tmp_path / "result.json").exists()


def test_a_key_that_is_revoked_mid_run_stops_it_and_what_was_answered_stays(
    server: ChatServer, tmp_path: Path
) -> None:
    server.answer = lambda request: (
        model(request) if len(server.requests) <= 5 else Answer(status=401)
    )
    with pytest.raises(PolyRefuseError, match="401"):
        run(server, tmp_path, concurrency=2)
    kept = len(rows(tmp_path / "completions.jsonl"))
    assert kept == 5
    server.answer = model
    asked_before = asked(server)
    run(server, tmp_path)
    assert (asked(server) - asked_before).total() == PROMPTS - kept


def test_a_server_that_rejects_everything_stops_the_run(server: ChatServer, tmp_path: Path) -> None:
    server.answer = lambda _: Answer(status=400, body=b"I take nothing")
    with pytest.raises(PolyRefuseError, match="in every form"):
        run(server, tmp_path)
    assert len(asked(server)) == 3


def test_a_server_that_is_down_is_not_asked_for_every_prompt(
    server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polyrefuse_evaluation.endpoint.asking.LEAST_FAILURES_IN_A_ROW", 4)
    server.answer = lambda request: Answer(status=503) if is_harmful(request) else model(request)
    result = run(server, tmp_path / "half", concurrency=1, attempts=1)
    assert result.failed == PROMPTS // 2  # three in a row at most: each is recorded
    server.answer = lambda _: Answer(status=503)
    with pytest.raises(AnswerIsNo, match="4 requests in a row failed"):
        run(server, tmp_path / "down", concurrency=1, attempts=1)


def test_a_provider_that_filters_everything_is_an_answer(
    server: ChatServer, tmp_path: Path
) -> None:
    server.answer = lambda _: Answer(status=400, body=b'{"error": {"code": "content_filter"}}')
    result = run(server, tmp_path)
    assert (result.failed, result.endpoint.withheld) == (0, PROMPTS)
    assert len(server.requests) == PROMPTS
    assert run(server, tmp_path) == result


def test_a_judge_that_fails_is_asked_again_and_the_model_is_not(
    server: ChatServer, tmp_path: Path
) -> None:
    from polyrefuse_evaluation.judges import Judgement, RegisteredJudge, register_judge

    moody: list[Any] = [Judgement(Outcome.UNPARSED, None, "failed:timeout")]

    @register_judge("moody")
    def factory(argument: str | None = None) -> RegisteredJudge:
        return RegisteredJudge("moody", "1", lambda inputs: [moody[0]] * len(inputs))

    first = run(server, tmp_path, judges=("moody",))
    assert first.failed == PROMPTS
    moody[0] = Judgement(Outcome.REFUSED, 1.0, "said so")
    second = run(server, tmp_path, judges=("moody",))
    assert second.failed == 0
    assert len(server.requests) == PROMPTS


def test_hostile_answers_are_data(server: ChatServer, tmp_path: Path) -> None:
    texts = ["\x00\x1b[31m", "a\ud83d", "]]>\u2028</script>", "{{ 7*7 }}", "", " ", "\n" * 9]
    server.answer = lambda request: completion(texts[len(server.requests) % len(texts)])
    result = run(server, tmp_path)
    assert result.failed == 0
    assert len(rows(tmp_path / "completions.jsonl")) == PROMPTS


@pytest.mark.parametrize("name", ["replies.jsonl", "completions.jsonl", "judgements.jsonl"])
def test_a_torn_line_costs_at_most_the_answer_it_was(
    server: ChatServer, tmp_path: Path, name: str
) -> None:
    """A kill in the middle of a write: a judgement is made again, an answer asked again."""
    first = run(server, tmp_path)
    (tmp_path / "result.json").unlink()
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:-9])
    before = len(server.requests)
    again = run(server, tmp_path)
    assert len(server.requests) - before == (0 if name == "judgements.jsonl" else 1)
    assert again.labels_digest == first.labels_digest
    for each in ("replies.jsonl", "completions.jsonl", "judgements.jsonl"):
        found = rows(tmp_path / each)
        assert len({(row["language"], row["id"]) for row in found}) == len(found) == PROMPTS


def test_an_interrupted_run_keeps_what_was_under_way(
    server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from polyrefuse_evaluation.endpoint.store import AnswerStore

    judge, judged = AnswerStore.judge, []

    def interrupted(store: Any, answers: Any) -> None:
        judged.append(answers)
        if len(judged) == 3:
            raise KeyboardInterrupt
        judge(store, answers)

    monkeypatch.setattr(AnswerStore, "judge", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(server, tmp_path, concurrency=2)
    monkeypatch.setattr(AnswerStore, "judge", judge)
    paid = asked(server)
    assert len(rows(tmp_path / "completions.jsonl")) == paid.total()
    assert run(server, tmp_path).failed == 0
    assert asked(server) == dict.fromkeys(labels(), 1)


def test_nothing_more_is_asked_once_an_answer_could_not_be_written(
    server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread whose write fails does not go on to the next prompt, however late this is seen."""
    append, written = RunDirectory.append, []

    def fails_after_some(self: RunDirectory, name: str, records: Any) -> None:
        if name == REPLIES:
            written.append(name)
            if len(written) > 5:
                raise RunDirectoryError("replies.jsonl: cannot be written.", "Free some space.")
        append(self, name, records)

    seen_late = Asker._finish
    monkeypatch.setattr(RunDirectory, "append", fails_after_some)
    monkeypatch.setattr(
        Asker, "_finish", lambda self, answers: (time.sleep(0.3), seen_late(self, answers))[1]
    )
    with pytest.raises(RunDirectoryError, match="cannot be written"):
        run(server, tmp_path, concurrency=2)
    assert 5 < len(server.requests) <= 5 + 2
