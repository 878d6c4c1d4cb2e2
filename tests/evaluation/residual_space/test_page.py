"""Meaning, figures and page: what they show, and that hostile text stays text."""

import numpy as np
import pytest
import torch

from polyrefuse.dataset import SAMPLE_FOLDER
from polyrefuse.folder import read_prompts
from polyrefuse_evaluation.residual_space import meaning
from polyrefuse_evaluation.residual_space.effects import Effects, text_pieces
from polyrefuse_evaluation.residual_space.layers import LayerTables, reference_layer
from polyrefuse_evaluation.residual_space.options import ResidualOptions
from polyrefuse_evaluation.residual_space.page import NAME, heat_lines, publish
from polyrefuse_evaluation.residual_space.rows import EdgeRow, ProbeRow, TokenRow
from polyrefuse_evaluation.run_directory import open_run_directory

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def prompts():
    return [row for row in read_prompts(SAMPLE_FOLDER, ["en", "de"]) if row.split == "train"]


def token(text, relevance, language="en", inside=True, place=0):
    return TokenRow("id", language, place, text, relevance, inside)


def test_a_component_that_is_a_language_or_a_length_is_named_so(prompts):
    scores = torch.tensor(
        [[float(row.language == "de"), len(row.prompt) + 0.0] for row in prompts]
    ).double()
    rows = meaning.feature_rows(3, scores, prompts)
    first = {row.component: row for row in reversed(rows)}
    assert first[0].feature.startswith("language")
    assert abs(first[0].correlation) == pytest.approx(1)
    assert first[1].feature == "length"
    assert {row.layer for row in rows} == {3}


def test_features_that_do_not_vary_are_left_out(prompts):
    english = [row for row in prompts if row.language == "en"]
    scores = torch.randn(len(english), 1, generator=torch.Generator().manual_seed(0)).double()
    names = {row.feature for row in meaning.feature_rows(0, scores, english)}
    assert not any(name.startswith("language") for name in names)
    assert meaning.feature_rows(0, torch.zeros(len(english), 1).double(), english) == []


@pytest.mark.parametrize(
    ("text", "feature"),
    [
        ("Pretend you are a pirate.", "role-play"),
        ("Imagine a hypothetical city.", "hypothetical"),
        ("Write a scene for a novel.", "hypothetical"),
        ("How do I bake bread?", None),
    ],
)
def test_framings_are_read_off_the_english_prompt(prompts, text, feature):
    row = prompts[0].model_copy(update={"prompt_en": text})
    found = meaning.features([row])
    assert [name for name in meaning.PATTERNS if found[name][0] == 1] == (
        [feature] if feature else []
    )


def test_groups_and_extremes_cover_what_was_projected(prompts):
    scores = torch.arange(len(prompts)).double()[:, None]
    rows = meaning.projection_rows(1, scores, prompts)
    by = {(row.kind, row.group): row for row in rows}
    english = [index for index, row in enumerate(prompts) if row.language == "en"]
    assert by["language", "en"].mean == pytest.approx(np.mean(english))
    assert by["language", "en"].rows + by["language", "de"].rows == len(prompts)
    ends = meaning.extreme_rows(1, scores, prompts)
    top = [row for row in ends if row.end == "top"]
    assert top[0].id == prompts[-1].id
    assert len({row.id for row in top}) == meaning.EXTREMES


def test_the_refusal_direction_of_a_language_without_both_labels_is_null(prompts):
    harmful = [row for row in prompts if row.label == "harmful"]
    found = meaning.cosine_rows(0, torch.eye(4).double()[:1], torch.randn(len(harmful), 4), harmful)
    assert {row.cosine for row in found} == {None}
    assert {row.language for row in found} == {"en", "de"}


def test_the_reference_is_the_layer_that_predicts_best_and_ties_go_to_the_earlier():
    def row(layer, area, projected="shift", answers="tuned", component=0):
        null = (None, None, None)
        return ProbeRow(layer, component, projected, answers, None, area, *null, 1, 2)

    tables = LayerTables(probes=[row(1, 0.7), row(2, 0.9), row(3, 0.9), row(4, 1.0, "tuned")])
    assert reference_layer(tables) == 2
    assert reference_layer(LayerTables(probes=[row(1, None)])) is None


def test_partial_characters_are_put_together(make_tokenizer):
    tokenizer = make_tokenizer()
    ids = tokenizer("ซ爨 a", add_special_tokens=False)["input_ids"]
    pieces = text_pieces(tokenizer, ids)
    assert "".join(text for text, _ in pieces) == "ซ爨 a"
    assert all("\ufffd" not in text for text, _ in pieces)
    assert [place for _, places in pieces for place in places] == list(range(len(ids)))
    assert any("\ufffd" in tokenizer.decode([index]) for index in ids)  # the fault, token by token


def test_the_heatmap_scales_to_the_user_s_text_and_keeps_the_direction():
    lines = heat_lines(
        [
            token("<s>", 9.0, "ar", inside=False),
            token("كلمة", 2.0, "ar", place=1),
            token(" أخرى", -1.0, "ar", place=2),
        ]
    )
    assert [line.direction for line in lines] == ["rtl"]
    assert [piece.strength for piece in lines[0].tokens] == [1.0, -0.5]
    assert "213, 94, 0" in lines[0].tokens[1].style


def test_hostile_tokens_stay_text_and_a_run_without_refusals_says_so(tmp_path):
    tables = LayerTables()
    hostile = "<script>alert(1)</script>{{ 7 * 7 }}"
    effects = Effects(
        tokens=[token(hostile, 1.0)],
        edges=[EdgeRow(1, 0, "rest", 0.5, 0.5, 3), EdgeRow(1, 0, "elsewhere", -0.5, -0.5, 3)],
    )
    with open_run_directory(tmp_path / "run", {"a": 1}) as run:
        page, said = publish(
            run, [hostile, "$b$"], tables, effects, None, [], ResidualOptions(), {"x": hostile}
        )
    text = page.read_text(encoding="utf-8")
    assert page.name == NAME
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert "49" not in said.headline
    assert "refuses all" in said.headline
    again = (tmp_path / "run" / "figures" / "graph.svg").read_bytes()
    with open_run_directory(tmp_path / "run", {"a": 1}) as run:
        publish(run, ["a", "b"], tables, effects, None, [], ResidualOptions(), {})
    assert (tmp_path / "run" / "figures" / "graph.svg").read_bytes() == again
