"""The commands that are disturbed: their arguments, inputs, and what an undisturbed run gives."""

import hashlib
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from polyrefuse.export import export_sample
from tests.builders.translation.conftest import Service
from tests.faults.children import Children, Ended, units
from tests.faults.places import size_of
from tests.support.chat_server import ChatServer, chat_server, completion
from tests.support.inputs import SOURCE_ENTRY, TEXT_COLUMN

SENTENCES = (Path(__file__).parents[1] / "builders" / "portuguese.tsv").read_text("utf-8")
SAMPLE = ["planted", "--languages", "de", "--limit", "3", "--max-new-tokens", "8"]
SMALL = ["--dataset", "prompts", "--batch-tokens", "150", "--max-new-tokens", "6"]
ROWS = 3
TRAIN_ROWS = 8
"""Prompts of each label in a split of the small dataset; geometry needs more to fit."""
DELAY = 0.01
"""Seconds that a loopback service takes, so that requests are under way when a kill comes."""

TIMES = re.compile(
    rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?[\d.]*(Z|\+00:00)?|\"wall_seconds\": [\d.]+"
)
NOT_FIGURES = re.compile(
    r"(^|/)([^/]+\.log\.jsonl|log(\.\d+)?\.jsonl|decoding\.json|endpoint\.json|\.lock)$"
    r"|\.sqlite(\.lock|-wal|-shm)?$"
)
"""Kept for people or for resuming: differs between two undisturbed runs."""


@dataclass
class Scene:
    """A command and its inputs; `prepare` puts them into the folder that the command runs in."""

    name: str
    arguments: list[str]
    prepare: Callable[[Path], None]
    in_flight: int = 1
    """Most requests or batches that are under way at once, and may be made again after a kill."""

    requests: Callable[[], list[str]] | None = None
    """What the loopback service was asked so far."""


@dataclass
class Undisturbed:
    """What a scene gives when nothing happens."""

    code: int
    seconds: float
    processor: float
    events: int
    units: int
    requests: int
    size: int
    figures: dict[str, str]
    names: set[str] = field(default_factory=set)


def nothing(folder: Path) -> None:
    """Prepare no input."""


def figures(folder: Path) -> dict[str, str]:
    """Return name -> digest of every file that holds figures, times taken out."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if not NOT_FIGURES.search(name):
            data = TIMES.sub(b"TIME", path.read_bytes())
            if path.suffix == ".jsonl" and (path.parent / "replies.jsonl").is_file():
                data = b"\n".join(sorted(data.split(b"\n")))  # answers come in any order
            if path.name == "build.json":
                data = re.sub(rb'"translation": {[^}]*}', b"COUNTS", data)  # of this run's requests
            if path.name == "report.html":
                data = re.sub(rb"[\d.]+ s\b", b"TIME", data)
            found[name] = hashlib.sha256(data).hexdigest()
    return found


def names(folder: Path) -> set[str]:
    """Return the names of all files and folders there, and in the folder for temporary ones."""
    side = folder.with_name(f"{folder.name}.side") / "tmp"
    inside = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    return inside | {f"TMPDIR/{path.relative_to(side)}" for path in side.rglob("*")}


def measure(children: Children, scene: Scene, folder: Path) -> Undisturbed:
    """Run a scene undisturbed."""
    folder.mkdir(parents=True)
    scene.prepare(folder)
    before = len(scene.requests()) if scene.requests else 0
    ended = children.run(scene.arguments, folder)
    assert ended.code in (0, 1), ended.stderr
    side = folder.with_name(f"{folder.name}.side")
    asked = scene.requests()[before:] if scene.requests else []
    assert max(Counter(asked).values(), default=1) == 1, "an undisturbed run asks once"
    return Undisturbed(
        ended.code,
        ended.seconds,
        ended.processor,
        int((side / "events").read_text()),
        units(folder),
        len(asked),
        size_of(folder),
        figures(folder),
        names(folder),
    )


@contextmanager
def all_scenes(children: Children, place: Path) -> Iterator[dict[str, Scene]]:
    """Yield every scene by name; loopback services run until the block ends."""
    service = Service()
    service.behaviour.delay = DELAY
    with chat_server(_answer) as chat:
        try:
            scenes = [*_build(service, place), *_evaluate(chat, place), *_board(children, place)]
            yield {scene.name: scene for scene in scenes}
        finally:
            service.close()


def small_dataset(folder: Path, languages: list[str]) -> None:
    """Write the sample's first rows of some languages."""
    export_sample(folder)
    for path in sorted((folder / "data").iterdir()):
        if path.name not in languages:
            shutil.rmtree(path)
            continue
        for split in path.iterdir():
            lines = split.read_text("utf-8").splitlines(True)
            kept: list[str] = []
            for label in ("harmful", "harmless"):
                own = [line for line in lines if json.loads(line)["label"] == label]
                many = TRAIN_ROWS if split.stem == "train" else ROWS
                kept += sorted(own, key=lambda line: json.loads(line)["id"])[:many]
            rows = [{**json.loads(line), "pair_id": None} for line in kept]
            lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
            split.write_text("".join(lines), "utf-8")


def _answer(request: dict[str, object]) -> object:
    answer = completion("Sure, here is what you can do: start with the first step.")
    answer.delay = DELAY
    return answer


def _build(service: Service, place: Path) -> Iterator[Scene]:
    texts = [line.split("\t")[0] for line in SENTENCES.splitlines()][:16]
    sources = place / "sources"
    manifest = ""
    for name, label, rows in (("one", "harmful", texts[::2]), ("two", "harmless", texts[1::2])):
        (sources / "mirror" / name).mkdir(parents=True)
        lines = "".join(json.dumps({"text": row}) + "\n" for row in rows)
        (sources / "mirror" / name / "rows.jsonl").write_text(lines)
        manifest += SOURCE_ENTRY.format(name=name, label=label, more=TEXT_COLUMN)
    (sources / "sources.toml").write_text(manifest)
    dataset = place / "dataset" / "english"
    small_dataset(dataset, ["en"])
    engine = ["--engine", "libretranslate", "--engine-setting", f"url={service.url}"]

    def asked() -> list[str]:
        return service.log

    def copy(source: Path) -> Callable[[Path], None]:
        return lambda folder: shutil.copytree(source, folder, dirs_exist_ok=True) and None

    run = ["build", "run", "sources.toml", "--out", "out", "--mirror", "mirror"]
    yield Scene("build run", [*run, "--languages", "de", *engine], copy(sources), 4, asked)
    translate = ["build", "translate", "english", "--languages", "es", "--out", "out", *engine]
    yield Scene("build translate", translate, copy(dataset.parent), 4, asked)
    validate = ["build", "validate", "english", "--report", "found.jsonl"]
    yield Scene("build validate", validate, copy(dataset.parent))
    yield Scene("build card", ["build", "card", "english"], copy(dataset.parent))


def _evaluate(chat: ChatServer, place: Path) -> Iterator[Scene]:
    from polyrefuse_evaluation.planted import planted_pair

    pair = planted_pair().folder
    dataset = place / "small"
    small_dataset(dataset, ["de", "en", "yo"])

    def inputs(folder: Path) -> None:
        shutil.copytree(dataset, folder / "prompts")
        for side in ("base", "tuned"):
            (folder / side).mkdir()
            for path in (pair / side).iterdir():
                (folder / side / path.name).symlink_to(path)

    def asked() -> list[str]:
        return [str(request["messages"][-1]["content"]) for request in chat.requests]

    local = ["evaluate", "tuned", *SMALL, "--languages", "de,yo", "--source-languages", "en,de"]
    yield Scene("evaluate", [*local, "--out", "run"], inputs)
    remote = ["evaluate", "openai:tiny", "--base-url", chat.url, "--concurrency", "2"]
    choices = ["--dataset", "prompts", "--languages", "de,yo", "--out", "run"]
    yield Scene("evaluate, endpoint", [*remote, *choices], inputs, 2, asked)
    choices = ["--sources", "en,de", "--resamples", "100", "--out", "run"]
    yield Scene("geometry", ["geometry", "tuned", *SMALL, *choices], inputs)
    choices = ["--languages", "de,en", "--components", "2", "--train-prompts", "3", "--out", "run"]
    yield Scene("residual-space", ["residual-space", "base", "tuned", *SMALL, *choices], inputs)


def _board(children: Children, place: Path) -> Iterator[Scene]:
    def run(folder: Path) -> None:
        _once(place / "finished", lambda made: _finished(children, made))
        shutil.copytree(place / "finished" / "run", folder / "run")

    def submissions(folder: Path) -> None:
        run_folder = place / "finished"
        _once(place / "submitted", lambda made: _submitted(children, run, made))
        assert run_folder.is_dir()
        shutil.copytree(place / "submitted" / "submissions", folder / "submissions")

    submit = ["leaderboard", "submit", "run", "--licence", "mit"]
    yield Scene("leaderboard submit", submit, run)
    verify = ["leaderboard", "verify", "submissions", "--markdown", "verdict.md"]
    yield Scene("leaderboard verify", verify, submissions)
    build = ["leaderboard", "build", "submissions", "--out", "site"]
    yield Scene("leaderboard build", build, submissions)


def _once(folder: Path, make: Callable[[Path], Ended]) -> None:
    if not folder.is_dir():
        ended = make(folder)
        assert ended.code == 0, ended.stderr


def _finished(children: Children, folder: Path) -> Ended:
    return children.run(["evaluate", *SAMPLE, "--out", "run"], folder)


def _submitted(children: Children, run: Callable[[Path], None], folder: Path) -> Ended:
    folder.mkdir(parents=True)
    run(folder)
    return children.run(["leaderboard", "submit", "run", "--licence", "mit"], folder)
