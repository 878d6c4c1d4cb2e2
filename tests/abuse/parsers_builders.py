"""The readers of outside data in polyrefuse_builders."""

import json
from pathlib import Path

from tests.abuse import seeds
from tests.abuse.parsers import Parser, _in_file, _text

SOURCES = "polyrefuse_builders.sources"


def parsers() -> list[Parser]:
    """Return them."""
    return [*_sources(), *_documents(), *_translation()]


def _sources() -> list[Parser]:
    from polyrefuse_builders.sample import read_recipe as read_sample_recipe
    from polyrefuse_builders.sources.lock import read_lock
    from polyrefuse_builders.sources.manifest import read_manifest
    from polyrefuse_builders.sources.readers import read_records
    from polyrefuse_builders.sources.recipe import read_recipe
    from polyrefuse_builders.splits import read_splits

    def recipe(folder: Path, content: bytes) -> object:
        (folder / "manifest.toml").write_bytes(seeds.MANIFEST_TOML)
        (folder / "recipe.toml").write_bytes(content)
        return read_recipe(folder / "recipe.toml")

    def records(format_: str):
        return _in_file(f"rows.{format_}", lambda path: read_records(path, format_, ["goal"]))

    def lines(path: Path) -> object:
        return read_records(path, "text", [""])

    readers = f"{SOURCES}.readers"
    return [
        Parser(
            "sources.toml",
            _in_file("sources.toml", read_manifest),
            (seeds.MANIFEST_TOML,),
            (f"{SOURCES}.manifest", f"{SOURCES}.toml_file"),
        ),
        Parser(
            "a recipe", recipe, (seeds.RECIPE_TOML, seeds.MANIFEST_TOML), (f"{SOURCES}.recipe",)
        ),
        Parser("a source: CSV", records("csv"), (seeds.CSV,), (readers,)),
        Parser("a source: JSON", records("json"), (seeds.JSON_ROWS,), (readers,)),
        Parser(
            "a source: JSON Lines", records("jsonl"), (seeds.JSONL_ROWS,), (readers,), sound=False
        ),
        Parser("a source: lines", _in_file("rows.txt", lines), (b"one\r\ntwo\n\n",), (readers,)),
        Parser(
            "a source: Parquet",
            records("parquet"),
            (seeds.parquet, seeds.parquet_gzip),
            (readers, "polyrefuse.parquet"),
        ),
        Parser("a source: rows", _source_rows, (seeds.CSV,), (f"{SOURCES}.read_source",)),
        Parser(
            "a lock file",
            _in_file("sources.lock.json", read_lock),
            (json.dumps(seeds.LOCK).encode(),),
            (f"{SOURCES}.lock:read_lock",),
        ),
        Parser(
            "splits",
            _in_file("splits.tsv", read_splits),
            (seeds.SPLITS,),
            ("polyrefuse_builders.splits:read_splits",),
        ),
        Parser(
            "a recipe of the sample",
            _in_file("en.tsv", lambda p: read_sample_recipe(p.parent, "en")),
            (seeds.RECIPE_TSV,),
            ("polyrefuse_builders.sample:read_recipe",),
        ),
        Parser(
            "the upstream release",
            _upstream,
            (seeds.UPSTREAM.encode(),),
            ("polyrefuse_builders.upstream_files",),
        ),
    ]


def _source_rows(folder: Path, content: bytes) -> object:
    from polyrefuse_builders.sources.manifest import Source
    from polyrefuse_builders.sources.read_source import read_source

    path = folder / "rows.csv"
    path.write_bytes(content)
    table = {
        "title": "t",
        "homepage": "h",
        "licence": "MIT",
        "confirmed": True,
        "host": "folder",
        "repository": "r",
        "format": "csv",
        "files": [{"path": "rows.csv"}],
        "split": "hash",
        "columns": {"text": "goal", "category": "kind", "id": "no"},
        "label": "harmful",
    }
    return read_source("one", Source.model_validate(table), {"rows.csv": path})


def _upstream(folder: Path, content: bytes) -> object:
    from polyrefuse_builders.upstream_files import PARTS, SPLITS_FOLDER, TRANSLATIONS, read_release

    for name in (TRANSLATIONS, SPLITS_FOLDER):
        (folder / name).mkdir(exist_ok=True)
    english = json.dumps([{"instruction": "Do", "category": None}] * 2)
    for part in PARTS:
        (folder / SPLITS_FOLDER / f"{part}.json").write_text(english, encoding="utf-8")
        for code in ("de", "en"):
            if code == "en" and part.upstream_split != "test":
                continue
            name = f"{part}_translated_{code}.json"
            text = seeds.UPSTREAM if code == "de" else seeds.UPSTREAM.replace("Tu", "Do")
            (folder / TRANSLATIONS / name).write_text(text, encoding="utf-8")
    (folder / TRANSLATIONS / "harmful_test_translated_de.json").write_bytes(content)
    return read_release(folder)


def _documents() -> list[Parser]:
    from polyrefuse_builders.documents.about import read_about, read_front_matter
    from polyrefuse_builders.publish.command import read_plan

    def about(path: Path) -> object:
        read_front_matter(path.parent)
        return read_about(path.parent, seeds.rows())

    return [
        Parser(
            "front matter of a card",
            _in_file("README.md", about),
            (seeds.SMALL_CARD, seeds.CARD),
            ("polyrefuse_builders.documents.about:read_about,read_front_matter",),
        ),
        Parser(
            "a plan of publishing",
            _in_file("plan.json", read_plan),
            (seeds.plan,),
            ("polyrefuse_builders.publish.command:read_plan",),
        ),
    ]


def _translation() -> list[Parser]:
    from polyrefuse_builders.translation.chat import _content, unwrap
    from polyrefuse_builders.translation.engine import EngineError, RejectedText, TransientFailure
    from polyrefuse_builders.translation.http_status import parse_retry_after

    def reply(_: Path, content: bytes) -> object:
        try:
            body = json.loads(content)
        except (ValueError, RecursionError):
            return None
        return unwrap("text", _content(body))

    chat = "polyrefuse_builders.translation.chat:unwrap,_content"
    wrapped = b'<think>x</think>{"translation": "\\"Hallo\\""}'
    dates = (b"Wed, 21 Oct 2015 07:28:00 GMT", b"120", b"1.5", b"Wed, 21 Oct 2015 07:28:00 -0000")
    return [
        Parser(
            "rows of the translation cache",
            _cache,
            (seeds.cache_row,),
            ("polyrefuse_builders.translation.cache:TranslationCache.known",),
        ),
        Parser(
            "the file of the translation cache",
            _cache_file,
            (seeds.cache_file,),
            (
                "polyrefuse_builders.translation.cache_file:connect",
                "polyrefuse.sqlite_file:is_corrupt,move_aside,read_back",
            ),
        ),
        Parser(
            "a translator's reply",
            reply,
            (json.dumps(seeds.REPLY).encode(), json.dumps(seeds.PARTS).encode()),
            (chat,),
            raises=(RejectedText, TransientFailure, EngineError),
        ),
        Parser(
            "a translation",
            _text(lambda text: unwrap("text", text)),
            (wrapped, b'{"a": 1}'),
            (chat,),
        ),
        Parser(
            "Retry-After",
            _text(parse_retry_after),
            dates,
            ("polyrefuse_builders.translation.http_status:parse_retry_after",),
        ),
    ]


def _cache(folder: Path, content: bytes) -> object:
    """Store a row with these bytes in each column that is free, and read it."""
    import sqlite3

    from polyrefuse_builders.translation.cache import TranslationCache

    path = folder / "cache.sqlite"
    path.unlink(missing_ok=True)
    TranslationCache(path).close()
    values = content.split(b"\n")
    cells = [values[n % len(values)] for n in range(5)]
    texts = [cell if cell[:1] == b"\xff" else cell.decode("utf-8", "replace") for cell in cells]
    with sqlite3.connect(path) as database:
        try:
            database.execute(
                "INSERT INTO translations VALUES "
                "('e', 'r', 'en', 'de', ?, 'failed', ?, ?, ?, ?, 'now')",
                texts,
            )
        except sqlite3.Error:
            return None
        finally:
            database.commit()
    database.close()
    with TranslationCache(path) as cache:
        return cache.known("e", "r", "en", "de")


def _cache_file(folder: Path, content: bytes) -> object:
    from polyrefuse_builders.translation.cache import TranslationCache

    for old in folder.iterdir():
        old.unlink()
    path = folder / "cache.sqlite"
    path.write_bytes(content)
    with TranslationCache(path) as cache:
        return cache.known("e", "r", "en", "de")
