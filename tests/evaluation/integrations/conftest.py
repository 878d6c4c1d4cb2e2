"""The same prompts and model, asked by lm_eval, by inspect and by `polyrefuse evaluate`."""

import json
import os
import subprocess
import sysconfig
from pathlib import Path

import pytest

from polyrefuse.export import export_sample
from polyrefuse_evaluation import Options, evaluate
from polyrefuse_evaluation.planted import planted_pair

ROOT = Path(__file__).parents[3]
TASKS = ROOT / "integrations" / "lm_eval"
LIMIT = 2
NEW_TOKENS = 24
INSPECT_LANGUAGES = ("en", "th", "yo")


def run_tool(name: str, *arguments: object, cwd: Path) -> str:
    """Run an installed command offline, from a folder that is not the repository."""
    tool = Path(sysconfig.get_path("scripts")) / name
    done = subprocess.run(
        [tool, *map(str, arguments)],
        cwd=cwd,
        env=os.environ
        | {
            "HF_HUB_OFFLINE": "1",
            "HF_HOME": str(cwd / "hf"),
            "XDG_DATA_HOME": str(cwd / "data"),  # Inspect's traces
            "XDG_CACHE_HOME": str(cwd / "cache"),
            "OMP_NUM_THREADS": "1",
            "INSPECT_DISPLAY": "plain",
            "TOKENIZERS_PARALLELISM": "false",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="session")
def planted_folder() -> Path:
    """The planted model as a checkpoint on disk."""
    return planted_pair("single").folder / "tuned"


@pytest.fixture(scope="session")
def dataset_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported dataset folder: not the packaged one."""
    folder = tmp_path_factory.mktemp("dataset") / "polyrefuse"
    export_sample(folder)
    return folder


@pytest.fixture(scope="session")
def ask_lm_eval(planted_folder, dataset_folder, tmp_path_factory):
    """Return a function that runs lm_eval itself: (tasks, *options) -> folder of its log."""

    def ask(tasks: str, *options: object) -> Path:
        out = tmp_path_factory.mktemp("lm_eval")
        metadata = {"dataset": str(dataset_folder), "limit_per_label": LIMIT}
        run_tool(
            "lm_eval",
            *("run", "--model", "hf", "--device", "cpu", "--batch_size", 16),
            *("--model_args", f"pretrained={planted_folder},dtype=float32,add_bos_token=False"),
            *("--tasks", tasks, "--include_path", TASKS, "--metadata", json.dumps(metadata)),
            *("--gen_kwargs", f"max_gen_toks={NEW_TOKENS}", "--log_samples"),
            *("--output_path", out / "log", *options),
            cwd=out,
        )
        return out / "log"

    return ask


@pytest.fixture(scope="session")
def lm_eval_log(ask_lm_eval) -> Path:
    """A log of the whole group."""
    return ask_lm_eval("polyrefuse", "--apply_chat_template")


@pytest.fixture(scope="session")
def inspect_log(planted_folder, dataset_folder, tmp_path_factory) -> Path:
    """A log of `inspect eval` itself."""
    out = tmp_path_factory.mktemp("inspect")
    run_tool(
        "inspect",
        *("eval", "polyrefuse/refusal", "--model", "hf/local", "--log-format", "json"),
        *("-M", f"model_path={planted_folder}", "-M", "device=cpu", "-M", "do_sample=false"),
        *("-M", 'tokenizer_call_args={"add_special_tokens": false}'),
        *("-T", f"dataset={dataset_folder}", "-T", f"languages={','.join(INSPECT_LANGUAGES)}"),
        *("-T", f"limit={LIMIT}", "-T", f"max_new_tokens={NEW_TOKENS}"),
        *("--log-dir", out / "log"),
        cwd=out,
    )
    return next((out / "log").glob("*.json"))


@pytest.fixture(scope="session")
def own_run(planted_folder, dataset_folder, tmp_path_factory):
    """What `polyrefuse evaluate` gives: (result, run directory)."""
    out = tmp_path_factory.mktemp("own") / "run"
    options = Options(limit=LIMIT, max_new_tokens=NEW_TOKENS, train_prompts=8, method="hooks")
    return evaluate(str(planted_folder), out, dataset=dataset_folder, options=options), out
