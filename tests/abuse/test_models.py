"""Hostile model folders: nothing of theirs runs or is unpickled, each ends in one line."""

import json
import pickle
import shutil
from pathlib import Path

import pytest

from tests.abuse.conftest import change_json

PLANTED_CODE = "from pathlib import Path\nPath({marker!r}).write_text('ran')\n"


@pytest.fixture
def marker(tmp_path) -> Path:
    """A file that hostile code would write."""
    return tmp_path / "marker"


class Bomb:
    """Unpickled, it writes the marker."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return Path.write_text, (self.marker, "ran")


CONFIGS = {
    "not JSON": "{",
    "nested": "[" * 100_000,
    "a list": "[1]",
    "null": "null",
    "empty": "",
    "binary": "\x00\x01",
    "long number": '{"hidden_size": ' + "1" * 5000 + "}",
}


def spoil(refused, model, name: str, texts) -> None:
    kept = (model / name).read_bytes()
    for text in texts:
        (model / name).write_text(text, encoding="utf-8")
        assert str(model) in refused("check", model)
    (model / name).write_bytes(kept)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "tokenizer.json"])
def test_files_that_are_no_json_objects(refused, model, name):
    spoil(refused, model, name, [CONFIGS["nested"], CONFIGS["a list"]])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "tokenizer.json"])
def test_other_files_that_are_no_json_objects(refused, model, name):
    spoil(refused, model, name, CONFIGS.values())


FIELDS = {
    "hidden_size": ["x", -1, 0, 1e30, [], None, 2**40, {"a": 1}],
    "num_hidden_layers": ["x", -1, 10**9, None, 2.5],
    "num_attention_heads": [0, -3, "8", 10**12],
    "vocab_size": [1, -1, "many", 10**15, None],
    "model_type": [None, 7, "../../evil", "no_such_type", "__class__", [], {}],
    "architectures": [["os.system"], "os.system", [None], {"a": 1}],
    "rope_parameters": ["x", {"rope_type": "evil"}, {"rope_type": 7}],
    "torch_dtype": ["os.system", 7, [], "float99"],
    "hidden_act": ["__import__", 7, "os.system"],
    "max_position_embeddings": ["x", -1, None],
    "quantization_config": ["x", {"quant_method": "evil"}, {"load_in_4bit": True}],
}
QUICK_FIELDS = ("num_hidden_layers", "vocab_size")
"""Values of the wrong type, size or kind. Some make no difference: the proof then passes."""


@pytest.mark.parametrize(
    "field",
    [
        pytest.param(name, marks=[] if name in QUICK_FIELDS else [pytest.mark.slow])
        for name in FIELDS
    ],
)
def test_fields_of_wrong_types_and_sizes(run, model, field):
    for value in FIELDS[field]:
        folder = Path(shutil.copytree(model, model.parent / "spoilt", dirs_exist_ok=True))
        change_json(folder / "config.json", **{field: value})
        done = run("check", folder)
        assert done.code in (0, 1, 2), (field, value, done)
        if done.code == 2:
            assert str(folder) in done.line, (field, value)


def test_without_the_bounds_an_absurd_size_would_be_built(monkeypatch):
    """The mutation: the same sizes pass where no bound is known; sound ones pass with it."""
    from types import SimpleNamespace

    from polyrefuse.errors import ModelError
    from polyrefuse_evaluation import untrusted_checkpoint

    untrusted_checkpoint.require_modest("m", SimpleNamespace(hidden_size=4096, vocab_size=256_000))
    absurd = [SimpleNamespace(hidden_size=2**40), SimpleNamespace(vocab_size=-1)]
    for config in absurd:
        with pytest.raises(ModelError, match="which no model has"):
            untrusted_checkpoint.require_modest("m", config)
    monkeypatch.setattr(untrusted_checkpoint, "LARGEST_SIZES", {})
    for config in absurd:
        untrusted_checkpoint.require_modest("m", config)


def _own_code(folder: Path, marker: Path, **config: object) -> None:
    for name in (
        "modeling_evil",
        "configuration_evil",
        "tokenization_evil",
        "custom_generate/generate",
    ):
        path = folder / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(PLANTED_CODE.format(marker=str(marker)), encoding="utf-8")
    change_json(folder / "config.json", **config)


AUTO_MAP = {
    "AutoConfig": "configuration_evil.EvilConfig",
    "AutoModelForCausalLM": "modeling_evil.EvilForCausalLM",
    "AutoTokenizer": ["tokenization_evil.Evil", None],
}


def test_code_of_a_checkpoint_is_not_run_and_the_option_is_named(refused, model, marker):
    _own_code(
        model, marker, auto_map=AUTO_MAP, model_type="evil", architectures=["EvilForCausalLM"]
    )
    line = refused("check", model)
    assert "brings its own code" in line
    assert "--trust-remote-code" in line
    line = refused("residual-space", model, model, "--out", model.parent / "out")
    assert "--trust-remote-code" in line
    assert not marker.exists()


def test_code_beside_a_known_architecture_is_not_run(run, model, marker):
    _own_code(model, marker, auto_map=AUTO_MAP)
    change_json(model / "tokenizer_config.json", auto_map=AUTO_MAP)
    run("check", model)
    assert not marker.exists()


def test_with_the_option_it_would_run(run, model, marker):
    """The mutation: the planted code does write the marker where it is trusted."""
    _own_code(
        model, marker, auto_map=AUTO_MAP, model_type="evil", architectures=["EvilForCausalLM"]
    )
    run("check", model, "--trust-remote-code")
    assert marker.read_text(encoding="utf-8") == "ran"


PICKLES = ("pytorch_model.bin", "model.pt", "model.pkl", "model.pth", "model.ckpt", "model.joblib")


@pytest.mark.parametrize(
    "name", [PICKLES[0], *(pytest.param(x, marks=[pytest.mark.slow]) for x in PICKLES[1:])]
)
def test_pickled_weights_are_refused_and_never_read(refused, model, marker, name):
    (model / "model.safetensors").unlink()
    (model / name).write_bytes(pickle.dumps(Bomb(marker)))
    line = refused("check", model)
    assert name in line
    assert "safetensors" in line
    assert not marker.exists()


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_pickle_under_another_name_is_not_read(refused, model, marker, name):
    (model / name).write_bytes(pickle.dumps(Bomb(marker)))
    refused("check", model)
    assert not marker.exists()


def test_the_planted_pickle_does_run_where_it_is_loaded(marker):
    """The mutation: what `torch.load` without its guard, or `pickle`, makes of the same bytes."""
    pickle.loads(pickle.dumps(Bomb(marker)))
    assert marker.read_text(encoding="utf-8") == "ran"


def test_nothing_in_the_product_unpickles_what_others_wrote():
    """No `torch.load`, no `joblib`, no `allow_pickle`; pickle in the one place that is its own."""
    import ast

    root = Path(__file__).parents[2]
    found = {}
    for package in ("polyrefuse", "builders", "evaluation"):
        for path in (root / package).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            for node in ast.walk(ast.parse(text)):
                if _unpickles(node):
                    found.setdefault(path.name, []).append(node.lineno)
    assert set(found) == {"worker.py"}, found
    assert _unpickles(ast.parse("torch.load(x)").body[0].value)
    assert _unpickles(ast.parse("np.load(x, allow_pickle=True)").body[0].value)
    assert _unpickles(ast.parse("yaml.load(x)").body[0].value)


def _unpickles(node) -> bool:
    import ast

    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
    allow = any(
        word.arg == "allow_pickle" and getattr(word.value, "value", True) is not False
        for word in node.keywords
    )
    unsafe = {
        ("torch", "load"),
        ("pickle", "loads"),
        ("pickle", "load"),
        ("joblib", "load"),
        ("yaml", "load"),
        ("yaml", "load_all"),
        ("yaml", "unsafe_load"),
        ("yaml", "full_load"),
        ("dill", "load"),
        ("marshal", "loads"),
        ("shelve", "open"),
        ("pandas", "read_pickle"),
    }
    return allow or (owner, node.func.attr) in unsafe


def test_weights_that_are_cut_or_made_up(refused, model):
    path = model / "model.safetensors"
    whole = path.read_bytes()
    for content in (
        b"",
        whole[: len(whole) // 2],
        b"\xff" * 64,
        whole[:8] + b"{" * 2000,
        (2**62).to_bytes(8, "little") + b"{}",
        b"PK\x03\x04" + whole[4:200],
    ):
        path.write_bytes(content)
        assert str(model) in refused("check", model)


def test_tokenizers_that_do_not_fit(refused, model):
    path = model / "tokenizer.json"
    whole = json.loads(path.read_text(encoding="utf-8"))
    vocabulary = json.loads(json.dumps(whole))
    name = next(iter(vocabulary["model"]["vocab"]))
    vocabulary["model"]["vocab"][name] = 4_000_000_000
    negative = json.loads(json.dumps(whole))
    negative["model"]["vocab"][name] = -1
    empty = json.loads(json.dumps(whole))
    empty["model"]["vocab"] = {}
    empty["model"]["merges"] = []
    empty["added_tokens"] = []
    kind = json.loads(json.dumps(whole))
    kind["model"]["type"] = "Evil"
    for content in (vocabulary, negative, empty, kind, {"version": "1.0"}):
        path.write_text(json.dumps(content), encoding="utf-8")
        assert str(model) in refused("check", model)


def test_a_model_by_a_hostile_name(refused):
    for name in (
        "../../etc/passwd",
        "a\x1b[31mb",
        "-x",
        "org/../name",
        "/dev/null",
        "/dev/zero",
        "x" * 5000,
        "\udcff",
    ):
        refused("check", "--", name)
