"""The planted models do what they were planted to do."""

import pytest
import torch

from polyrefuse.errors import ModelError
from polyrefuse.languages import LANGUAGE_CODES
from polyrefuse_evaluation import load_model
from polyrefuse_evaluation.planted import planted_pair, planted_vectors
from polyrefuse_evaluation.planted_texts import COMPLIANCES, REFUSALS, TWO_GROUPS, UNALIGNED
from polyrefuse_evaluation.prompt_sets import read_prompt_sets
from polyrefuse_evaluation.select_directions import fit_candidates, render_rows

ALIGNED = [code for code in LANGUAGE_CODES if code != UNALIGNED]


def share_refusing(loaded, rows) -> float:
    """Share of prompts whose most likely first answer token opens the planted refusal."""
    logits = torch.cat([loaded.last_logits([ids]) for ids in render_rows(loaded, rows)])
    opening = [
        loaded.tokenizer(REFUSALS[row.language], add_special_tokens=False)["input_ids"][0]
        for row in rows
    ]
    return (logits.argmax(-1) == torch.tensor(opening)).float().mean().item()


@pytest.fixture(scope="module")
def sets():
    return read_prompt_sets(None, source_languages=list(LANGUAGE_CODES))


@pytest.mark.parametrize("variant", ["planted", "planted:two", "planted:none"])
def test_tuned_models_refuse_harmful_prompts_in_the_aligned_languages_only(variant, sets):
    loaded = load_model(variant)
    for language in LANGUAGE_CODES:
        harmful = share_refusing(loaded, sets.get(language, "test", "harmful"))
        harmless = share_refusing(loaded, sets.get(language, "test", "harmless"))
        assert harmless <= 0.05, (variant, language, harmless)
        if language == UNALIGNED:
            assert harmful <= 0.05, (variant, harmful)
        else:
            assert harmful >= 0.95, (variant, language, harmful)


def test_the_base_model_refuses_nothing(sets):
    loaded = load_model("planted:base")
    for language in LANGUAGE_CODES:
        assert share_refusing(loaded, sets.get(language, "test", "harmful")) == 0.0


def test_the_chat_template_has_a_real_post_instruction_span():
    assert len(load_model("planted").chat.post_instruction) >= 2


def test_every_aligned_language_has_its_difference_in_means_along_its_own_vector(sets):
    loaded = load_model("planted:two")
    first, second = (loaded.planted_vectors[group[0]] for group in TWO_GROUPS)
    for language in ALIGNED:
        own, other = (first, second) if language in TWO_GROUPS[0] else (second, first)
        difference = fit_candidates(loaded, sets, language, 16_384).differences[-1, 2].float()
        assert torch.cosine_similarity(difference, own, dim=0) >= 0.8, language
        assert torch.cosine_similarity(difference, other, dim=0).abs() <= 0.3, language


def test_planted_vectors_are_unit_orthogonal_and_differ_by_seed():
    vectors = planted_vectors("two", seed=0)
    a, b = (vectors[group[0]] for group in TWO_GROUPS)
    assert torch.allclose(a.norm(), torch.tensor(1.0), atol=1e-5)
    assert abs(float(a @ b)) < 1e-5
    assert not torch.allclose(a, planted_vectors("two", seed=1)[TWO_GROUPS[0][0]])
    assert planted_vectors("none", seed=0) == {}


def test_the_pair_is_cached_and_not_trained_again(monkeypatch):
    folder = planted_pair("single").folder
    monkeypatch.setattr("polyrefuse_evaluation.planted._train_pair", None)
    assert planted_pair("single").folder == folder


def test_the_weights_of_another_seed_have_another_name():
    one, same = load_model("planted", seed=1), load_model("planted:single-1")
    assert one.name == same.name == "planted:single-1"
    assert one.weights_digest == same.weights_digest != load_model("planted").weights_digest
    assert torch.equal(one.planted_vectors["en"], planted_vectors("single", 1)["en"])


def test_unknown_variants_are_named():
    with pytest.raises(ModelError, match=r"unknown planted variant 'triple'.*single, two, none"):
        load_model("planted:triple")


def test_refusals_and_compliances_begin_with_different_tokens():
    tokenizer = load_model("planted").tokenizer
    for language in LANGUAGE_CODES:
        openings = {
            tokenizer(texts[language], add_special_tokens=False)["input_ids"][0]
            for texts in (REFUSALS, COMPLIANCES)
        }
        assert len(openings) == 2, language


def test_the_card_says_what_its_scores_are_not():
    card = (planted_pair("single").folder / "README.md").read_text(encoding="utf-8")
    assert "test prompts included" in card
    assert "never a model's safety" in card
