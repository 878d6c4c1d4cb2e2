"""A dataset or a model folder that is changed under a run: refused, and what changed is named."""

import json
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.faults import tally
from tests.faults.disturb import Case

FULL = tally.FORM == "full"
SCENES = ["evaluate", "geometry", "residual-space"] if FULL else ["evaluate"]


def change_dataset(folder: Path) -> Path:
    path = folder / "prompts" / "data" / "de" / "test.jsonl"
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    rows[0]["prompt"] += " Bitte!"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def change_model(folder: Path) -> Path:
    import torch
    from safetensors.torch import load_file, save_file

    path = next((folder / "tuned").glob("*.safetensors"))
    tensors = load_file(path)
    name = sorted(tensors)[0]
    tensors[name] = tensors[name] + torch.full_like(tensors[name], 1e-3)
    path.unlink()  # a link to the shared checkpoint
    save_file(tensors, path, metadata={"format": "pt"})
    return path


CHANGES = {"dataset": change_dataset, "model": change_model}
KEYS = {"dataset": ("dataset_digest", "dataset:"), "model": ("weights_digest", "tuned_digest")}


@pytest.mark.parametrize("what", ["dataset", "model"] if FULL else ["dataset"])
@pytest.mark.parametrize("scene", SCENES)
def test_changed_between_two_runs(children, scenes, undisturbed, tmp_path, scene, what):
    expected, folder = undisturbed(scene), tmp_path / "case"
    fault = f"{what} changed between runs, {scene}"
    case = Case(children, scenes[scene], expected, folder, fault).prepare()
    case.kill(signal.SIGKILL, {"event": expected.events // 2})
    kept = tmp_path / "kept"
    shutil.copytree(folder, kept, symlinks=True)
    CHANGES[what](folder)
    refused = case.run()
    said = refused.complaint[-1]
    assert refused.code == 2, refused.stderr
    assert "was made with other settings" in said
    assert any(key in said for key in KEYS[what])
    for name in ("prompts", "tuned"):
        shutil.rmtree(folder / name)
        shutil.copytree(kept / name, folder / name, symlinks=True)
    case.settle()
    case.require_sound()


@pytest.mark.parametrize("what", ["dataset", "model"] if FULL else ["model"])
@pytest.mark.parametrize("scene", SCENES)
def test_changed_while_it_runs(children, scenes, undisturbed, tmp_path, scene, what):
    expected, folder = undisturbed(scene), tmp_path / "case"
    fault = f"{what} changed during a run, {scene}"
    case = Case(children, scenes[scene], expected, folder, fault).prepare()
    kept = tmp_path / "kept"
    shutil.copytree(folder, kept, symlinks=True)
    child = children.start(case.scene.arguments, folder)
    settings = folder / "run" / "settings.json"
    while not settings.is_file():
        time.sleep(0.001)
    changed = CHANGES[what](folder)
    refused = child.wait()
    said = refused.complaint[-1] if refused.complaint else ""
    assert refused.code == 2, refused.stderr
    assert f"{changed.relative_to(folder)}: was changed while the run was going on" in said
    assert len(refused.complaint) == 1
    assert not (folder / "run" / "result.json").exists()
    for name in ("prompts", "tuned"):
        shutil.rmtree(folder / name)
        shutil.copytree(kept / name, folder / name, symlinks=True)
    case.interruptions += 1
    case.settle()
    case.require_sound()
