"""500 rows against a service that misbehaves on a schedule: none vanishes, every request counts.

What this layer must see is recorded as a failure with its reason; text in a wrong language and
half a text pass here, because one answer alone does not show them: the validation finds those.
"""

from collections import Counter

import pytest

from polyrefuse_builders.translation import RetryPolicy, get_engine, translate_rows

ROWS, REPEATED, TIMEOUT, LAST_HANG = 500, 20, 1.5, 100
POLICY = RetryPolicy(attempts=4)

ONCE = ["wait", "wait_until", "server_error", "hang", "close", "truncated"]
ALWAYS = ["empty", "blank", "null", "unchanged", "refusal", "broken", "wrong_language", "half"]
SCHEDULE = [*ONCE, *ALWAYS, None, None, None]

KIND = {
    "empty": "empty",
    "blank": "empty",
    "null": "empty",
    "unchanged": "unchanged",
    "refusal": "refusal",
    "broken": "server_error",
}


def fault_of(text: str) -> str | None:
    number = int(text.split()[2])
    fault = SCHEDULE[number % len(SCHEDULE)]
    return None if fault == "hang" and number > LAST_HANG else fault


@pytest.fixture
def rows(make_rows):
    texts = [f"Describe object {n} in a few plain words." for n in range(ROWS - REPEATED)]
    return make_rows(texts + texts[:REPEATED])


@pytest.fixture
def misbehaving(service, past_date):
    def fault(text: str, times: int):
        wanted = fault_of(text)
        if wanted in ONCE and times > 1:
            return None
        special = {
            "wait": (429, {"Retry-After": "2"}),
            "wait_until": (429, {"Retry-After": past_date}),
            "server_error": (500, {}),
            "broken": (503, {}),
        }
        return special.get(wanted, wanted)

    service.behaviour.fault = fault
    return service


@pytest.fixture(params=["libretranslate", "openai"])
def engine(request, misbehaving):
    if request.param == "openai":
        base_url = misbehaving.url + "/v1"
        return get_engine("openai", base_url=base_url, model="m", timeout_seconds=TIMEOUT)
    return get_engine("libretranslate", url=misbehaving.url, timeout_seconds=TIMEOUT)


def test_every_row_ends_translated_or_with_its_reason(
    rows, engine, misbehaving, tmp_path, fast_clock, translated
):
    outcome = translate_rows(
        rows, ["es"], engine, tmp_path / "cache.db", policy=POLICY, clock=fast_clock
    )

    assert [row.id for row in outcome.prompts] == [row.id for row in rows]
    for row, english in zip(outcome.prompts, rows, strict=True):
        fault = fault_of(english.prompt_en)
        if fault in KIND:
            assert (row.status, row.prompt) == ("failed", "")
            assert [(c.check, c.verdict) for c in row.qa] == [("translation", "failed")]
        else:
            assert row.status == "ok"
            if fault not in ("wrong_language", "half"):
                assert row.prompt == translated(english.prompt_en)
    expected = Counter(KIND[f] for f in (fault_of(row.prompt_en) for row in rows) if f in KIND)
    assert outcome.reasons() == expected
    assert {f.id for f in outcome.failures} == {r.id for r in outcome.prompts if r.status != "ok"}
    assert all(failure.reason for failure in outcome.failures)

    unique = ROWS - REPEATED
    counts = outcome.counts
    assert counts.asked == unique == len(misbehaving.asked())
    assert counts.requests == len(misbehaving.log) == unique + counts.retries
    schedule = Counter(fault_of(text) for text in misbehaving.asked())
    once = sum(schedule[fault] for fault in ONCE)
    least = once + schedule["broken"] * (POLICY.attempts - 1)
    assert least <= counts.retries <= least + 10  # on a busy machine an honest answer may be late

    again = translate_rows(rows, ["es"], engine, tmp_path / "cache.db")
    assert again.counts.requests == 0
    assert (again.prompts, again.failures) == (outcome.prompts, outcome.failures)
    assert len(misbehaving.log) == counts.requests

    misbehaving.behaviour.fault = None
    retried = translate_rows(rows, ["es"], engine, tmp_path / "cache.db", retry_failed=True)
    failed_texts = {t for t in misbehaving.asked() if fault_of(t) in KIND}
    assert set(misbehaving.log[counts.requests :]) == failed_texts
    assert retried.ok
    late = retried.counts.requests - len(failed_texts)
    assert 0 <= late <= 10  # as above


def test_a_wait_the_service_asks_for_is_kept(service, make_rows, tmp_path, fast_clock):
    """After "Retry-After: 60" to one request, no request at all starts for a minute."""
    service.behaviour.delay = 0.1
    service.behaviour.fault = lambda text, times: (
        (429, {"Retry-After": "60"}) if (text, times) == ("Text number 0.", 1) else None
    )
    engine = get_engine("libretranslate", url=service.url)
    rows = make_rows([f"Text number {n}." for n in range(12)])
    outcome = translate_rows(
        rows, ["es"], engine, tmp_path / "cache.db", concurrency=3, clock=fast_clock
    )
    assert outcome.ok
    waits = [moment - service.behaviour.times[0] for moment in service.behaviour.times]
    assert sum(wait < 0.65 for wait in waits) <= 2 * 3  # those of before the answer
    assert any(60 <= wait <= 61 for wait in fast_clock.waits)


def test_a_service_that_is_down_ends_the_run_but_loses_no_row(
    make_rows, tmp_path, fast_clock, unused_port
):
    engine = get_engine("libretranslate", url=f"http://127.0.0.1:{unused_port}")
    rows = make_rows([f"Text number {n}." for n in range(60)])
    policy = RetryPolicy(attempts=2, give_up_after=5)
    outcome = translate_rows(
        rows, ["de", "es"], engine, tmp_path / "c.db", policy=policy, clock=fast_clock
    )
    assert len(outcome.prompts) == 120
    assert "in a row failed" in outcome.stopped
    reasons = outcome.reasons()
    assert reasons["connection"] < 15
    assert reasons["not_tried"] == 120 - reasons["connection"]
    assert outcome.counts.requests == 2 * reasons["connection"]
    assert any("Run again" in notice for notice in outcome.notices)


@pytest.fixture
def unused_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_wait_of_a_day_ends_the_run_and_is_not_kept_as_a_failure(service, make_rows, tmp_path):
    service.behaviour.fault = lambda text, times: (429, {"Retry-After": "86400"})
    engine = get_engine("libretranslate", url=service.url, max_concurrency=1)
    rows = make_rows([f"Text number {n}." for n in range(10)])
    outcome = translate_rows(rows, ["es"], engine, tmp_path / "cache.db")
    assert outcome.reasons() == {"not_tried": 10}
    assert len(service.log) == 1
    assert "86400 s" in outcome.stopped

    service.behaviour.fault = None
    assert translate_rows(rows, ["es"], engine, tmp_path / "cache.db").ok


def test_no_more_requests_at_once_than_allowed(service, make_rows, tmp_path):
    service.behaviour.delay = 0.1
    engine = get_engine("libretranslate", url=service.url)
    rows = make_rows([f"Text number {n}." for n in range(20)])
    assert translate_rows(rows, ["es"], engine, tmp_path / "c.db", concurrency=3).ok
    assert service.behaviour.most_at_once == 3
    assert translate_rows(rows, ["de"], engine, tmp_path / "c.db", concurrency=99).ok
    assert service.behaviour.most_at_once <= engine.max_concurrency
