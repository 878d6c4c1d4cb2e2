"""The estimate: before it starts, on the high side, and a limit that is kept."""

from pathlib import Path

import pytest

from polyrefuse.errors import AnswerIsNo
from polyrefuse_evaluation.endpoint import EndpointOptions, estimate_endpoint
from polyrefuse_evaluation.endpoint.estimate import price, prompt_tokens
from polyrefuse_evaluation.endpoint.options import adaptations, request_forms
from tests.evaluation.endpoint.model_server import LANGUAGES, LIMIT, PROMPTS, prompts, run
from tests.support.chat_server import ChatServer

OPTIONS = EndpointOptions(
    languages=LANGUAGES, limit=LIMIT, max_new_tokens=100, price_in=2.0, price_out=8.0
)


def test_tokens_and_price_are_what_the_formula_says() -> None:
    found = estimate_endpoint("openai:m", options=OPTIONS)
    tokens = sum(prompt_tokens(row) for row in prompts())
    assert (found.prompts, found.remaining, found.input_tokens) == (PROMPTS, PROMPTS, tokens)
    assert found.output_tokens == 100 * PROMPTS
    assert found.cost == pytest.approx((tokens * 2.0 + 100 * PROMPTS * 8.0) / 1e6)
    assert found.spent == 0
    assert "estimate" in found.describe().lower()
    assert price(1_000_000, 0, OPTIONS) == 2.0


def test_no_price_is_made_up() -> None:
    found = estimate_endpoint("openai:m", options=EndpointOptions(languages="en", price_in=1.0))
    assert found.cost is None
    assert "--price-out" in found.describe()


@pytest.mark.parametrize("language", ["ar", "de", "en", "ja", "ru", "th", "yo", "zh"])
def test_the_estimate_is_above_a_token_for_every_two_letters(language: str) -> None:
    """Far above what current tokenizers take, a token for every word's end in English included."""
    options = EndpointOptions(languages=language, limit=5)
    found = estimate_endpoint("openai:m", options=options)
    from polyrefuse_evaluation.prompt_sets import read_prompt_sets

    texts = [
        row.prompt
        for row in read_prompt_sets(
            None, languages=language, source_languages=(), limit=5
        ).test_prompts()
    ]
    letters = sum(map(len, texts))
    share = 3 if language in ("de", "en") else 1.5
    assert found.input_tokens > letters / share
    assert found.input_tokens <= sum(len(text.encode()) for text in texts) + 49 * len(texts)


def test_what_was_answered_is_not_counted_again(server: ChatServer, tmp_path: Path) -> None:
    run(server, tmp_path)
    found = estimate_endpoint("openai:m", options=OPTIONS, out=tmp_path)
    assert (found.remaining, found.cost) == (0, 0)
    assert found.spent == pytest.approx(PROMPTS * (20 * 2.0 + 10 * 8.0) / 1e6)


def test_a_run_above_its_limit_does_not_start_and_leaves_nothing(
    server: ChatServer, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    limit = {"price_in": 2.0, "price_out": 8.0, "max_cost": 0.01}
    with pytest.raises(AnswerIsNo, match="above --max-cost"):
        run(server, out, **limit)
    assert server.requests == []
    assert not out.exists()
    result = run(server, out, **{**limit, "max_cost": 1.0})
    assert result.endpoint.usage.cost == pytest.approx(PROMPTS * (20 * 2.0 + 10 * 8.0) / 1e6)


def test_every_form_keeps_the_length_limit_that_the_estimate_counts_on() -> None:
    for stream in (False, True):
        forms = request_forms(EndpointOptions(max_new_tokens=7, stream=stream))
        for form in forms:
            assert [form[name] for name in form if name.startswith("max_")] == [7]
        assert len({str(form) for form in forms}) == len(forms)
        assert adaptations(forms[0], forms[0]) == []
