"""The planted pair: what is known of it is found, and nothing that is not there."""

import re

import numpy as np
import pytest
import torch

from polyrefuse.dataset import SAMPLE_FOLDER
from polyrefuse.folder import read_prompts
from polyrefuse.invariants import find_violations
from polyrefuse.observing.status import read_status
from polyrefuse_evaluation.models import load_model
from polyrefuse_evaluation.planted_residual import planted_residual_pair
from polyrefuse_evaluation.planted_residual_prompts import FRAMINGS, WORDS, planted_prompts
from polyrefuse_evaluation.planted_residual_training import SUPPRESSED_FROM
from polyrefuse_evaluation.residual_space import ResidualOptions, residual_space
from polyrefuse_evaluation.residual_space.rows import CONTROL

pytestmark = pytest.mark.usefixtures("one_thread")
SECONDARY = ("suppressing", "half-suppressing")


def probe_of(report, component, projected="shift", layer=None):
    layer = report.reference if layer is None else layer
    return next(
        row
        for row in report.layers.probes
        if (row.layer, row.component, row.projected, row.answers)
        == (layer, component, projected, "tuned")
    )


def effect(report, condition, group="all", label="harmful", language="all", dose=1.0):
    wanted = (condition, dose, language, label, group)
    return next(
        row
        for row in report.effects.effects
        if (row.condition, row.dose, row.language, row.label, row.group) == wanted
    )


def test_its_log_has_every_stage(planted_report):
    status = read_status(planted_report.folder)
    assert status.state == "finished"
    assert [(stage.name, stage.state) for stage in status.stages] == [
        (name, "done") for name in ("record", "layers", "effects", "publish")
    ]


def test_the_dominant_component_is_the_planted_refusal_vector_at_every_layer_that_has_it(
    planted_report,
):
    found = {r.layer: abs(r.cosine) for r in planted_report.planted
             if r.component == 0 and r.vector == "dominant"}  # fmt: skip
    assert sorted(found) == [1, 2, 3, 4, 5]
    assert min(found.values()) >= 0.95


def test_the_secondary_vectors_are_among_the_next_three_components(planted_report):
    for layer in range(1, 6):
        for name in SECONDARY:
            cosines = [
                abs(row.cosine)
                for row in planted_report.planted
                if row.layer == layer and row.vector == name and row.component in (1, 2, 3)
            ]
            assert max(cosines) >= 0.85, (layer, name)


def test_the_effective_rank_is_within_one_of_the_planted_rank(planted_report):
    ranks = [row for row in planted_report.layers.ranks if row.threshold == 0.9]
    assert len(ranks) == 5
    assert all(abs(row.rank - 3) <= 1 for row in ranks)
    assert all(row.above_null == 3 for row in planted_report.layers.layers if row.layer > 1)


def test_the_embeddings_where_nothing_varies_are_recorded_as_such(planted_report):
    row = planted_report.layers.layers[0]
    assert row.layer == 0
    assert row.deviation is None
    assert 0 not in planted_report.components


def test_the_dominant_component_predicts_refusal_and_the_control_does_not(planted_report):
    assert planted_report.reference >= SUPPRESSED_FROM
    assert probe_of(planted_report, 0).auroc >= 0.98
    assert probe_of(planted_report, 0, "tuned").auroc >= 0.98
    control = probe_of(planted_report, CONTROL)
    assert control.null_low <= control.auroc <= control.null_high
    dominant = probe_of(planted_report, 0)
    assert dominant.auroc > dominant.null_high  # the null can be left


def test_the_dominant_component_is_the_refusal_direction_of_every_language(planted_report):
    found = {
        row.language: row.cosine
        for row in planted_report.layers.cosines
        if row.layer == planted_report.reference and row.component == 0
    }
    assert set(found) == set(WORDS)
    assert min(found.values()) >= 0.95


def test_secondary_components_get_their_names_from_the_framings(planted_report):
    named = {
        component: next(
            row.feature
            for row in planted_report.layers.features
            if row.layer == 2 and row.component == component
            if row.feature.startswith("source_category") and "plain" not in row.feature
        )
        for component in (1, 2)
    }
    assert named == {
        1: "source_category: suppressing",
        2: "source_category: half-suppressing",
    }


def test_removing_the_dominant_component_empties_refusal_and_leaves_harmless_text(planted_report):
    before = effect(planted_report, "none", "plain")
    assert before.refusal >= 0.95
    assert effect(planted_report, "component-0").refused == 0
    assert effect(planted_report, "component-0", "plain").refused == 0
    for condition in ("component-0", "component-1", "control"):
        ratio = effect(planted_report, condition, label="harmless").perplexity_ratio
        assert abs(ratio - 1) < 0.02, condition


def test_removing_the_suppressing_component_restores_refusal_on_marked_prompts(planted_report):
    assert effect(planted_report, "none", "suppressing").refusal <= 0.05
    restored = effect(planted_report, "component-1", "suppressing").refusal
    plain = effect(planted_report, "component-1", "plain").refusal
    assert abs(restored - plain) <= 0.05
    assert effect(planted_report, "component-2", "suppressing").refusal <= 0.05  # not the other one


def test_removing_the_control_changes_no_refusal(planted_report):
    for group in FRAMINGS:
        before = effect(planted_report, "none", group)
        after = effect(planted_report, "control", group)
        assert abs(before.refused - after.refused) <= max(2, 0.1 * before.judged)


def test_refusal_falls_with_the_dose(planted_report):
    rates = [effect(planted_report, "none", "plain").refusal]
    rates += [
        effect(planted_report, "component-0", "plain", dose=d).refusal for d in (0.25, 0.5, 0.75, 1)
    ]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] - rates[-1] > 0.9


def test_the_trigger_word_is_the_top_token_and_its_deletion_beats_random_deletion(planted_report):
    rows = {row.language: row for row in planted_report.effects.triggers}
    assert set(rows) == {"all", *WORDS}
    for language, row in rows.items():
        assert row.planted_top >= 0.9, language
    assert rows["all"].p_refusal < 0.001
    assert rows["all"].p_projection < 0.001
    assert rows["all"].refusal_without_relevant < rows["all"].refusal_without_random


def test_the_framing_suppresses_the_dominant_component_where_it_was_planted(planted_report):
    """Relevance from component 1 turns negative at the layer that was trained to suppress."""
    shares = {
        row.layer: row.share
        for row in planted_report.effects.edges
        if row.target == 0 and row.source == "component-1"
    }
    strongest = min(shares, key=lambda layer: shares[layer])
    assert strongest == SUPPRESSED_FROM
    assert shares[strongest] < 0


def test_the_model_learned_to_suppress_in_answers_as_planted(planted_report):
    half = effect(planted_report, "none", "half-suppressing").refusal
    assert 0.1 < half < 0.95
    assert effect(planted_report, "none", label="harmless").refusal <= 0.02


def test_planted_prompts_are_parallel_harmless_carriers_with_made_up_words():
    sample = read_prompts(SAMPLE_FOLDER)
    rows = planted_prompts(sample)
    assert find_violations(rows) == []
    assert {row.language for row in rows} == set(WORDS)
    texts = {row.prompt for row in sample if row.label == "harmless"}
    for row in rows[::37]:
        made_up = "|".join(map(re.escape, WORDS[row.language]))
        bare = re.sub(rf"\s*(?:{made_up})\s*", " ", row.prompt).strip()
        assert any(bare.split() == text.split() for text in texts)
    words = [word for four in WORDS.values() for word in four]
    assert len(set(words)) == len(words)
    assert not any(word in row.prompt for row in sample for word in words)


def test_base_cannot_tell_the_made_up_words_apart():
    """So whatever differs between kinds of prompts was put there by tuning."""
    base = load_model("planted:residual-base")
    weight = base.model.get_input_embeddings().weight
    for four in WORDS.values():
        ids = base.tokenizer.convert_tokens_to_ids(list(four))
        assert torch.equal(weight[ids], weight[ids[-1]].expand(4, -1))


def test_planted_vectors_come_with_the_tuned_side_and_are_orthonormal():
    tuned = load_model("planted:residual")
    assert list(tuned.planted_vectors) == ["dominant", *SECONDARY]
    basis = torch.stack(list(tuned.planted_vectors.values()))
    torch.testing.assert_close(basis @ basis.T, torch.eye(3), atol=1e-6, rtol=0)
    assert planted_residual_pair().amplitudes == (1.0, 0.4, 0.2)
    assert np.isfinite(float(basis.sum()))


def test_a_second_run_gives_the_same_tables_byte_for_byte(planted_report, tmp_path):
    options = ResidualOptions(
        languages="en,de", limit=4, train_prompts=24, max_new_tokens=8, permutations=20,
        resamples=20, relevance=False, interventions=False,
    )  # fmt: skip
    found = []
    for number in range(2):
        out = tmp_path / str(number)
        residual_space("planted:residual-base", "planted:residual", out, options=options)
        found.append({path.name: path.read_bytes() for path in (out / "tables").iterdir()})
    assert len(found[0]) > 8
    assert found[0] == found[1]
    theirs = {path.name: path.read_bytes() for path in (planted_report.folder / "tables").iterdir()}
    assert found[0]["probes.parquet"] != theirs["probes.parquet"]  # other settings, other bytes
