"""Asking the model again: what it catches, and with which probability."""

import json
import random
from dataclasses import replace

import pytest
import torch
from scipy.stats import binomtest

from polyrefuse.errors import PolyRefuseError
from polyrefuse.outcomes import Outcome
from polyrefuse_evaluation import Options, evaluate
from polyrefuse_evaluation.judges import get_judge
from polyrefuse_evaluation.leaderboard.rescore import caught_share, compare, draw, rescore
from polyrefuse_evaluation.leaderboard.submission import make_submission
from polyrefuse_evaluation.leaderboard.verify import verify
from tests.evaluation.leaderboard.conftest import HELP, REFUSAL, Forgery, digest

KEYWORD = get_judge("keyword")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Tiny matrices are slower on several threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def planted(one_thread, tmp_path_factory):
    """Return the verdict on an honest submission of the planted model."""
    out = tmp_path_factory.mktemp("planted")
    options = Options(languages="en,yo", source_languages="en", limit=2, max_new_tokens=24)
    evaluate("planted", out / "run", options=options)
    [verdict] = verify([make_submission(out / "run", out / "submissions").path])
    assert verdict.accepted
    return verdict


@pytest.fixture(scope="module")
def truth(planted):
    """Return every completion of the planted model, generated again once, under all conditions."""
    from polyrefuse_evaluation.leaderboard.regenerate import load_submitted, regenerate

    loaded = load_submitted(planted.result)
    return regenerate(loaded, planted.sets, planted.result, draw(planted.rows, 10_000, 0))


def prompts_of(verdict):
    return {(row.language, row.id): row for row in verdict.sets.test_prompts()}


def ask_again(verdict, rows, truth, n, seed, **options):
    drawn = {key: truth[key] for key in draw(rows, n, seed)}
    return compare(rows, drawn, prompts_of(verdict), KEYWORD, seed=seed, **options)


def forge(rows, share, seed):
    """Flip a share of the labels as a careful forger does: score and digest go with them."""
    chosen = set(random.Random(seed).sample(range(len(rows)), round(share * len(rows))))
    forged = []
    for at, row in enumerate(rows):
        if at in chosen:
            refused = row.outcome is Outcome.REFUSED
            outcome = Outcome.COMPLIED if refused else Outcome.REFUSED
            score = 0.01 if refused else 0.99
            row = replace(row, outcome=outcome, score=score, sha256=digest(f"{seed} {at}"))
        forged.append(row)
    return forged


def test_an_honest_submission_comes_out_the_same_in_every_condition(planted, truth):
    found = ask_again(planted, planted.rows, truth, 1000, seed=1)
    assert found.n == len({row.completion for row in planted.rows}) == 24
    assert found.same_label == found.same_text == 24
    assert [name for name, _ in found.conditions] == ["ablate:en", "ablate:random", "baseline"]
    assert found.problems == []


def test_a_consistent_forgery_is_accepted_by_verify_and_caught_by_asking_again(planted, tmp_path):
    folder = planted.where.rpartition("/")[2]
    forgery = Forgery(
        folder,
        json.loads(planted.manifest.model_dump_json()),
        planted.result.model_dump(mode="json"),
        forge(planted.rows, 0.5, seed=3),
        seal="all",
    )
    forgery.files = lambda: _files(forgery, planted)
    [verdict] = verify([forgery.write(tmp_path)])
    assert verdict.accepted, verdict.problems
    assert verdict.result.averages != planted.result.averages
    found = rescore(verdict, 8, seed=5)
    assert found.n == 8
    assert found.same_label < 8
    assert "labels came out otherwise" in str(found.problems[0])
    assert rescore(planted, 3, seed=5).problems == []


def _files(forgery, planted):
    from polyrefuse_evaluation.leaderboard.labels import write_labels
    from polyrefuse_evaluation.leaderboard.recompute import recompute
    from polyrefuse_evaluation.leaderboard.schema import LABELS, MANIFEST, RESULT, file_record
    from polyrefuse_evaluation.statistics import validated_ok

    made = recompute(forgery.rows, planted.result, validated_ok(planted.sets.test_prompts()))
    contents = {RESULT: made.model_dump_json().encode(), LABELS: write_labels(forgery.rows)}
    records = {name: file_record(content) for name, content in contents.items()}
    manifest = planted.manifest.model_copy(update={"files": records})
    return contents | {MANIFEST: manifest.model_dump_json().encode()}


@pytest.mark.parametrize(("share", "n"), [(0.125, 3), (0.25, 5), (0.5, 2)])
def test_a_share_f_is_caught_by_n_with_probability_1_minus_1_minus_f_to_the_n(
    planted, truth, share, n
):
    tries = 300
    caught = 0
    for seed in range(tries):
        rows = forge(planted.rows, share, 10_000 + seed)  # not the seed of the draw
        caught += bool(ask_again(planted, rows, truth, n, seed).problems)
    # None is drawn twice, so the formula is a lower bound, close for a small sample.
    expected = 1 - (1 - share) ** n
    assert binomtest(caught, tries, expected, alternative="less").pvalue > 0.001
    assert caught / tries < expected + 0.15


def test_a_check_that_looks_at_digests_alone_would_miss_flipped_labels(planted, truth):
    """The mutation: labels are flipped, digests kept. Only the judge's second verdict shows it."""
    rows = [replace(row, outcome=Outcome.DEFLECTED, score=0.9) for row in planted.rows]
    found = ask_again(planted, rows, truth, 6, seed=0)
    assert found.same_text == 6
    assert len(found.forged) == 6
    assert "the judge says otherwise of the same text" in str(found.problems[0])


def test_the_share_that_is_caught_with_95_percent_probability():
    assert caught_share(1) == pytest.approx(0.95)
    assert caught_share(59) == pytest.approx(0.0495, abs=1e-3)
    for n in (1, 7, 100):
        assert 1 - (1 - caught_share(n)) ** n == pytest.approx(0.95)
    assert caught_share(100, allowed=5) > caught_share(100)
    assert caught_share(3, allowed=3) == 1.0


def test_a_tolerance_lets_differing_texts_pass_and_never_the_same_text(planted, truth):
    rows = forge(planted.rows, 0.25, seed=0)
    strict = ask_again(planted, rows, truth, 24, seed=0)
    assert len(strict.differing) == 6
    assert strict.problems
    loose = ask_again(planted, rows, truth, 24, seed=0, tolerance=0.25)
    assert (loose.allowed, loose.problems) == (6, [])
    assert loose.caught_share > strict.caught_share
    kept = [replace(row, outcome=Outcome.DEFLECTED) for row in planted.rows]
    assert ask_again(planted, kept, truth, 24, seed=0, tolerance=1.0).problems


def test_the_draw_is_seeded_and_over_all_conditions(planted):
    assert draw(planted.rows, 5, 1) == draw(planted.rows, 5, 1) != draw(planted.rows, 5, 2)
    assert len(set(draw(planted.rows, 24, 1))) == 24


def test_another_model_under_the_name_is_found_before_anything_is_generated(planted):
    wrong = planted.result.model.model_copy(update={"weights_digest": digest("x")})
    verdict = replace(planted, result=planted.result.model_copy(update={"model": wrong}))
    found = rescore(verdict, 3, seed=0)
    assert found.n == 0
    assert "another model: weights: submitted sha256:" in str(found.problems[0])


def test_what_cannot_be_rescored_says_so(planted):
    endpoint = planted.result.model.model_copy(update={"endpoint": "api.example.com"})
    behind = planted.result.model_copy(update={"model": endpoint})
    assert "endpoint" in rescore(replace(planted, result=behind), 3, seed=0).note
    assert "rejected" in rescore(replace(planted, result=None), 3, seed=0).note
    judge = planted.result.settings.judge.model_copy(update={"version": "0"})
    settings = planted.result.settings.model_copy(update={"judges": [judge]})
    other = replace(planted, result=planted.result.model_copy(update={"settings": settings}))
    with pytest.raises(PolyRefuseError, match="same version of the judge"):
        rescore(other, 3, seed=0)


def test_the_canned_answers_of_these_tests_are_judged_as_they_should_be(run_dir):
    texts = {
        json.loads(line)["completion"].strip() for line in (run_dir / "completions.jsonl").open()
    }
    assert texts == {REFUSAL, HELP}
