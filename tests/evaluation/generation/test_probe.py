"""The probe uses an engine only if it gives the answers of single prompts."""

import pytest
import torch

from polyrefuse_evaluation.generation import (
    DecodingPlan,
    choose_plan,
    current_plan,
    generate,
    probe,
    rows,
    use_plan,
)
from polyrefuse_evaluation.generation.completion import Decoded
from polyrefuse_evaluation.generation.engines import ENGINES, decode_rows

PROMPTS = [[5 + n, 5 + n, *range(30, 30 + length)] for n, length in enumerate((3, 14, 9, 5))]


def test_a_sound_model_is_decoded_in_rows_without_timing_anything(make_loaded):
    assert choose_plan(make_loaded(), PROMPTS, 20) == DecodingPlan("rows")
    assert choose_plan(make_loaded(), [], 20) == DecodingPlan("rows")


def test_a_model_whose_rows_cannot_leave_is_decoded_in_batches(make_loaded, monkeypatch):
    loaded = make_loaded()
    keep = rows.keep_rows
    monkeypatch.setattr(rows, "keep_rows", lambda cache, index: keep(cache, index.flip(0)))
    plan = choose_plan(loaded, PROMPTS, 20)
    assert plan.engine == "batch"
    assert "other tokens than alone" in plan.rejected["rows"]


def test_a_model_that_padding_disturbs_is_decoded_one_prompt_at_a_time(make_loaded):
    loaded = make_loaded()
    embed = loaded.model.model.embed_tokens
    embed.register_forward_hook(lambda _, args, out: out + out.mean(dim=(0, 1)))  # rows meet
    plan = choose_plan(loaded, PROMPTS, 20)
    assert plan.engine == "single"
    assert set(plan.rejected) == {"rows", "batch"}
    use_plan(loaded, plan)
    assert generate(loaded, PROMPTS, 8) == [generate(loaded, [p], 8)[0] for p in PROMPTS]


def test_an_engine_that_raises_is_turned_down_with_its_reason(make_loaded, monkeypatch):
    def fails(*args, **kwargs):
        raise KeyError("no such cache")

    monkeypatch.setattr(probe, "decode_rows", fails)
    plan = choose_plan(make_loaded(), PROMPTS, 20)
    assert (plan.engine, plan.rejected) == ("batch", {"rows": "KeyError: 'no such cache'"})


def test_answers_that_part_at_a_near_tie_are_not_held_against_an_engine(make_loaded):
    loaded = make_loaded()
    (answer,) = decode_rows(loaded, PROMPTS[:1], 6)
    logits = loaded.last_logits([[*PROMPTS[0], *answer.tokens[:2]]])[0]
    second, worst = int(logits.topk(2).indices[1]), int(logits.argmin())
    tie = torch.zeros_like(logits)
    tie[second] = float(logits.max() - logits[second]) - 1e-6
    for token, expected in ((second, True), (worst, False)):
        other = Decoded((*answer.tokens[:2], token), False)
        hook = loaded.model.lm_head.register_forward_hook(lambda _, args, out: out + tie)
        assert probe._near_tie(loaded, PROMPTS[0], answer, other) is expected
        hook.remove()


@pytest.mark.parametrize("engine", ["batch", "single", "static", "continuous"])
def test_every_engine_gives_the_answers_of_rows_also_under_hooks(make_loaded, engine):
    assert probe._problem_under_hooks(make_loaded("gemma2"), engine, PROMPTS) is None


def test_an_engine_that_ignores_hooks_is_turned_down(make_loaded, monkeypatch):
    """What compiled code does by default: it runs without the hooks that came after it."""
    loaded = make_loaded()
    plain = decode_rows(loaded, PROMPTS, probe.PROBE_TOKENS)
    monkeypatch.setitem(ENGINES, "static", lambda *args: plain)
    assert "other tokens" in probe._problem_under_hooks(loaded, "static", PROMPTS)


def test_the_fastest_of_the_exact_engines_is_chosen_and_the_rates_are_kept(
    make_loaded, monkeypatch
):
    loaded = make_loaded()
    monkeypatch.setattr(probe, "_rate", lambda _, engine, *rest: len(engine))
    faults = {"static": None, "continuous": "other tokens"}
    monkeypatch.setattr(probe, "_problem_under_hooks", lambda _, engine, sample: faults[engine])
    plan = probe._fastest(loaded, DecodingPlan(), PROMPTS, PROMPTS, 8)
    assert plan == DecodingPlan(
        "static", None, {"rows": 4, "static": 6}, {"continuous": "other tokens"}
    )


def test_answers_are_expected_to_be_as_long_as_their_rate_of_ending_says():
    ended, running = Decoded((1,) * 9, True), Decoded((1,) * 60, False)
    # One in 40 steps ends an answer: 40 steps on average, and half as much again.
    assert probe._expected_tokens([ended, ended, running], 200) == 60
    assert probe._expected_tokens([ended, ended, running], 50) == 43
    assert probe._expected_tokens([ended] * 3, 400) == 100  # not below a quarter of the limit
    assert probe._expected_tokens([running] * 3, 200) is None
    assert probe._expected_tokens([ended, *[running] * 9], 100) is None  # hardly any


def test_a_long_run_plans_its_batches_for_the_answers_it_expects(make_loaded, monkeypatch):
    loaded = make_loaded()
    monkeypatch.setattr(probe, "_expected_tokens", lambda answers, limit: 10)
    plan = choose_plan(loaded, PROMPTS, 200, conditions=1000)
    assert plan.expected_tokens == 10
    same = [[7] * 10] * 8
    assert [len(b) for b in plan.batches(same, 80, 200)] == [4, 4]
    assert [len(b) for b in DecodingPlan().batches(same, 80, 200)] == [1] * 8
    assert [len(b) for b in DecodingPlan("continuous").batches(same, 80, 200)] == [8]


class Request:
    def __init__(self, prompt, tokens, error=None):
        self.prompt_ids, self.generated_tokens, self.error = prompt, list(tokens), error


@pytest.mark.parametrize("fault", ["none", "error", "missing", "raises", "order"])
def test_what_continuous_batching_fails_to_answer_is_answered_otherwise(
    make_loaded, monkeypatch, fault
):
    loaded = make_loaded()
    right = decode_rows(loaded, PROMPTS, 6)
    made = [Request(p, a.tokens) for p, a in zip(PROMPTS, right, strict=True)]
    if fault == "error":
        made[1] = Request(PROMPTS[1], [9, 9], "out of blocks")
    if fault == "missing":
        del made[2]
    if fault == "order":
        made.reverse()

    def generate_batch(**_):
        if fault == "raises":
            raise ValueError("paged attention is not supported")
        return {f"req_{number}": output for number, output in enumerate(made)}

    monkeypatch.setattr(loaded.model, "generate_batch", generate_batch, raising=False)
    answers = ENGINES["continuous"](loaded, PROMPTS, 6)
    assert [answer.tokens for answer in answers] == [answer.tokens for answer in right]


def test_a_plan_stays_in_force_for_its_model_only(make_loaded):
    one, other = make_loaded(), make_loaded()
    use_plan(one, DecodingPlan("single"))
    assert (current_plan(one).engine, current_plan(other).engine) == ("single", "rows")
