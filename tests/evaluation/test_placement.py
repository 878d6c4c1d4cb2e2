"""Models on several devices, offloaded, in shards or in half precision are loaded and proven."""

import json

import pytest
import torch

from benchmarks.architecture_recipes.build import build_tiny
from polyrefuse.errors import ModelError
from polyrefuse_evaluation import placement
from polyrefuse_evaluation.ablation import ablate
from polyrefuse_evaluation.ablation_proof import check_ablation
from polyrefuse_evaluation.models import load_model
from polyrefuse_evaluation.placement import placement_options
from polyrefuse_evaluation.residual_stream import find_residual_stream

SEQUENCES = [[5, 6, 7, 8, 9], [7, 8]]
ON_DISK = {
    "model.embed_tokens": "cpu",
    "model.rotary_emb": "cpu",
    "model.layers.0": "cpu",
    "model.layers.1": "disk",
    "model.layers.2": "cpu",
    "model.norm": "cpu",
    "lm_head": "cpu",
}


@pytest.fixture
def save(make_tokenizer, tmp_path):
    """Save a model with a tokenizer; return the folder."""

    def write(model, **options):
        folder = tmp_path / "checkpoint"
        model.save_pretrained(folder, **options)
        make_tokenizer().save_pretrained(folder)
        return str(folder)

    return write


@pytest.mark.parametrize("device_map", [{"": "cpu"}, "auto", ON_DISK], ids=["cpu", "auto", "disk"])
def test_a_mapped_model_answers_and_is_proven_like_a_plain_one(
    make_model, save, tmp_path, device_map
):
    folder = save(make_model("llama"))
    plain = load_model(folder, device="cpu")
    mapped = load_model(folder, device_map=device_map, offload_folder=tmp_path / "offload")
    if device_map is ON_DISK:
        assert mapped.model.model.layers[1].mlp.down_proj.weight.is_meta
    torch.testing.assert_close(mapped.last_logits(SEQUENCES), plain.last_logits(SEQUENCES))
    direction = torch.randn(32, generator=torch.Generator().manual_seed(3))
    logits = []
    for loaded in (plain, mapped):
        with ablate(loaded.model, direction):
            logits.append(loaded.last_logits(SEQUENCES))
    torch.testing.assert_close(*logits)
    assert not torch.allclose(logits[1], mapped.last_logits(SEQUENCES), atol=1e-3)
    for method in ("hooks", "weights"):
        assert check_ablation(mapped.model, mapped.tokenizer, method=method).verified
    stream = find_residual_stream(mapped.model).without("model.layers.1.mlp")
    assert not check_ablation(mapped.model, stream=stream).verified


def test_the_weights_digest_does_not_depend_on_where_weights_are(make_model, save, tmp_path):
    folder = save(make_model("llama"))
    plain = load_model(folder, device="cpu")
    mapped = load_model(folder, device_map=ON_DISK, offload_folder=tmp_path / "offload")
    assert mapped.weights_digest == plain.weights_digest


def test_weights_that_are_not_finite_are_found_on_the_disk(make_model, save, tmp_path):
    model = make_model("llama")
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight[0, 0] = torch.nan
    folder = save(model)
    with pytest.raises(ModelError, match=r"layers\.1\.mlp\.up_proj\.weight holds NaN"):
        load_model(folder, device_map=ON_DISK, offload_folder=tmp_path / "offload")


def test_a_sharded_checkpoint_is_loaded_and_proven_and_a_missing_shard_is_named(
    make_model, save, tmp_path
):
    folder = save(make_model("llama", tie_word_embeddings=True), max_shard_size="20KB")
    shards = sorted((tmp_path / "checkpoint").glob("model-*.safetensors"))
    assert len(shards) > 2
    loaded = load_model(folder, device="cpu")
    assert loaded.model.lm_head.weight is loaded.model.model.embed_tokens.weight
    assert check_ablation(loaded.model).verified
    shards[1].unlink()
    with pytest.raises(ModelError, match=r"its weights could not be loaded"):
        load_model(folder, device="cpu")


@pytest.mark.parametrize("kind", ["gemma3", "deepseek_v4", "openai-gpt", "zamba2"])
def test_half_precision_finds_the_same_writers_and_is_proven(one_thread, kind):
    exact = [writer.name for writer in find_residual_stream(build_tiny(kind)).writers]
    model = build_tiny(kind).to(torch.bfloat16)
    assert [writer.name for writer in find_residual_stream(model).writers] == exact
    proof = check_ablation(model)
    assert proof.verified, proof.suspect
    assert proof.bound == 5e-3


def test_a_multimodal_checkpoint_is_used_by_its_language_model(make_tokenizer, save, monkeypatch):
    from benchmarks.architecture_recipes import shrink

    monkeypatch.setitem(shrink.SIZES, "vocab_size", 320)
    folder = save(build_tiny("gemma3"))
    loaded = load_model(folder, device="cpu")
    assert loaded.model.config.vision_config.hidden_size == 32
    assert loaded.stream.block_names[0] == "model.language_model.layers.0"
    assert loaded.last_logits(SEQUENCES).shape == (2, 320)
    assert check_ablation(loaded.model, loaded.tokenizer).verified


def test_quantization_without_bitsandbytes_says_what_to_install(make_model, save, monkeypatch):
    monkeypatch.setattr(placement.importlib.util, "find_spec", lambda name: None)
    folder = save(make_model("llama"))
    with pytest.raises(ModelError, match=r"needs bitsandbytes.*pip install bitsandbytes"):
        load_model(folder, quantization="4bit")
    with pytest.raises(ModelError, match=r"no quantization '3bit'.*4bit or 8bit"):
        load_model(folder, quantization="3bit")


def test_quantization_asks_for_what_was_said_and_for_a_map(monkeypatch):
    monkeypatch.setattr(placement.importlib.util, "find_spec", lambda name: object())
    options = placement_options("m", None, None, "4bit")
    assert options["quantization_config"].load_in_4bit
    assert options["device_map"] == "auto"
    eight = placement_options("m", "cuda:1", None, "8bit")
    assert eight["quantization_config"].load_in_8bit
    assert eight["device_map"] == {"": "cuda:1"}
    assert placement_options("m", "cuda:1", None, None) == {}


def test_a_device_and_a_map_exclude_each_other(make_model, save):
    folder = save(make_model("llama"))
    with pytest.raises(ModelError, match="--device and --device-map exclude each other"):
        load_model(folder, device="cpu", device_map="auto")


def test_a_system_prompt_is_part_of_every_prompt_and_of_the_record(make_model, save, tmp_path):
    folder = save(make_model("llama"))
    template = "<s>{% for m in messages %}[{{ m.role }}] {{ m.content }}</s>{% endfor %}<assistant>"
    (tmp_path / "checkpoint" / "chat_template.jinja").write_text(template)
    without = load_model(folder, device="cpu").chat
    loaded = load_model(folder, device="cpu", system_prompt="Answer briefly.")
    assert loaded.chat.system_prompt == "Answer briefly."
    assert loaded.chat.digest != without.digest
    assert json.dumps(loaded.chat.switches) == "[]"
