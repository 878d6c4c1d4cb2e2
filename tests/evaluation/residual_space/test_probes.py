"""Probes: held-out, with a null that respects languages and translations."""

import numpy as np
import pytest
import torch

from polyrefuse_evaluation.residual_space.probes import (
    LabelledScores,
    auroc,
    best_threshold,
    orthogonal_direction,
    probe,
)


def rows(prompts, languages, gap=0.0, seed=0, language_effect=0.0, shared=0.0):
    """Labelled scores of a grid of prompts x languages; `shared` noise belongs to the prompt."""
    random = np.random.default_rng(seed)
    refused = random.random(prompts) < 0.5
    own = shared * random.normal(size=prompts)
    ids, codes, scores, labels = [], [], [], []
    for language in range(languages):
        for prompt in range(prompts):
            ids.append(f"p{prompt}")
            codes.append(f"l{language}")
            says = refused[prompt] or (language_effect and language == 0)
            labels.append(bool(says))
            scores.append(
                gap * says + own[prompt] + random.normal() + language_effect * (language == 0)
            )
    return LabelledScores(np.array(scores), np.array(labels), ids, codes)


@pytest.mark.parametrize("seed", range(3))
def test_auroc_counts_pairs(seed):
    random = np.random.default_rng(seed)
    scores, labels = random.integers(0, 6, 40).astype(float), random.random(40) < 0.4
    pairs = [
        1.0 if a > b else 0.5 if a == b else 0.0 for a in scores[labels] for b in scores[~labels]
    ]
    assert auroc(scores, labels) == pytest.approx(np.mean(pairs))
    with pytest.raises(ValueError, match="AUROC"):
        auroc(scores, np.zeros(40, dtype=bool))


@pytest.mark.parametrize("seed", range(5))
def test_the_threshold_is_the_best_of_all_cuts_either_way(seed):
    random = np.random.default_rng(seed)
    scores, labels = random.integers(0, 8, 30).astype(float), random.random(30) < 0.5
    threshold, above, accuracy = best_threshold(scores, labels)
    said = scores > threshold
    assert accuracy == pytest.approx(((said if above else ~said) == labels).mean())
    cuts = np.arange(-0.5, 9)
    best = max(max(((scores > c) == labels).mean(), ((scores <= c) == labels).mean()) for c in cuts)
    assert accuracy == pytest.approx(best)


def test_a_score_that_separates_is_found_on_held_out_rows_whatever_its_sign():
    for gap in (4.0, -4.0):
        found = probe(rows(40, 3, gap), rows(40, 3, gap, seed=1))
        assert found.auroc > 0.97
        assert found.accuracy > 0.9
        assert found.p_value < 0.002
        assert not found.within_null


def test_noise_lies_within_its_null_at_the_rate_it_should():
    inside = [
        probe(rows(30, 3, seed=seed), rows(30, 3, seed=100 + seed), 200).within_null
        for seed in range(60)
    ]
    assert np.mean(inside) > 0.85


def test_noise_shared_by_translations_would_look_significant_if_rows_were_shuffled_alone():
    """The fault that shuffling prompts avoids: 8 translations are not 8 independent prompts."""

    def inside(rename):
        hits = []
        for seed in range(40):
            held = rows(20, 8, seed=100 + seed, shared=3.0)
            held = LabelledScores(held.scores, held.refused, rename(held.prompts), held.languages)
            hits.append(probe(rows(20, 8, seed=seed, shared=3.0), held, 200).within_null)
        return np.mean(hits)

    assert inside(lambda prompts: prompts) > 0.8
    assert inside(lambda prompts: [str(row) for row in range(len(prompts))]) < 0.6


def test_a_language_that_refuses_more_is_not_evidence():
    held = rows(40, 3, seed=1, language_effect=3.0)
    found = probe(rows(40, 3, language_effect=3.0), held, 300)
    assert found.auroc > 0.6
    assert found.within_null
    one = LabelledScores(held.scores, held.refused, [str(i) for i in range(120)], ["all"] * 120)
    assert not probe(rows(40, 3, language_effect=3.0), one, 300).within_null


def test_the_control_direction_is_a_unit_vector_orthogonal_to_the_leading_ones():
    leading = torch.linalg.qr(torch.randn(32, 5, generator=torch.Generator().manual_seed(0))).Q.T
    control = orthogonal_direction(leading, 3)
    assert float(control.norm()) == pytest.approx(1)
    assert float((leading.double() @ control).abs().max()) < 1e-6
    torch.testing.assert_close(control, orthogonal_direction(leading, 3))
    assert not torch.equal(control, orthogonal_direction(leading, 4))
    with pytest.raises(ValueError, match="room"):
        orthogonal_direction(torch.eye(4), 0)
