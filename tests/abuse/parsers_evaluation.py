"""The readers of outside data in polyrefuse_evaluation."""

import json
from pathlib import Path
from typing import Any

from tests.abuse import seeds
from tests.abuse.parsers import Parser, _in_file, _text

E = "polyrefuse_evaluation"
CASE = "0123456789abcdef"


def parsers() -> list[Parser]:
    """Return them."""
    return [*_judging(), *_calibrating(), *_runs(), *_tables(), *_logs(), *_leaderboard()]


def _judging() -> list[Parser]:
    from polyrefuse_evaluation.chat_api import filters, replies
    from polyrefuse_evaluation.judges import rubric
    from polyrefuse_evaluation.judges.catalogue import (
        gpt_oss_safeguard,
        llama_guard_3,
        polyguard,
        qwen3guard,
        wildguard,
    )
    from polyrefuse_evaluation.judges.file_rows import check_file
    from polyrefuse_evaluation.judges.keyword_tables import TableError
    from polyrefuse_evaluation.judges.keyword_tables.notation import (
        NotationError,
        alternation,
        first_characters,
    )
    from polyrefuse_evaluation.judges.keyword_tables.scripts import SCRIPTS

    def reply(_: Path, content: bytes) -> object:
        kind = "text/event-stream" if content[:1] == b"d" else "application/json"
        body = replies.read_body(kind, content)
        read = (filters.filter_error, filters.error_code, replies.read_reply)
        sent = {"temperature": 0, "max_tokens": 1}
        return [*(each(body) for each in read), filters.blamed_parameter(body, sent)]

    def verdict(parse):
        def read(text: str) -> object:
            judged = parse(text, CASE)
            assert judged.reason.isprintable(), "a reason repeats what a model wrote"
            return judged

        return _text(read)

    def phrase(text: str) -> object:
        return alternation([text], SCRIPTS["Latn"].notation), first_characters([text])

    guards = {
        "the rubric": rubric.read_verdict,
        **{
            module.__name__.rsplit(".", 1)[1]: module.parse
            for module in (gpt_oss_safeguard, llama_guard_3, polyguard, qwen3guard, wildguard)
        },
    }
    texts = tuple(text.encode() for text in seeds.VERDICTS)
    rubric_lines = f"{E}.judges.rubric:read_verdict,_decide,_boolean,_grade,_objects"
    return [
        Parser(
            "a chat endpoint's reply",
            reply,
            (
                *(json.dumps(x).encode() for x in (seeds.REPLY, seeds.PARTS, seeds.FILTERED)),
                seeds.STREAM,
                seeds.STREAM_ERROR,
            ),
            (f"{E}.chat_api.replies", f"{E}.chat_api.filters"),
            raises=(ValueError, RecursionError),
        ),
        *(
            Parser(
                f"a verdict: {name}",
                verdict(parse),
                texts,
                (
                    rubric_lines if name == "the rubric" else f"{E}.judges.catalogue.{name}:parse",
                    f"{E}.judges.labels",
                ),
            )
            for name, parse in guards.items()
        ),
        Parser(
            "rows to judge",
            _in_file("in.jsonl", check_file),
            (seeds.ROWS,),
            (f"{E}.judges.file_rows:read_row,check_file,_lines",),
        ),
        Parser(
            "judged rows",
            _judged,
            (seeds.JUDGED,),
            (
                f"{E}.judges.file_rows:count_judged,_judged_row,_foreign,_content,_whole_lines,read_rows",
            ),
        ),
        Parser(
            "the cache of verdicts",
            _verdict_rows,
            (b"refused\n1.0\nwhy",),
            (f"{E}.judges.verdict_cache:VerdictCache.get,VerdictCache._errors",),
        ),
        Parser(
            "a phrase of a keyword table",
            _text(phrase),
            tuple(x.encode() for x in seeds.PHRASES),
            (
                f"{E}.judges.keyword_tables.notation:parse_phrase,_parse_sequence,_ends,_parse_choice",
            ),
            raises=(NotationError,),
        ),
        Parser(
            "a keyword table",
            _keyword_table,
            (seeds.keyword_table,),
            (f"{E}.judges.keyword_tables:read_table",),
            raises=(TableError,),
        ),
    ]


def _keyword_table(_: Path, content: bytes) -> object:
    from polyrefuse_evaluation.judges.keyword_tables import read_table

    return read_table("en.toml", "en", content)


def _judged(folder: Path, content: bytes) -> object:
    from polyrefuse_evaluation.judges.file_rows import count_judged

    (folder / "in.jsonl").write_bytes(seeds.ROWS)
    (folder / "out.jsonl").write_bytes(content)
    return count_judged(folder / "in.jsonl", folder / "out.jsonl", "k 1")


def _verdict_rows(folder: Path, content: bytes) -> object:
    """Put bytes into the columns of a row, or be the file."""
    import sqlite3

    from polyrefuse_evaluation.judges.verdict_cache import VerdictCache

    path = folder / "verdicts.sqlite"
    path.unlink(missing_ok=True)
    values = (content.split(b"\n") * 3)[:3]
    if len(content.split(b"\n")) < 3:
        path.write_bytes(content)
    cache = VerdictCache(path)
    try:
        cells = [v if v[:1] == b"\xff" else v.decode("utf-8", "replace") for v in values]
        with sqlite3.connect(path) as database:
            database.execute("INSERT INTO verdicts VALUES ('k', ?, ?, ?)", cells)
        database.close()
        found = cache.get("k")
        assert found is None or (found.score is None or isinstance(found.score, float))
        return found
    finally:
        cache.close()


def _calibrating() -> list[Parser]:
    from polyrefuse_evaluation.calibration.reference import read_references

    def sheet(folder: Path, content: bytes) -> object:
        (folder / "sheet.csv").write_bytes(content)
        (folder / "sheet.key.jsonl").write_bytes(seeds.KEYS)
        _key_beside(folder, seeds.KEYS)
        return read_references([folder / "sheet.csv"])

    def key(folder: Path, content: bytes) -> object:
        (folder / "sheet.csv").write_bytes(seeds.SHEET)
        _key_beside(folder, content)
        return read_references([folder / "sheet.csv"])

    sheets = f"{E}.calibration.read_sheets"
    return [
        Parser(
            "a reference",
            _in_file("reference.jsonl", lambda path: read_references([path])),
            (seeds.REFERENCE, seeds.REFERENCE_YES),
            (f"{E}.calibration.reference",),
        ),
        Parser("a sheet", sheet, (seeds.SHEET,), (sheets,)),
        Parser("the key of a sheet", key, (seeds.KEYS,), (sheets,)),
    ]


def _key_beside(folder: Path, content: bytes) -> None:
    from polyrefuse_evaluation.calibration.sheets import key_path

    key_path(folder / "sheet.csv").write_bytes(content)


def _runs() -> list[Parser]:
    from polyrefuse_evaluation.decoding import _read as read_decoding
    from polyrefuse_evaluation.endpoint.evaluate import _read_state
    from polyrefuse_evaluation.endpoint.records import ReplyRecord
    from polyrefuse_evaluation.run_directory import (
        CompletionRecord,
        JudgementRecord,
        RunDirectory,
        open_run_directory,
    )
    from polyrefuse_evaluation.select_directions import _read_done

    def records(model: Any):
        return _in_file("r.jsonl", lambda path: RunDirectory(path.parent).read("r.jsonl", model))

    def recover(folder: Path, content: bytes) -> object:
        (folder / "completions.jsonl").write_bytes(content)
        (folder / "judgements.jsonl").write_bytes(seeds.lines(seeds.JUDGEMENT))
        return RunDirectory(folder).recover([1])

    def settings(folder: Path, content: bytes) -> object:
        run = folder / "run"
        run.mkdir(exist_ok=True)
        (run / "settings.json").write_bytes(content)
        with open_run_directory(run, seeds.SETTINGS) as opened:
            return opened.path

    def directions(folder: Path, content: bytes) -> object:
        (folder / "selection.jsonl").write_bytes(b"")
        (folder / "directions.safetensors").write_bytes(content)
        return _read_done(RunDirectory(folder))

    state = _in_file("x", lambda path: _read_state(RunDirectory(path.parent)))
    run_directory = f"{E}.run_directory"
    return [
        Parser(
            "completions",
            recover,
            (seeds.lines(seeds.COMPLETION),),
            (
                f"{run_directory}:RunDirectory.read,RunDirectory.scan,RunDirectory._scan_file,"
                "RunDirectory.recover,RunDirectory._whole,RunDirectory._keep,_identity",
                f"{E}.record_lines:whole_size,whole_lines,is_torn",
            ),
        ),
        Parser("judgements", records(JudgementRecord), (seeds.lines(seeds.JUDGEMENT),), ()),
        Parser(
            "completion records", records(CompletionRecord), (seeds.lines(seeds.COMPLETION),), ()
        ),
        Parser(
            "replies of an endpoint",
            records(ReplyRecord),
            (seeds.lines(seeds.JUDGEMENT),),
            (),
            sound=False,
        ),
        Parser(
            "settings of a run",
            settings,
            (json.dumps(seeds.SETTINGS).encode(),),
            (f"{run_directory}:_require_same_run",),
        ),
        Parser(
            "a decoding plan",
            _in_file("decoding.json", lambda p: read_decoding(RunDirectory(p.parent))),
            (json.dumps(seeds.DECODING).encode(),),
            (f"{E}.decoding:_read",),
        ),
        Parser(
            "the state of an endpoint's run",
            _state_file(state),
            (json.dumps(seeds.STATE).encode(),),
            (f"{E}.endpoint.evaluate:_read_state",),
        ),
        Parser(
            "directions on disk",
            directions,
            (seeds.safetensors,),
            (f"{E}.select_directions:_read_vectors",),
        ),
    ]


def _state_file(read):
    from polyrefuse_evaluation.endpoint.evaluate import STATE

    def run(folder: Path, content: bytes) -> object:
        (folder / STATE).write_bytes(content)
        return read(folder, b"")

    return run


def _tables() -> list[Parser]:
    from polyrefuse.cli.geometry import settings_model
    from polyrefuse_evaluation.geometry.rows import ReferenceRow
    from polyrefuse_evaluation.geometry.store import ActivationStore
    from polyrefuse_evaluation.geometry.tables import read_table

    def table(folder: Path, content: bytes) -> object:
        (folder / "tables").mkdir(exist_ok=True)
        (folder / "tables" / "reference.parquet").write_bytes(content)
        return read_table(folder, "reference", ReferenceRow)

    def activations(folder: Path, content: bytes) -> object:
        (folder / "activations").mkdir(exist_ok=True)
        (folder / "activations" / "en-harmful.npy").write_bytes(content)
        store = ActivationStore(folder, [-1], 2, 3)
        return store.has("en", "harmful", 2) and store.read("en", "harmful", -1, 0)

    settings = _in_file("settings.json", lambda path: settings_model(path.parent))
    return [
        Parser(
            "a table of figures",
            table,
            (seeds.table,),
            (
                f"{E}.geometry.tables:read_table",
                "polyrefuse.parquet",
            ),
        ),
        Parser(
            "activations",
            activations,
            (seeds.array,),
            (f"{E}.geometry.store:ActivationStore.has,ActivationStore.read",),
        ),
        Parser(
            "settings of a geometry run",
            settings,
            (json.dumps(seeds.SETTINGS).encode(),),
            ("polyrefuse.cli.geometry:settings_model",),
        ),
    ]


def _logs() -> list[Parser]:
    from polyrefuse_evaluation.integrations.inspect_log import read_inspect_log
    from polyrefuse_evaluation.integrations.lm_eval_log import read_lm_eval_log

    def use(run: Any) -> object:
        return run.languages, run.judges, run.digest

    def results(folder: Path, content: bytes) -> object:
        (folder / "results_1.json").write_bytes(content)
        (folder / "samples_polyrefuse_en_1.jsonl").write_bytes(seeds.lines(seeds.LM_SAMPLE))
        return use(read_lm_eval_log(folder))

    def samples(folder: Path, content: bytes) -> object:
        (folder / "results_1.json").write_text(json.dumps(seeds.LM_RESULTS), encoding="utf-8")
        (folder / "samples_polyrefuse_en_1.jsonl").write_bytes(content)
        return use(read_lm_eval_log(folder / "results_1.json"))

    def inspect(path: Path) -> object:
        return use(read_inspect_log(path))

    module = f"{E}.integrations.lm_eval_log"
    foreign = f"{E}.integrations.foreign_run"
    return [
        Parser(
            "results of lm_eval",
            results,
            (json.dumps(seeds.LM_RESULTS).encode(),),
            (module, foreign),
        ),
        Parser(
            "samples of lm_eval",
            samples,
            (seeds.lines(seeds.LM_SAMPLE, seeds.LM_SAMPLE),),
            (module,),
        ),
        Parser(
            "a log of Inspect",
            _in_file("log.json", inspect),
            (seeds.inspect_log, seeds.inspect_weights),
            (f"{E}.integrations.inspect_log", foreign),
        ),
        Parser(
            "a zipped log of Inspect",
            _in_file("log.eval", inspect),
            (seeds.inspect_zip,),
            (),
            sound=False,
        ),
    ]


def _leaderboard() -> list[Parser]:
    from polyrefuse_evaluation.leaderboard.labels import read_labels
    from polyrefuse_evaluation.leaderboard.reading import parse
    from polyrefuse_evaluation.leaderboard.rescored import read_rescored
    from polyrefuse_evaluation.leaderboard.schema import MANIFEST, Manifest
    from polyrefuse_evaluation.leaderboard.sources import parse_source

    def manifest(_: Path, content: bytes) -> object:
        return parse(MANIFEST, content, Manifest)

    def source(text: str) -> object:
        return parse_source(text)

    board = f"{E}.leaderboard"
    return [
        Parser(
            "the manifest of a submission",
            manifest,
            (seeds.manifest,),
            (f"{board}.reading:parse,_unique,_refuse_constant,_not_finite",),
        ),
        Parser(
            "labels of a submission",
            lambda _, content: read_labels(content),
            (seeds.labels,),
            (
                f"{board}.labels:read_labels,decode_labels,_fault_of_shape,_values,_bad_text,_bad_score,_problem",
            ),
        ),
        Parser(
            "records of rescoring",
            _in_file("rescored.jsonl", read_rescored),
            (seeds.RESCORED,),
            (f"{board}.rescored:read_rescored",),
        ),
        Parser(
            "a named dataset",
            _text(source),
            (b"org/name@" + b"a" * 40, b"polyrefuse-sample"),
            (f"{board}.sources:parse_source,Source.__post_init__",),
        ),
    ]
