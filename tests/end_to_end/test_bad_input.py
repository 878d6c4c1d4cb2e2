"""Bad input to `polyrefuse evaluate`: one line that names place and remedy, exit code 2."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from polyrefuse.cli import main
from tests.support.inputs import copy_english_and_thai, copy_planted_model

ROOT = Path(__file__).parents[2]


@dataclass
class Done:
    """How a command ended."""

    returncode: int
    stderr: str


@pytest.fixture
def evaluate(monkeypatch, capsys):
    """Return a function that runs `polyrefuse evaluate` as `main` does, in this process."""

    def run(*arguments: str, out: Path) -> Done:
        monkeypatch.setattr(sys, "argv", ["polyrefuse", "evaluate", *arguments, "--out", str(out)])
        with pytest.raises(SystemExit) as stop:
            main()
        return Done(int(stop.value.code or 0), capsys.readouterr().err)

    return run


def assert_refused(done: Done, *parts: str) -> None:
    problem = [x for x in done.stderr.splitlines() if x.startswith("polyrefuse:")]
    assert done.returncode == 2, done.stderr
    assert len(problem) == 1, done.stderr
    assert "Traceback" not in done.stderr
    for part in parts:
        assert part in problem[0], problem[0]


@pytest.fixture
def dataset(tmp_path) -> Path:
    """A small dataset folder: English and Thai of the sample."""
    return copy_english_and_thai(tmp_path / "dataset")


@pytest.fixture
def model_folder(tmp_path) -> Path:
    return copy_planted_model(tmp_path / "model")


def edit(path: Path, change) -> None:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(change(lines)), encoding="utf-8")


def test_unknown_language(evaluate, tmp_path):
    done = evaluate("planted", "--languages", "en,xx", out=tmp_path / "run")
    assert_refused(done, "unknown language 'xx'", "Known languages")


@pytest.mark.parametrize("option", ["--languages", "--source-languages"])
@pytest.mark.parametrize("text", ["", " , "])
def test_languages_that_name_none(evaluate, tmp_path, option, text):
    done = evaluate("planted", option, text, out=tmp_path / "run")
    assert_refused(done, "no language given", "'en,de'")


def test_language_that_the_dataset_lacks(evaluate, tmp_path, dataset):
    done = evaluate("planted", "--dataset", str(dataset), "--languages", "de", out=tmp_path / "run")
    assert_refused(done, "has no language 'de'", "en, th")


def test_missing_split(evaluate, tmp_path, dataset):
    (dataset / "data/th/test.jsonl").unlink()
    done = evaluate("planted", "--dataset", str(dataset), out=tmp_path / "run")
    assert_refused(done, "th/test.jsonl", "split 'test' is missing")


def test_dataset_folder_without_readme(evaluate, tmp_path, dataset):
    (dataset / "README.md").unlink()
    done = evaluate("planted", "--dataset", str(dataset), out=tmp_path / "run")
    assert_refused(done, "README.md is missing", "polyrefuse data export")


def test_unequal_ids(evaluate, tmp_path, dataset):
    edit(dataset / "data/th/test.jsonl", lambda lines: lines[1:])
    done = evaluate("planted", "--dataset", str(dataset), out=tmp_path / "run")
    assert_refused(done, "missing: language th, test, id ", "polyrefuse data check")


def test_duplicate_ids(evaluate, tmp_path, dataset):
    edit(dataset / "data/th/test.jsonl", lambda lines: [lines[0], *lines])
    done = evaluate("planted", "--dataset", str(dataset), out=tmp_path / "run")
    assert_refused(done, "duplicate_id: language th, test, id ")


def test_empty_prompt(evaluate, tmp_path, dataset):
    def empty(lines):
        return [json.dumps({**json.loads(lines[0]), "prompt": " "}) + "\n", *lines[1:]]

    edit(dataset / "data/th/test.jsonl", empty)
    done = evaluate("planted", "--dataset", str(dataset), out=tmp_path / "run")
    assert_refused(done, "empty: language th, test, id ", "prompt is empty")


def test_line_that_is_not_utf8(evaluate, tmp_path, dataset):
    path = dataset / "data/en/train.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], b'{"id": "\xff"}\n', *lines[2:]]))
    done = evaluate("planted", "--dataset", str(dataset), out=tmp_path / "run")
    assert_refused(done, "en/train.jsonl, line 2", "not UTF-8")


def test_source_language_without_harmful_train_prompts(evaluate, tmp_path, dataset):
    for language in ("en", "th"):
        edit(
            dataset / "data" / language / "train.jsonl",
            lambda lines: [x for x in lines if json.loads(x)["label"] == "harmless"],
        )
    done = evaluate(
        "planted", "--dataset", str(dataset), "--source-languages", "th", out=tmp_path / "run"
    )
    assert_refused(done, "dangling_pair", "polyrefuse data check")
    for language in ("en", "th"):
        for split in ("train", "validation", "test"):
            edit(
                dataset / "data" / language / f"{split}.jsonl",
                lambda lines: [
                    json.dumps({**json.loads(x), "pair_id": None}) + "\n" for x in lines
                ],
            )
    done = evaluate(
        "planted", "--dataset", str(dataset), "--source-languages", "th", out=tmp_path / "run"
    )
    assert_refused(done, "source language 'th' has no harmful train prompts")


@pytest.mark.parametrize("limit", ["0", "-3"])
def test_limit_below_one(evaluate, tmp_path, limit):
    done = evaluate("planted", "--limit", limit, out=tmp_path / "run")
    assert_refused(done, f"--limit is {limit}", "at least 1")


@pytest.mark.parametrize("seed", ["-1", "9223372036854775808"])
def test_seed_that_no_generator_takes(evaluate, tmp_path, seed):
    done = evaluate("planted", "--seed", seed, out=tmp_path / "run")
    assert_refused(done, f"--seed is {seed}", "from 0 to 9223372036854775807")


def test_completions_that_are_not_kept_cannot_be_shown(evaluate, tmp_path):
    done = evaluate("planted", "--no-store-completions", "--show-completions", out=tmp_path / "run")
    assert_refused(done, "--show-completions", "--no-store-completions")
    assert not (tmp_path / "run").exists()


def test_system_prompt_that_is_not_utf8(evaluate, tmp_path):
    done = evaluate("planted", "--system-prompt", "Be brief\udcff.", out=tmp_path / "run")
    assert_refused(done, "--system-prompt is not UTF-8")


@pytest.mark.parametrize("size", ["", "two"])
def test_number_of_processes_that_is_none(evaluate, tmp_path, monkeypatch, size):
    monkeypatch.setenv("WORLD_SIZE", size)
    done = evaluate("planted", "--limit", "1", out=tmp_path / "run")
    assert_refused(done, f"WORLD_SIZE is {size!r}")


def test_model_folder_without_tokenizer(evaluate, tmp_path, model_folder):
    for path in model_folder.glob("*token*"):
        path.unlink()
    assert_refused(
        evaluate(str(model_folder), out=tmp_path / "run"), "tokenizer", str(model_folder)
    )


def test_model_folder_without_chat_template(evaluate, tmp_path, model_folder):
    for path in model_folder.glob("chat_template*"):
        path.unlink()
    config = model_folder / "tokenizer_config.json"
    settings = json.loads(config.read_text(encoding="utf-8"))
    settings.pop("chat_template", None)
    config.write_text(json.dumps(settings), encoding="utf-8")
    done = evaluate(str(model_folder), out=tmp_path / "run")
    assert_refused(done, "no chat template", "--chat-template")


def test_encoder_decoder_model(evaluate, tmp_path):
    from transformers import T5Config

    T5Config().save_pretrained(tmp_path / "t5")
    done = evaluate(str(tmp_path / "t5"), out=tmp_path / "run")
    assert_refused(done, "encoder-decoder", "decoder-only")


def test_model_that_does_not_exist(evaluate, tmp_path):
    done = evaluate("./no/such/model", out=tmp_path / "run")
    assert_refused(done, "./no/such/model", "could not be loaded")


def test_unknown_judge(evaluate, tmp_path):
    assert_refused(evaluate("planted", "--judge", "oracle", out=tmp_path / "run"), "'oracle'")


def test_run_directory_that_cannot_be_written(evaluate, tmp_path):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    done = evaluate("planted", "--limit", "1", out=tmp_path / "file" / "run")
    assert_refused(done, "cannot be written", "--out")


def test_folder_that_is_no_run_directory_is_left_alone(evaluate, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("precious", encoding="utf-8")
    done = evaluate("planted", "--limit", "1", out=tmp_path / "thesis")
    assert_refused(done, "is no run directory", "chapter.tex")
    assert (tmp_path / "thesis" / "chapter.tex").read_text(encoding="utf-8") == "precious"


def test_full_disk(tmp_path, monkeypatch):
    """`/dev/full` stands in for the disk: every write to the records fails with ENOSPC."""
    from polyrefuse.errors import RunDirectoryError
    from polyrefuse_evaluation import Options
    from polyrefuse_evaluation import evaluate as run

    out = tmp_path / "run"
    options = Options(languages="en", limit=1)

    def fill(*_args, **_kwargs):
        (out / "selection.jsonl").symlink_to("/dev/full")
        return {}

    monkeypatch.setattr("polyrefuse_evaluation.select_directions._read_done", fill)
    with pytest.raises(RunDirectoryError, match=r"No space left on device.*it resumes"):
        run("planted", out, options=options)
