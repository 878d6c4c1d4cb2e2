"""The command on two real checkpoints on disk: runs, resumes, and says how two do not fit."""

import json
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
import torch

from polyrefuse.errors import ModelError, PolyRefuseError, RunDirectoryError
from polyrefuse_evaluation.residual_space import ResidualOptions, residual_space
from polyrefuse_evaluation.residual_space.pair import CheckpointPair, open_pair

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = ResidualOptions(
    languages="en,ar",
    limit=3,
    train_prompts=6,
    components=3,
    max_new_tokens=3,
    resamples=5,
    permutations=20,
)


def save(loaded, folder):
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture
def checkpoints(make_style, tmp_path):
    """Return two tiny models of one architecture on disk; the base has no chat template."""
    base, tuned = (
        make_style("qwen3", dtype=torch.float32, max_position_embeddings=512) for _ in range(2)
    )
    base.tokenizer.chat_template = None
    with torch.no_grad():
        tuned.model.model.layers[0].mlp.down_proj.weight += 0.05 * torch.randn(32, 48)
    return save(base, tmp_path / "base"), save(tuned, tmp_path / "tuned")


def test_two_checkpoints_are_compared_and_a_second_run_loads_nothing(
    checkpoints, tmp_path, monkeypatch
):
    out = tmp_path / "run"
    loads = []
    load = CheckpointPair.load

    def counted(self, side, template):
        loads.append(side)
        return load(self, side, template)

    monkeypatch.setattr(CheckpointPair, "load", counted)
    report = residual_space(*checkpoints, out, options=SMALL)
    assert loads == ["base", "tuned", "tuned"]
    assert sorted(report.components) == [1, 2]
    assert report.page.is_file()
    names = {path.stem for path in (out / "tables").iterdir()}
    assert {"layers", "ranks", "spectrum", "probes", "cosines", "edges", "effects"} <= names
    assert (out / "figures" / "graph.svg").is_file()
    text = report.page.read_text(encoding="utf-8")
    assert "<script" not in text
    assert "http://" not in text.replace("http://www.w3.org", "")
    before = report.effects.effects
    again = residual_space(*checkpoints, out, options=SMALL)
    assert loads == ["base", "tuned", "tuned"]
    assert again.effects.effects == before
    assert again.page.read_text(encoding="utf-8") == text
    assert out.stat().st_mode & 0o777 == 0o700


def test_no_answer_and_no_prompt_text_is_in_the_tables(checkpoints, tmp_path):
    out = tmp_path / "run"
    residual_space(*checkpoints, out, options=SMALL)
    row = pq.read_table(out / "tables" / "answers-tuned-en.parquet").to_pylist()[0]
    assert set(row) == {"side", "language", "id", "label", "split", "outcome", "refused", "tokens"}
    assert "prompt" not in pq.read_table(out / "tables" / "extremes.parquet").column_names


def test_ridge_is_another_run_and_other_settings_are_refused(checkpoints, tmp_path):
    from dataclasses import replace

    out = tmp_path / "run"
    light = replace(SMALL, relevance=False, interventions=False)
    residual_space(*checkpoints, out, options=light)
    with pytest.raises(RunDirectoryError, match="shift"):
        residual_space(*checkpoints, out, options=replace(light, shift="ridge"))
    report = residual_space(*checkpoints, tmp_path / "b", options=replace(light, shift="ridge"))
    row = report.layers.layers[2]
    assert row.kind == "ridge"
    assert row.held_out_r2 is not None
    assert row.r2 <= 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"num_hidden_layers": 2}, "number of layers: 3 and 2"),
        ({"hidden_size": 64}, "width: 32 and 64"),
        ({"vocab_size": 330}, "vocabulary: 320 and 330"),
    ],
)
def test_checkpoints_that_do_not_fit_are_errors_that_say_in_what(
    checkpoints, make_style, tmp_path, change, said
):
    other = make_style("qwen3", dtype=torch.float32)
    from transformers import AutoModelForCausalLM

    config = other.model.config
    for name, value in change.items():
        setattr(config, name, value)
    if "num_hidden_layers" in change:
        config.layer_types = config.layer_types[:2]
    other.model = AutoModelForCausalLM.from_config(config)
    with pytest.raises(ModelError, match=said):
        open_pair(checkpoints[0], save(other, tmp_path / "other"))


def test_another_architecture_and_moved_tokens_are_errors(checkpoints, make_style, tmp_path):
    llama = save(make_style("llama", dtype=torch.float32), tmp_path / "llama")
    with pytest.raises(ModelError, match="architecture: qwen3 and llama"):
        open_pair(checkpoints[0], llama)
    path = tmp_path / "base" / "tokenizer.json"
    data = json.loads(path.read_text())
    vocabulary = data["model"]["vocab"]
    first, second = "ea", "er"
    if first not in vocabulary or second not in vocabulary:
        first, second = sorted(vocabulary)[-2:]
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
    path.write_text(json.dumps(data))
    with pytest.raises(ModelError, match="vocabulary: 2 tokens have other ids"):
        open_pair(*checkpoints)


def test_a_pair_without_a_template_is_an_error_and_a_file_helps(checkpoints, tmp_path):
    base = checkpoints[0]
    with pytest.raises(ModelError, match="chat template"):
        open_pair(base, base)
    template = tmp_path / "template.jinja"
    template.write_text("<user>{{ messages[0]['content'] }}</s><assistant>")
    pair = open_pair(base, base, chat_template=template)
    assert pair.layers == 3
    with pytest.raises(ModelError, match="cannot be read"):
        open_pair(base, base, chat_template=tmp_path / "none.jinja")


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"components": 0}, "components"),
        ({"rule": "lrp"}, "attnlrp"),
        ({"shift": "matrix"}, "identity"),
    ],
)
def test_choices_that_cannot_be_used_are_errors(choice, said, tmp_path):
    with pytest.raises(PolyRefuseError, match=said):
        residual_space("a", "b", tmp_path, options=ResidualOptions(**choice))


def test_a_missing_checkpoint_is_one_line_and_exit_code_2(tmp_path):
    command = [sys.executable, "-m", "polyrefuse", "residual-space"]
    command += [str(tmp_path / "none"), str(tmp_path / "none"), "--out", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("polyrefuse: ")
    assert "Traceback" not in done.stderr
