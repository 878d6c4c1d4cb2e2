"""Extraction: one pass a prompt, the right activations, and faults named by layer and prompt."""

import json

import numpy as np
import pytest
import torch

from polyrefuse.dataset import SAMPLE_FOLDER
from polyrefuse.errors import DatasetError, ModelError, UnknownLanguageError
from polyrefuse.export import export_sample
from polyrefuse_evaluation.activations import record
from polyrefuse_evaluation.geometry import extract as extraction
from polyrefuse_evaluation.geometry.extract import extract, read_samples
from polyrefuse_evaluation.geometry.options import GeometryOptions
from polyrefuse_evaluation.geometry.prompts import read_geometry_prompts
from polyrefuse_evaluation.geometry.store import ActivationStore
from polyrefuse_evaluation.select_directions import render_rows

LANGUAGES = ["en", "de"]
OPTIONS = GeometryOptions(languages="en,de", train_prompts=8)


@pytest.fixture
def loaded(make_loaded):
    return make_loaded("llama", num_hidden_layers=2)


@pytest.fixture
def sets():
    return read_geometry_prompts(None, None, OPTIONS).sets


def make_store(folder, loaded) -> ActivationStore:
    return ActivationStore(folder, [-2, -1], len(loaded.stream.blocks), loaded.stream.hidden_size)


def test_every_prompt_is_where_it_belongs(tmp_path, loaded, sets):
    store = make_store(tmp_path, loaded)
    extract(loaded, sets, LANGUAGES, store, batch_tokens=400)
    samples = read_samples(sets, LANGUAGES, store)
    rows = sets.get("de", "train", "harmful")
    alone = record(loaded, render_rows(loaded, [rows[3]]))[0][0]
    found = samples.at(-2, 1)[1].harmful[3]
    np.testing.assert_allclose(found, alone[-2, 1].numpy(), atol=1e-4)
    assert samples.ids["de", "harmful"][3] == rows[3].id
    german, english = samples.at(-1, 0)[1], samples.at(-1, 0)[0]
    np.testing.assert_array_equal(german.harmful_groups, english.harmful_groups)


def test_each_prompt_is_passed_once_and_what_is_there_is_not_done_again(
    tmp_path, loaded, sets, monkeypatch
):
    passed = []

    def counted(model, sequences):
        passed.extend(map(tuple, sequences))
        return record(model, sequences)

    monkeypatch.setattr(extraction, "record", counted)
    store = make_store(tmp_path, loaded)
    extract(loaded, sets, ["en"], store, batch_tokens=400)
    assert len(passed) == 16
    extract(loaded, sets, LANGUAGES, store, batch_tokens=400)
    assert len(passed) == 32
    assert len(set(passed)) == 32


def test_an_activation_that_is_not_finite_names_layer_and_prompt(tmp_path, loaded, sets):
    victim = sets.get("de", "train", "harmful")[5]
    ids = torch.tensor(render_rows(loaded, [victim])[0])

    def poison(_, args, output):
        width = len(ids)
        hit = (args[0][:, -width:] == ids).all(dim=1) if args[0].shape[1] >= width else None
        if hit is None:
            return output
        return torch.where(hit[:, None, None], torch.nan, output)

    handle = loaded.model.get_input_embeddings().register_forward_hook(poison)
    store = make_store(tmp_path, loaded)
    with pytest.raises(ModelError) as caught:
        extract(loaded, sets, ["de"], store, batch_tokens=4000)
    handle.remove()
    assert "layer 0" in str(caught.value)
    assert "(de)" in str(caught.value)
    assert victim.id in str(caught.value)
    extract(loaded, sets, ["de"], store, batch_tokens=4000)  # and nothing wrong was kept
    assert np.isfinite(store.read("de", "harmful", -1, 1)).all()


def short_folder(tmp_path, keep: int):
    """Return a copy of the sample in which German has few harmful train prompts, as an erratum."""
    folder = tmp_path / "data"
    export_sample(folder)
    path = folder / "data" / "de" / "train.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    harmful = [line for line in lines if '"label": "harmful"' in line]
    kept = [line for line in lines if line not in harmful[keep:]]
    path.write_text("".join(kept), encoding="utf-8")
    gone = [json.loads(line)["id"] for line in harmful[keep:]]
    erratum = {"kind": "missing", "language": "de", "split": "train", "ids": gone}
    with (folder / "errata.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({**erratum, "detail": "never translated"}) + "\n")
    return folder


def test_a_language_without_enough_prompts_is_reported_not_dropped(tmp_path):
    folder = short_folder(tmp_path, keep=3)
    found = read_geometry_prompts(folder, None, GeometryOptions(languages="en,de,fr"))
    assert found.languages == ["en", "de", "fr"]
    assert found.analysed == ["en", "fr"]
    assert found.status["de"] == "3 harmful train prompts, needs 8"
    assert "de" not in found.sources


def test_two_languages_are_the_least(tmp_path):
    folder = short_folder(tmp_path, keep=3)
    with pytest.raises(DatasetError, match=r"fewer than two .*3 harmful train prompts"):
        read_geometry_prompts(folder, None, GeometryOptions(languages="en,de"))


def test_a_source_that_is_not_compared_is_an_error():
    options = GeometryOptions(languages="en,de", sources="en,th")
    with pytest.raises(UnknownLanguageError, match="--sources names 'th'"):
        read_geometry_prompts(SAMPLE_FOLDER, None, options)
