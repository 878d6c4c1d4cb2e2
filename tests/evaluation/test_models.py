"""Models load from a folder, and each way of not loading is one line that says what to do."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForSeq2SeqLM

from polyrefuse.errors import ModelError
from polyrefuse_evaluation.models import load_model


@pytest.fixture
def saved(make_model, make_tokenizer, tmp_path):
    """A tiny Llama with its tokenizer, saved as a checkpoint."""
    folder = tmp_path / "tiny-llama"
    make_model("llama").save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return folder


def error_of(folder, **options):
    """Load, and return the error after checking that it is one line that names the folder."""
    with pytest.raises(ModelError) as caught:
        load_model(str(folder), device="cpu", **options)
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder) in message
    assert caught.value.remedy
    assert caught.value.exit_code == 2
    return message


def test_a_saved_model_loads_with_all_that_an_evaluation_needs(saved, make_model):
    loaded = load_model(str(saved), device="cpu")
    original = make_model("llama")
    ids = torch.arange(3, 12)[None]
    with torch.no_grad():
        assert torch.equal(loaded.model(ids).logits, original(ids).logits)
    assert not loaded.model.training
    assert loaded.name == str(saved)
    assert loaded.revision is None
    assert loaded.pad_id == 0
    assert loaded.context_length == 256
    assert loaded.tokenizer.padding_side == "left"
    assert loaded.tokenizer.decode(loaded.chat.post_instruction) == "</s>\n<assistant>\n"
    assert len(loaded.stream.writers) == 6


def test_the_weights_digest_names_the_weights_and_nothing_else(saved, make_model, make_tokenizer):
    first = load_model(str(saved), device="cpu")
    again = load_model(str(saved), device="cpu")
    assert first.weights_digest == again.weights_digest
    assert first.weights_digest.startswith("sha256:")
    with torch.no_grad():
        again.model.model.norm.weight[3] += 1e-3
    del again.weights_digest
    assert first.weights_digest != again.weights_digest


def test_a_digest_covers_buffers_without_dimensions(make_loaded):
    loaded = make_loaded("llama")
    loaded.model.register_buffer("scale", torch.tensor(2.0))
    assert loaded.weights_digest.startswith("sha256:")


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_the_dtype_is_the_one_asked_for(saved, dtype):
    loaded = load_model(str(saved), device="cpu", dtype=dtype)
    assert next(loaded.model.parameters()).dtype is getattr(torch, dtype)
    assert loaded.last_logits([[5, 6], [7]]).dtype == torch.float32


def test_a_chat_template_can_be_given_as_a_file(saved, make_tokenizer, tmp_path):
    make_tokenizer(template=None).save_pretrained(saved)
    (saved / "chat_template.jinja").unlink(missing_ok=True)
    assert "has no chat template" in error_of(saved)
    file = tmp_path / "template.jinja"
    file.write_text("<s>{{ messages[0]['content'] }}</s><assistant>", encoding="utf-8")
    loaded = load_model(str(saved), device="cpu", chat_template=file)
    assert loaded.tokenizer.decode(loaded.chat.post_instruction) == "</s><assistant>"
    with pytest.raises(ModelError, match=r"nowhere\.jinja: the chat template cannot be read"):
        load_model(str(saved), device="cpu", chat_template=tmp_path / "nowhere.jinja")


def test_a_folder_without_tokenizer_is_refused(saved):
    for file in saved.glob("*token*"):
        file.unlink()
    message = error_of(saved)
    assert "tokenizer" in message
    assert "complete transformers checkpoint" in message


def test_a_tokenizer_without_chat_template_is_refused(saved, make_tokenizer):
    (saved / "chat_template.jinja").unlink()
    message = error_of(saved)
    assert "has no chat template" in message
    assert "--chat-template FILE" in message


def test_an_encoder_decoder_model_is_refused(make_tokenizer, tmp_path):
    sizes = {"d_model": 16, "d_kv": 4, "d_ff": 16, "num_layers": 1, "num_heads": 2}
    config = AutoConfig.for_model("t5", vocab_size=320, **sizes)
    AutoModelForSeq2SeqLM.from_config(config).save_pretrained(tmp_path / "t5")
    make_tokenizer().save_pretrained(tmp_path / "t5")
    message = error_of(tmp_path / "t5")
    assert "t5 is an encoder-decoder model" in message
    assert "decoder-only" in message


def test_a_vocabulary_smaller_than_the_tokenizers_ids_is_refused(
    make_model, make_tokenizer, tmp_path
):
    make_model("llama", vocab_size=100).save_pretrained(tmp_path / "small")
    tokenizer = make_tokenizer()
    tokenizer.save_pretrained(tmp_path / "small")
    largest = max(tokenizer.get_vocab().values())
    message = error_of(tmp_path / "small")
    assert f"ids up to {largest}, the model a vocabulary of 100" in message
    assert "tokenizer that belongs to these weights" in message


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_not_finite_are_refused_by_name(saved, value):
    weights = load_file(saved / "model.safetensors")
    weights["model.layers.1.mlp.up_proj.weight"][0, 0] = value
    save_file(weights, saved / "model.safetensors", metadata={"format": "pt"})
    assert "model.layers.1.mlp.up_proj.weight holds NaN or infinite weights" in error_of(saved)


def test_a_model_that_brings_its_own_code_is_not_run_unless_asked(saved):
    config = json.loads((saved / "config.json").read_text())
    config["model_type"] = "homemade"
    config["auto_map"] = {
        "AutoConfig": "homemade.HomemadeConfig",
        "AutoModelForCausalLM": "homemade.HomemadeForCausalLM",
    }
    (saved / "config.json").write_text(json.dumps(config))
    (saved / "homemade.py").write_text("raise SystemExit('the code ran')")
    message = error_of(saved)
    assert "brings its own code" in message
    assert "--trust-remote-code" in message


def test_a_hub_id_that_cannot_be_reached_is_refused(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    message = error_of("someone/no-such-model")
    assert "configuration could not be loaded" in message
    assert "Check the name and revision, the network" in message


@pytest.mark.parametrize("broken", ["config.json", "model.safetensors"])
def test_a_missing_or_damaged_file_is_named(saved, broken):
    (saved / broken).write_bytes(b"not what it should be")
    part = {"config.json": "configuration", "model.safetensors": "weights"}[broken]
    assert f"its {part} could not be loaded" in error_of(saved)
    (saved / broken).unlink()
    assert f"its {part} could not be loaded" in error_of(saved)


def test_weights_that_do_not_fit_the_configuration_are_refused(saved):
    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps({**config, "intermediate_size": 64}))
    assert "its weights could not be loaded" in error_of(saved)


def test_weights_that_are_missing_are_refused_and_never_random(saved):
    weights = load_file(saved / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, saved / "model.safetensors", metadata={"format": "pt"})
    message = error_of(saved)
    assert "lacks model.layers.1.mlp.up_proj.weight." in message


@pytest.mark.parametrize("architecture", ["bloom", "falcon", "gemma2", "gpt2", "gpt_neox", "opt"])
def test_checkpoints_of_other_architectures_load_too(
    make_model, make_tokenizer, tmp_path, architecture
):
    make_model(architecture).save_pretrained(tmp_path / "model")
    make_tokenizer().save_pretrained(tmp_path / "model")
    loaded = load_model(str(tmp_path / "model"), device="cpu")
    assert loaded.last_logits([[5, 6, 7], [8]]).shape == (2, 320)


def test_a_checkpoint_with_tied_embeddings_lacks_nothing(make_model, make_tokenizer, tmp_path):
    make_model("llama", tie_word_embeddings=True).save_pretrained(tmp_path / "tied")
    make_tokenizer().save_pretrained(tmp_path / "tied")
    assert "lm_head.weight" not in load_file(tmp_path / "tied" / "model.safetensors")
    loaded = load_model(str(tmp_path / "tied"), device="cpu")
    assert loaded.model.lm_head.weight is loaded.model.model.embed_tokens.weight


def test_the_body_of_a_model_without_its_head_is_refused(make_model, make_tokenizer, tmp_path):
    make_model("llama").model.save_pretrained(tmp_path / "body")
    make_tokenizer().save_pretrained(tmp_path / "body")
    assert "lacks lm_head.weight" in error_of(tmp_path / "body")


def test_a_dtype_or_device_that_does_not_exist_is_refused(saved):
    assert "float99" in error_of(saved, dtype="float99")
    with pytest.raises(ModelError, match=r"cannot be placed on device 'cuda:77'.*--device"):
        load_model(str(saved), device="cuda:77")


@pytest.mark.parametrize(
    ("option", "value"),
    [("revision", "main"), ("dtype", "bfloat16"), ("quantization", "4bit"), ("device_map", "auto")],
)
def test_an_option_that_a_planted_model_lacks_is_refused_and_not_ignored(option, value):
    name = option.replace("_", "-")
    with pytest.raises(ModelError, match=f"planted: a planted model has no --{name}"):
        load_model("planted", **{option: value})


def test_a_planted_model_takes_the_dtype_it_has_anyway():
    assert load_model("planted", dtype="float32", device="cpu").name == "planted"
