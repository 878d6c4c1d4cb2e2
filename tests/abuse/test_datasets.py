"""Hostile dataset folders: one line and code 2, nothing written elsewhere, text recorded."""

import json
import os
import time
from pathlib import Path

import pytest

from polyrefuse.folder import read_prompts
from polyrefuse_evaluation.planted import planted_pair
from tests.abuse import seeds
from tests.abuse.terminal import HOSTILE_NAME

LINE = '{"id": "a"'
CONTENTS = {
    "not UTF-8": b"\xff\xfe{}\n",
    "UTF-16": '{"id": "a"}\n'.encode("utf-16"),
    "a byte-order mark": b"\xef\xbb\xbf{}\n",
    "NUL bytes": b"\x00" * 100 + b"\n",
    "a lone surrogate": b'{"id": "\\ud800"}\n',
    "surrogate bytes": b'{"id": "\xed\xa0\x80"}\n',
    "deep lists": b"[" * 500_000 + b"\n",
    "deep objects": b'{"a":' * 200_000 + b"\n",
    "a huge line": b'{"id": "' + b"x" * 20_000_000 + b'"}\n',
    "a huge number": b'{"id": ' + b"9" * 1_000_000 + b"}\n",
    "no line end": b"{" * 1_000_000,
    "many line ends": b"\n" * 2_000_000 + b"x\n",
    "NaN": b'{"id": NaN}\n',
    "a list": b"[1, 2]\n",
    "text": b'"text"\n',
    "one key twice": b'{"id": "a", "id": 7}\n',
    "unknown keys": b'{"__class__": "os.system", "__proto__": {}}\n',
    "a pickle": b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94\x93\x94.",
    "gzip": b"\x1f\x8b\x08\x00" + b"\x00" * 64,
}


@pytest.mark.parametrize("name", CONTENTS)
def test_files_that_hold_no_rows(refused, dataset, name):
    path = dataset / "data" / "en" / "test.jsonl"
    path.write_bytes(CONTENTS[name])
    started = time.process_time()
    line = refused("data", "check", dataset)
    assert str(path) in line
    assert len(line) < 1000
    assert time.process_time() - started < 10


@pytest.mark.parametrize("place", ["errata.jsonl", "data/en/train.jsonl"])
def test_errata_and_rows_of_wrong_types(refused, dataset, place):
    path = dataset / place
    for value in (None, 7, [], {}, True, ["x" * 1000] * 1000, {"a": {"b": {}}}):
        for field in ("kind", "ids", "detail", "id", "prompt", "label", "qa", "split"):
            path.write_text(json.dumps({"kind": "k", "detail": "d", field: value}) + "\n", "utf-8")
            fits = {"ids": isinstance(value, list), "label": value is None, "split": value is None}
            if place != "errata.jsonl" or not fits.get(field):
                assert str(path) in refused("data", "check", dataset), (field, value)


def test_a_bomb_of_errata_takes_seconds_not_hours(run, dataset):
    erratum = {
        "kind": "missing",
        "language": "*",
        "ids": [f"id-{n}" for n in range(200)],
        "detail": "x",
    }
    (dataset / "errata.jsonl").write_text((json.dumps(erratum) + "\n") * 500, encoding="utf-8")
    started = time.process_time()
    assert run("data", "check", dataset).code == 0
    assert time.process_time() - started < 20


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


ODD_FILES = {
    "a pipe": _pipe,
    "a device": _device,
    "a folder": Path.mkdir,
    "a loop": _loop,
    "a dangling link": lambda path: path.symlink_to("nowhere"),
}
PLACES = {
    "data/en/test.jsonl": ["evaluate", "planted", "--dataset", "{dataset}", "--out", "{out}"],
    "README.md": ["data", "check", "{dataset}"],
    "data": ["data", "check", "{dataset}"],
    "run/result.json": ["report", "{dataset}/run"],
    "recipe.toml": ["build", "run", "{dataset}/recipe.toml", "--out", "{out}"],
    "rows.jsonl": ["judge", "{dataset}/rows.jsonl", "--judge", "keyword", "--out", "{out}"],
    "reference.jsonl": [
        "calibrate",
        "--judge",
        "keyword",
        "--reference",
        "{dataset}/reference.jsonl",
    ],
    "results_1.json": ["import-run", "{dataset}/results_1.json", "--out", "{out}"],
    "template.jinja": ["check", "{model}", "--chat-template", "{dataset}/template.jinja"],
}


ODD_PLACES = [
    (place, kind)
    for place in PLACES
    for kind in ODD_FILES
    if (place, kind) != ("data", "a folder")  # one belongs there
]


@pytest.mark.parametrize(("place", "kind"), ODD_PLACES)
@pytest.mark.timeout(60)
def test_pipes_devices_and_loops_where_files_should_be(refused, dataset, tmp_path, place, kind):
    path = dataset / place
    if path.is_dir():
        path.rename(dataset / "moved")
    path.unlink(missing_ok=True)
    path.parent.mkdir(exist_ok=True)
    ODD_FILES[kind](path)
    names = {
        "dataset": dataset,
        "out": tmp_path / "out",
        "model": planted_pair("single").folder / "tuned",
    }
    refused(*(part.format(**names) for part in PLACES[place]))


def test_a_link_out_of_the_folder_is_read_but_never_published_nor_written_through(
    refused, run, dataset, tmp_path
):
    """Reading follows links, as the Hub's cache needs; what is read must be rows all the same."""
    secret = tmp_path / "secret"
    secret.write_text("PASSWORD\n", encoding="utf-8")
    path = dataset / "data" / "en" / "test.jsonl"
    kept = path.read_bytes()
    path.unlink()
    path.symlink_to(secret)
    assert "PASSWORD" not in refused("data", "check", dataset)
    path.unlink()
    path.write_bytes(kept)
    (dataset / "datasheet.md").symlink_to(secret)
    assert "is a link" in refused("build", "card", dataset)
    (dataset / "datasheet.md").unlink()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "de.md").write_text("mine", encoding="utf-8")
    (dataset / "languages").symlink_to(outside)
    assert "is a link" in refused("build", "card", dataset)
    assert (outside / "de.md").read_text(encoding="utf-8") == "mine"
    assert secret.read_text(encoding="utf-8") == "PASSWORD\n"


def test_without_the_check_the_link_would_be_written_through(run, dataset, tmp_path, monkeypatch):
    """The mutation."""
    monkeypatch.setattr("polyrefuse_builders.documents.render.require_own_files", lambda *_: None)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "de.md").write_text("mine", encoding="utf-8")
    (dataset / "languages").symlink_to(outside)
    assert run("build", "card", dataset).code == 0
    assert sorted(path.name for path in outside.iterdir()) == ["en.md", "th.md"]


@pytest.mark.parametrize("name", ["completions.jsonl", ".settings.json.partial", "figures"])
def test_a_run_directory_with_links_is_not_written_into(refused, tmp_path, name):
    outside, out = tmp_path / "outside", tmp_path / "run"
    outside.mkdir()
    out.mkdir()
    (out / name).symlink_to(outside if name == "figures" else outside / "file")
    assert "is a link" in refused("evaluate", "planted", "--limit", "1", "--out", out)
    assert "is a link" in refused("report", out)
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("name", ["completions.jsonl", "settings.json", ".lock"])
@pytest.mark.timeout(60)
def test_a_run_directory_with_a_pipe_is_not_written_into(refused, tmp_path, name):
    (tmp_path / "run").mkdir()
    os.mkfifo(tmp_path / "run" / name)
    line = refused("evaluate", "planted", "--limit", "1", "--out", tmp_path / "run")
    assert f"{name}: is no plain file" in line


@pytest.mark.parametrize("name", [".lock", "settings.json", "log.jsonl", "result.json"])
@pytest.mark.timeout(60)
def test_status_does_not_wait_for_a_pipe(run, tmp_path, name):
    (tmp_path / "log.jsonl").write_bytes(seeds.LOG)
    (tmp_path / "settings.json").write_text("{}", encoding="utf-8")
    (tmp_path / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / name)
    assert run("status", tmp_path).code == 0


ODD_LANGUAGES = ["..x", "EN", "en ", "de\x1b[2J", "-x", "x" * 200, "é", "__pycache__", "\u202een"]


@pytest.mark.parametrize("name", ODD_LANGUAGES)
def test_language_folders_with_odd_names(refused, dataset, name):
    (dataset / "data" / name).mkdir()
    assert "is no known language" in refused("data", "check", dataset)


def test_a_file_name_that_is_no_utf8(refused, dataset):
    os.mkdir(os.fsencode(dataset / "data") + b"/\xff\xfe")  # noqa: PTH102
    assert "is no known language" in refused("data", "check", dataset)
    refused("data", "check", os.fsdecode(os.fsencode(dataset) + b"/\xff"))


NAMES = [
    HOSTILE_NAME.replace("/", ""),
    "-rf",
    "--help",
    "a b\nc",
    "x" * 200,
    "'; touch x; '",
    "$(touch x)",
    "\udcff",
    "ไทย",
]


@pytest.mark.parametrize("name", NAMES)
def test_folders_and_outputs_by_odd_names(run, dataset, tmp_path, name):
    folder = dataset.rename(tmp_path / name)
    assert run("data", "check", folder).code == 0
    done = run(
        "judge", folder / "nothing.jsonl", "--judge", "keyword", "--out", tmp_path / name / "o"
    )
    assert done.code == 2
    assert run("data", "export", tmp_path / "out" / name).code == 0
    assert (tmp_path / "out" / name / "README.md").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "out"])


def test_path_traversal_in_ids_and_names_stays_text(run, dataset, tmp_path):
    for path in (dataset / "data").rglob("*.jsonl"):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for row in rows:
            row["id"] = f"../../../{row['id']}"
            row["pair_id"] = None
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    before = {path for path in tmp_path.rglob("*") if dataset not in path.parents}
    assert run("data", "check", dataset).code == 0
    assert run("build", "card", dataset).code == 0
    assert {path for path in tmp_path.rglob("*") if dataset not in path.parents} == before


@pytest.mark.parametrize("revision", ["../../../../x", "/etc", "a/b", "..", "a\x00b", ""])
def test_a_manifest_cannot_name_a_place_outside_of_the_downloads(refused, tmp_path, revision):
    from tests.abuse import seeds

    text = seeds.MANIFEST_TOML.decode().replace('host = "folder"', 'host = "url"')
    text = text.replace("a" * 40, revision.replace("\x00", "\\u0000"))
    (tmp_path / "sources.toml").write_text(text, encoding="utf-8")
    assert "revision" in refused(
        "build", "run", tmp_path / "sources.toml", "--out", tmp_path / "out"
    )


def test_hostile_text_in_prompts_is_data(dataset):
    """10 MB, controls, overrides, combining marks: read as they are."""
    path = dataset / "data" / "en" / "test.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    texts = [
        "x" * 10_000_000,
        "\x00\x1b[2J",
        "\u202e\u2066",
        "Z" + "\u0300" * 1000,
        "</script>",
        "{{7*7}}",
    ]
    for row, text in zip(rows, texts, strict=False):
        row["prompt"] = text
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    read = [row.prompt for row in read_prompts(dataset, ["en"], ["test"])]
    assert read[: len(texts)] == texts
