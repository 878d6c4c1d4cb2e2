"""The whole build: killed and resumed, failed rows, a 15th language, and every error."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import datasets
import pytest

import polyrefuse
from polyrefuse.check import check_folder
from polyrefuse.errors import DatasetError, UnknownLanguageError
from polyrefuse.folder import read_prompts
from polyrefuse.languages import LANGUAGES, Language
from polyrefuse.observing import read_log
from polyrefuse.observing.status import read_status
from polyrefuse_builders.build import run_build
from polyrefuse_builders.sources import ManifestError
from polyrefuse_builders.translate_folder import translate_folder
from polyrefuse_builders.translation import EngineError, RejectedText
from polyrefuse_builders.translation.engine import FailureKind
from tests.support.inputs import SOURCE_ENTRY, TEXT_COLUMN

ROOT = Path(__file__).parents[2]
UPSTREAM = ROOT.parent / "shared" / "upstream"
PORTUGUESE = Path(__file__).parent / "portuguese.tsv"

SENTENCES = dict(line.split("\t") for line in PORTUGUESE.read_text("utf-8").splitlines())


class FakeEngine:
    """Translates from a table; what is not in it becomes reversed words."""

    name = "fake"
    revision = "1"
    pairs = None
    max_characters = 1000
    requests_per_second = None
    max_concurrency = 4
    timeout_seconds = 5.0

    def __init__(self, table: dict[str, str] | None = None, refuses: set[str] = frozenset()):
        self.table = table or {}
        self.refuses = set(refuses)
        self.asked: Counter[tuple[str, str]] = Counter()

    @property
    def languages(self) -> dict[str, str]:
        return {code: code for code in LANGUAGES}

    async def translate(self, text: str, source: str, target: str) -> str:
        self.asked[target, text] += 1
        if text in self.refuses:
            raise RejectedText(FailureKind.EMPTY, "nothing came back")
        return self.table.get(text) or " ".join(word[::-1] for word in text.split())

    async def close(self) -> None:
        pass


@pytest.fixture
def place(tmp_path):
    """A manifest of two sources with a mirror, from the table of sentences."""
    texts = list(SENTENCES)
    parts = {"one": ("harmful", texts[::2]), "two": ("harmless", texts[1::2])}
    manifest = ""
    for name, (label, rows) in parts.items():
        (tmp_path / "mirror" / name).mkdir(parents=True)
        lines = "".join(json.dumps({"text": row}) + "\n" for row in rows)
        (tmp_path / "mirror" / name / "rows.jsonl").write_text(lines)
        manifest += SOURCE_ENTRY.format(name=name, label=label, more=TEXT_COLUMN)
    (tmp_path / "sources.toml").write_text(manifest)
    return tmp_path


def build(place, engine=None, languages="pt", out="out", **options):
    options = {"mirror": place / "mirror"} | options
    manifest = options.pop("manifest", place / "sources.toml")
    return run_build(manifest, place / out, engine=engine, languages=languages, **options)


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture
def portuguese(monkeypatch):
    """What adding a language takes: one entry in languages.py."""
    language = Language("pt", "Portuguese", "Português", "por_Latn")
    monkeypatch.setitem(LANGUAGES, "pt", language)


def test_a_15th_language_goes_from_nothing_to_a_built_config(place, portuguese):
    report = build(place, FakeEngine(SENTENCES))
    assert report.ok, [str(row) for row in report.validation.rows if row.reasons]
    rows = [row for row in report.prompts if row.language == "pt"]
    assert {row.prompt_en: row.prompt for row in rows} == SENTENCES
    assert all(row.qa for row in rows), "every row carries the evidence for its quality"
    assert check_folder(report.out).ok
    loaded = datasets.load_dataset(str(report.out), "pt", cache_dir=str(place / "cache"))
    assert sum(len(split) for split in loaded.values()) == len(SENTENCES)
    assert len(polyrefuse.load("pt", source=report.out)) == len(SENTENCES)
    assert "Portuguese" in (report.out / "README.md").read_text("utf-8")


def test_the_log_counts_texts_by_language_and_a_resumed_build_says_what_it_had(place):
    engine = FakeEngine()
    build(place, engine, "de,fr", limit=3)
    build(place, engine, "de,fr")
    status = read_status(place / "out")
    assert (status.state, status.sessions) == ("finished", 2)
    assert [(stage.name, stage.state) for stage in status.stages] == [
        (name, "done") for name in ("sources", "translate", "validate", "write")
    ]
    translate, checked = status.stages[1:3]
    texts = len(SENTENCES)
    assert (translate.done, translate.total) == (2 * texts, 2 * texts)
    assert {(x.language, x.done) for x in translate.parts} == {("de", texts), ("fr", texts)}
    assert checked.total == 3 * texts
    lines = read_log(place / "out.build" / "log.jsonl")
    begun = [x.done for x in lines if x.stage == "translate" and x.language == "de" and x.total]
    assert begun[0] == 0
    assert 6 in begun  # of the first build's three prompts a source
    assert not [text for text in SENTENCES if text in (place / "out.build/log.jsonl").read_text()]


def test_running_again_asks_nothing_and_gives_the_same_bytes(place):
    engine = FakeEngine()
    first = build(place, engine, "de,fr")
    before, asked = contents(first.out), engine.asked.copy()
    second = build(place, engine, "de,fr")
    assert contents(second.out) == before
    assert engine.asked == asked
    assert set(asked.values()) == {1}
    assert len(asked) == 2 * len(SENTENCES)
    assert second.outcome.counts.requests == 0
    build(place, engine, "de,fr", cache=place / "another.sqlite")
    assert set(engine.asked.values()) == {2}, "without its cache a build does ask again"


def test_failed_rows_are_listed_with_their_reason_and_retried_on_request(place):
    lost = next(iter(SENTENCES))
    engine = FakeEngine(refuses={lost})
    report = build(place, engine, "de")
    assert not report.ok
    assert [(row.language, row.kind) for row in report.outcome.failures] == [("de", "empty")]
    missing = [erratum for erratum in report.errata if erratum.kind == "missing"]
    assert [(e.language, len(e.ids)) for e in missing] == [("de", 1)]
    assert "nothing came back" in missing[0].detail
    assert all(row.prompt for row in report.prompts), "no empty prompt is published"
    assert report.unlisted == []
    assert check_folder(report.out).ok

    engine.refuses.clear()
    build(place, engine, "de")
    assert engine.asked["de", lost] == 1, "a failure is kept until a retry is asked for"
    before = engine.asked.total()
    again = build(place, engine, "de", retry_failed=True)
    assert again.outcome.ok
    assert engine.asked["de", lost] == 2
    failed = sum(row.verdict == "failed" for row in report.validation.rows)
    assert engine.asked.total() - before <= 1 + failed, "only what failed was asked for again"


def test_what_validation_fails_is_kept_marked_and_handed_back(place, portuguese):
    wrong = next(iter(SENTENCES))
    engine = FakeEngine(SENTENCES | {wrong: wrong + " Sorry, as an AI I left this in English."})
    report = build(place, engine)
    failed = [row for row in report.prompts if row.status == "failed"]
    assert [row.prompt_en for row in failed] == [wrong]
    assert any(check.verdict == "failed" for check in failed[0].qa)
    listed = [erratum for erratum in report.errata if erratum.kind == "failed_row"]
    assert [erratum.ids for erratum in listed] == [[failed[0].id]]
    assert check_folder(report.out).ok
    engine.table = SENTENCES
    mended = build(place, engine, retry_failed=True)
    assert mended.ok
    assert engine.asked["pt", wrong] == 2
    assert engine.asked.total() == len(SENTENCES) + 1


def test_english_alone_needs_no_engine(place):
    report = build(place, None, "en")
    assert {row.language for row in report.prompts} == {"en"}
    assert check_folder(report.out).ok


def test_the_record_holds_the_figures(place):
    report = build(place, FakeEngine(), "de")
    record = json.loads((report.state / "build.json").read_text())
    assert record["read"] == report.prepared.read
    assert record["translation"]["requests"] == len(SENTENCES)
    assert record["prompts"] == len(SENTENCES)
    lines = (report.state / "validation.jsonl").read_text().splitlines()
    assert len(lines) == len(report.prompts)


def test_a_language_is_added_to_a_folder_that_exists(place, portuguese):
    first = build(place, FakeEngine(), "de")
    engine = FakeEngine(SENTENCES, refuses={next(iter(SENTENCES))})
    report = translate_folder(first.out, place / "more", "pt", engine=engine)
    assert [row for row in report.prompts if row.language != "pt"] == first.prompts
    assert sum(row.language == "pt" for row in report.prompts) == len(SENTENCES) - 1
    assert [e.language for e in report.errata if e.kind == "missing"] == ["pt"]
    assert check_folder(report.out).ok
    assert "Source one" in (report.out / "README.md").read_text("utf-8")
    engine.refuses.clear()
    options = {"engine": engine, "retry_failed": True}
    assert translate_folder(first.out, place / "more", "pt", **options).ok
    assert engine.asked.total() == len(SENTENCES) + 1
    with pytest.raises(DatasetError, match="has language 'de' already"):
        translate_folder(first.out, place / "again", "de", engine=engine)
    with pytest.raises(EngineError, match="unknown engine"):
        translate_folder(first.out, place / "again", "pt", engine="none")
    deaf = FakeEngine(refuses=set(SENTENCES))
    with pytest.raises(DatasetError, match=r"no row could be translated: .* empty"):
        translate_folder(first.out, place / "again", "pt", engine=deaf)
    shutil.rmtree(first.out / "data" / "en")
    with pytest.raises(DatasetError, match="has no English rows"):
        translate_folder(first.out, place / "again", "pt", engine=engine)


@pytest.mark.parametrize(
    ("engine", "languages", "error", "says"),
    [
        ("gogle", "de", EngineError, "unknown engine 'gogle'"),
        (None, "de", EngineError, "no translation engine is named"),
        (FakeEngine(), "de,xx", UnknownLanguageError, "unknown language 'xx'"),
    ],
)
def test_a_wrong_engine_or_language_stops_before_anything_is_read(
    place, engine, languages, error, says
):
    shutil.rmtree(place / "mirror")
    with pytest.raises(error, match=re.escape(says)):
        build(place, engine, languages, mirror=None)
    assert sorted(path.name for path in place.iterdir()) == ["sources.toml"]


def test_an_engine_that_lacks_the_language_says_what_it_has(place, monkeypatch):
    monkeypatch.setattr(FakeEngine, "languages", {"en": "en", "de": "de"})
    with pytest.raises(EngineError, match=r"has no language 'yo'.*de, en"):
        build(place, FakeEngine(), "de,yo")


def test_a_typo_in_the_manifest_names_the_key(place):
    path = place / "sources.toml"
    path.write_text(path.read_text().replace("licence", "licnce", 1))
    with pytest.raises(ManifestError, match=r"sources\.one\.licnce.*Did you mean 'licence'"):
        build(place, FakeEngine(), "de")


def test_a_checksum_mismatch_names_both_digests(place):
    path = place / "sources.toml"
    wrong = "0" * 64
    path.write_text(path.read_text().replace('.jsonl" }', f'.jsonl", sha256 = "{wrong}" }}', 1))
    with pytest.raises(DatasetError, match=rf"checksum mismatch.*[0-9a-f]{{64}}.*{wrong}"):
        build(place, FakeEngine(), "de")


def test_a_source_row_without_text_names_file_and_row(place):
    with (place / "mirror" / "one" / "rows.jsonl").open("a") as stream:
        stream.write('{"text": ""}\n')
    number = len(list(SENTENCES)[::2]) + 1
    with pytest.raises(DatasetError, match=rf"rows\.jsonl, line {number}: has no text"):
        build(place, FakeEngine(), "de")


def test_no_disk_is_an_error_and_the_old_folder_stays(place, monkeypatch):
    before = contents(build(place, FakeEngine(), "de").out)

    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(DatasetError, match="No space left on device"):
        build(place, FakeEngine(), "fr")
    monkeypatch.undo()
    assert contents(place / "out") == before


def test_a_state_folder_that_cannot_be_made_is_an_error(place):
    (place / "out.build").write_text("in the way")
    with pytest.raises(DatasetError, match=r"out\.build: the folder"):
        build(place, FakeEngine(), "de")


def test_a_state_folder_of_something_else_stays_as_it_is(place):
    before = contents(place)
    (place / ".film.mp4.partial").write_text("half a film")
    with pytest.raises(DatasetError, match="is no folder of a build"):
        build(place, FakeEngine(), "de", state=place)
    assert contents(place) == before | {".film.mp4.partial": b"half a film"}


def test_a_limit_below_one_is_an_error(place):
    with pytest.raises(DatasetError, match="limit of 0"):
        build(place, FakeEngine(), "de", limit=0)


RUN = """
import os, signal, sys
from pathlib import Path
from polyrefuse_builders.build import run_build
from polyrefuse_builders.translation import get_engine

recipe, out, mirror, log, kill_at = sys.argv[1:]


class Counting:
    '''The real engine; notes every call in a file, and dies before call number `kill_at`.'''

    def __init__(self, engine):
        self._engine = engine

    def __getattr__(self, name):
        return getattr(self._engine, name)

    async def translate(self, text, source, target):
        with open(log, "a+", encoding="utf-8") as stream:
            stream.seek(0)
            if len(stream.readlines()) == int(kill_at):
                os.kill(os.getpid(), signal.SIGKILL)
            stream.write(repr(text) + "\\n")
        return await self._engine.translate(text, source, target)


report = run_build(
    Path(recipe), Path(out), engine=Counting(get_engine("apertium")), mirror=Path(mirror)
)
print(len(report.outcome.failures))
"""

UPSTREAM_ENTRY = """
[sources.upstream_polyrefuse]
title = "The release"
homepage = "https://github.com/mainlp/Multilingual-Refusal"
licence = "Apache-2.0"
confirmed = true
host = "folder"
repository = "mainlp/Multilingual-Refusal"
format = "upstream"
split = "own"
"""

RECIPE = """
manifest = "sources.toml"
languages = ["es"]
engine = "apertium"
sources = [
    { name = "upstream_polyrefuse", labels = ["harmless"], splits = ["test"], limit = 210 },
    { name = "one" },
]
"""


def why_not() -> str | None:
    if not UPSTREAM.is_dir():
        return f"the released files are not at {UPSTREAM}"
    if shutil.which("apertium") is None:
        return "the program apertium is not installed"
    listed = subprocess.run(["apertium", "-l"], capture_output=True, text=True, check=False)
    return None if "eng-spa" in listed.stdout else "the pair apertium-eng-spa is not installed"


@pytest.mark.skipif(why_not() is not None, reason=f"NO REAL TRANSLATION WAS BUILT: {why_not()}")
def test_a_build_killed_twice_is_resumed_and_asks_once_a_text(place):
    (place / "mirror" / "upstream_polyrefuse").symlink_to(UPSTREAM)
    with (place / "sources.toml").open("a") as stream:
        stream.write(UPSTREAM_ENTRY)
    (place / "recipe.toml").write_text(RECIPE)

    def run(out: str, log: str, kill_at: int) -> int:
        arguments = [place / "recipe.toml", place / out, place / "mirror", place / log, kill_at]
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'builders'}"}
        command = [sys.executable, "-c", RUN, *map(str, arguments)]
        return subprocess.run(command, env=environment, check=False, timeout=300).returncode

    assert [run("out", "log", at) for at in (70, 150, -1)] == [-signal.SIGKILL] * 2 + [0]
    assert run("smooth", "smooth-log", -1) == 0

    calls = (place / "log").read_text("utf-8").splitlines()
    killed, smooth = (read_prompts(place / out) for out in ("out", "smooth"))
    english = {row.prompt_en for row in killed}
    assert len(english) == 210 + len(SENTENCES) // 2 + len(SENTENCES) % 2
    assert Counter(calls) == Counter(repr(text) for text in english), "once per unique text"
    assert check_folder(place / "out").ok
    spanish = [row for row in killed if row.language == "es"]
    assert len(spanish) >= 200
    assert {row.translator for row in spanish} == {"apertium"}
    assert sum(row.status == "ok" for row in spanish) >= 0.9 * len(spanish)
    loaded = datasets.load_dataset(str(place / "out"), "es", cache_dir=str(place / "cache"))
    assert sum(len(split) for split in loaded.values()) == len(spanish)
    bare = {"translated_at": None, "qa": []}
    assert [row.model_copy(update=bare) for row in killed] == [
        row.model_copy(update=bare) for row in smooth
    ], "killing leaves no trace but the time of translation"
    for row, other in zip(killed, smooth, strict=True):
        # Scores are learned from the data: their last digit depends on the order of float sums.
        assert [(x.check, x.verdict) for x in row.qa] == [(x.check, x.verdict) for x in other.qa]
        assert [x.score for x in row.qa] == pytest.approx([x.score for x in other.qa], abs=2e-3)
