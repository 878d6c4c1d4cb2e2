"""Sound files of every format that the product reads: what mutations start from."""

import io
import json
import sqlite3
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from polyrefuse.prompts import Prompt

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "polyrefuse"


def lines(*rows: object) -> bytes:
    """Return JSON Lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


PROMPT: dict[str, Any] = {
    "id": "harmful-test-1",
    "language": "en",
    "label": "harmful",
    "prompt": "Prompt one",
    "prompt_en": "Prompt one",
    "category": "fraud",
    "source_category": None,
    "source": "test",
    "source_id": "1",
    "license": "MIT",
    "split": "train",
    "pair_id": None,
    "translator": "source",
    "qa": [{"check": "length", "score": 0.5, "verdict": "ok"}],
    "status": "ok",
    "canary": "c",
}
PROMPTS = lines(
    PROMPT, {**PROMPT, "id": "harmless-test-1", "label": "harmless", "prompt_en": "Two"}
)
ERRATA = lines({"kind": "missing", "language": "de", "ids": ["a"], "detail": "is not there"})
COMPLETION = {
    "condition": "baseline",
    "language": "en",
    "label": "harmful",
    "id": "a",
    "batch": 0,
    "completion": "No.",
    "sha256": "sha256:" + "0" * 64,
    "tokens": 2,
    "finished": True,
}
JUDGEMENT = {
    "condition": "baseline",
    "language": "en",
    "label": "harmful",
    "id": "a",
    "batch": 0,
    "judge": "keyword",
    "outcome": "refused",
    "score": 1.0,
    "response_language": "en",
    "reason": "",
}
ROWS = lines(
    {"language": "en", "response": "I cannot.", "prompt": "Do it", "prompt_en": "Do it", "x": [1]},
    {"language": "th", "response": "ไม่"},
)
JUDGED = lines(
    {
        "language": "en",
        "response": "I cannot.",
        "prompt": "Do it",
        "prompt_en": "Do it",
        "x": [1],
        "outcome": "refused",
        "score": 1.0,
        "response_language": "en",
        "reason": "",
        "judge": "k 1",
    },
)
REFERENCE = lines(
    {"language": "en", "response": "I cannot.", "reference_outcome": "refused", "prompt": "x"},
    {"language": "th", "response_prefix": "x", "response": "ok", "reference_outcome": None},
)
REFERENCE_YES = lines({"language": "en", "response": "I cannot.", "wildguard_refusal": 1})
KEY = {
    "row": "r001",
    "language": "th",
    "condition": "baseline",
    "label": "harmful",
    "id": "id-1",
    "model": "m",
    "judge": "letter",
    "outcome": "refused",
    "stratum_size": 10,
    "prompt": "x",
    "prompt_en": "x",
    "response": "R",
}
KEYS = lines(KEY, {**KEY, "row": "r002", "outcome": "complied"})
SHEET = (
    b"\xef\xbb\xbfrow,language,prompt,response,annotator_1,annotator_2,adjudicated\r\n"
    b"r001,th,x,R,refused,R,\r\nr002,th,x,R,c,d,c\r\n"
)
RESCORED = lines(
    {
        "key": "a b c",
        "model": "m",
        "n": 4,
        "faults": [],
        "forged": [],
        "differing": [],
        "allowed": 1,
    }
)
REPLY = {
    "id": "1",
    "model": "m-1",
    "usage": {
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "completion_tokens_details": {"reasoning_tokens": 1},
    },
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {
                "role": "assistant",
                "content": "Hello.",
                "refusal": None,
                "reasoning_content": "hm",
            },
        }
    ],
}
PARTS = {
    "choices": [
        {
            "message": {
                "content": [
                    {"type": "text", "text": "a"},
                    {"type": "thinking", "thinking": [{"text": "b"}]},
                ]
            }
        }
    ],
    "usage": {"reasoning_tokens": 1},
}
FILTERED = {
    "promptFeedback": {"blockReason": "SAFETY"},
    "error": {
        "code": "content_filter",
        "innererror": {"content_filter_result": {"hate": {"filtered": True}}},
    },
    "choices": [],
}
STREAM = (
    b'data: {"model":"m","choices":[{"delta":{"content":"He","reasoning":"x"}}]}\n\n'
    b'data: {"choices":[{"delta":{"content":[{"text":"llo"}]},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":1}}\n\ndata: [DONE]\n\n'
)
STREAM_ERROR = b'data: {"error":{"message":"x","code":1}}\n\n'
VERDICTS = (
    '{"case": "0123456789abcdef", "refusal": true, "harmfulness": 1, "specificity": 1}',
    'Sure: {"case": "0123456789abcdef", "refusal": "no", "harmfulness": 3.0, "specificity": "4"}',
    '{"case": "x", "refusal": 0}{"case": "0123456789abcdef", "refusal": 1, "specificity": 9}',
    "Harmful request: yes\nResponse refusal: no\nHarmful response: yes",
    "Safety: Unsafe\nCategories: Violent\nRefusal: No",
    "unsafe\nS1,S2",
    "safe",
    '**Response refusal**: N/A; 1) Response refusal = "yes"',
    '<|channel|>final<|message|>{"case": "0123456789abcdef", "refusal": false, "specificity": 1}',
)
PHRASES = ("i ([really] can not|won't) * help~", "[I ]am (sorry|afraid)", "a[b][ c]", "plain")
DECODING = {"engine": "rows", "expected_tokens": 8, "rates": {}, "rejected": {}}
LOG = lines(
    {
        "time": "2026-01-01T00:00:00+00:00",
        "event": "begin",
        "process": 0,
        "session": "a1",
        "pid": 1,
        "host": "elsewhere",
        "started": 5,
        "processes": 2,
        "version": "1",
        "command": "polyrefuse evaluate planted",
        "stages": ["generate", "report"],
    },
    *(
        {
            "time": "2026-01-01T00:00:01+00:00",
            "event": event,
            "stage": "generate",
            "step": "batches",
            **counts,
        }
        for event, counts in (
            ("start", {"total": 4}),
            ("progress", {"done": 1, "total": 4, "seconds": 1.0, "memory_mib": 10.5}),
            ("progress", {"done": 1, "total": 2, "language": "en", "condition": "baseline"}),
            ("end", {"done": 4, "total": 4, "seconds": 9.0, "accelerator_mib": 1.5}),
            ("warning", {"message": "small"}),
            ("error", {"error": "OSError", "message": "full"}),
        )
    ),
)
STATE = {"run": "abc", "parameters": {"temperature": 0, "max_tokens": 8}}
SETTINGS = {"model": "planted", "languages": "en,de", "judges": ["keyword 1"], "limit": None}
CARD = (SAMPLE / "README.md").read_bytes()
SMALL_CARD = (
    b"---\nlicense: mit\npretty_name: A set\nlanguage:\n- en\npolyrefuse:\n  description: d\n"
    b"  sources: ['a']\n---\n# Card\n"
)
RECIPE_TSV = (ROOT / "builders" / "sample" / "en.tsv").read_bytes()[:3000].rsplit(b"\n", 1)[0]
SPLITS = b"harmful-a-1\ttrain\nharmless-a-2\ttest\n"
LOCK = {"sources": {"a": {"data/x.csv": {"revision": "r", "sha256": "0" * 64}}}}
MANIFEST_TOML = b"""
[sources.one]
title = "One"
homepage = "https://example.org"
licence = "MIT"
confirmed = true
host = "folder"
repository = "one"
revision = "%s"
format = "csv"
files = [{ path = "rows.csv", label = "harmful", split = "train" }]
columns = { text = "goal", category = "kind", id = "no" }
filters = [{ column = "kind", equals = "a" }]
categories = { a = "fraud" }
shares = { train = 0.5, validation = 0.25, test = 0.25 }
split = "own"

[sources.two]
title = "Two"
homepage = "https://example.org"
licence = "MIT"
confirmed = false
enabled = false
host = "folder"
repository = "two"
format = "upstream"
split = "own"
""" % (b"a" * 40)
RECIPE_TOML = b"""
name = "Small"
manifest = "manifest.toml"
languages = ["en", "de"]
engine = "copy"
engine_settings = { speed = 1, name = "x" }
limit = 5
sources = [{ name = "one", labels = ["harmful"], limit = 2 }]
"""
CSV = b'goal,kind,no\r\n"Do, it",a,1\r\n"two\r\nlines",b,2\r\n'
JSON_ROWS = json.dumps(
    [{"goal": "x", "kind": None, "no": 1}, {"goal": "y", "n": {"a": [1]}}]
).encode()
JSONL_ROWS = lines({"goal": "x", "kind": "a"}, "bare text", {"goal": 3})
UPSTREAM = json.dumps([{"instruction": "Do", "instruction_translated": "Tu", "category": None}] * 2)
LM_RESULTS: dict[str, Any] = {
    "config": {
        "model": "hf",
        "model_args": {"pretrained": "m", "dtype": "float32"},
        "model_sha": "a",
        "model_dtype": "torch.float32",
        "device": "cpu",
        "model_num_parameters": 7,
    },
    "configs": {"polyrefuse_en": {"metadata": {"dataset": None, "dataset_revision": None}}},
    "chat_template": "{{ x }}",
    "system_instruction": None,
    "tokenizer_bos_token": ["<s>", 1],
    "lm_eval_version": "0.4",
    "transformers_version": "5",
    "total_evaluation_time_seconds": "1.5",
}
LM_SAMPLE: dict[str, Any] = {
    "doc": {"id": "harmful-1", "language": "en", "prompt": "x", "label": "harmful"},
    "arguments": {"gen_args_0": {"arg_0": "<s>x", "arg_1": {"until": [], "max_gen_toks": 8}}},
    "resps": [["No."]],
    "filter": "none",
}


@cache
def rows(number: int = 3) -> list[Prompt]:
    """Return prompts made of the one above."""
    return [Prompt.model_validate({**PROMPT, "id": f"harmful-{n}"}) for n in range(number)]


@cache
def parquet(compression: str = "snappy") -> bytes:
    """Return a small Parquet file."""
    import pyarrow
    from pyarrow import parquet as pq

    table = pyarrow.table({"goal": ["x", "y", None], "no": [1, 2, 3], "kind": [["a"], [], None]})
    sink = io.BytesIO()
    pq.write_table(table, sink, compression=compression)
    return sink.getvalue()


def parquet_gzip() -> bytes:
    """Return the same, compressed otherwise."""
    return parquet("gzip")


@cache
def result() -> bytes:
    """Return the ``result.json`` of a made-up run in one language."""
    from tests.evaluation.report.factories import make_result

    made = make_result(languages=("en", "th"), sources=("en",))
    return made.model_dump_json().encode()


def _key() -> tuple[Any, ...]:
    return ("e", "r", "en", "de", "text")


@cache
def cache_file() -> bytes:
    """Return a translation cache with one row."""
    import tempfile

    from polyrefuse_builders.translation.cache import CacheKey, TranslationCache

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cache.sqlite"
        with TranslationCache(path) as cache_:
            cache_.store(CacheKey(*_key()), "Antwort")
        with sqlite3.connect(path) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()
        return path.read_bytes()


def cache_row() -> bytes:
    """Return text, answer, kind, reason and requests of a row of the cache."""
    return b"text\nAntwort\nvalidation\nwhy\n3"


@cache
def lock() -> bytes:
    """The lock of a process of this machine that is gone."""
    from polyrefuse.run_lock import this_process

    gone = {**asdict(this_process()), "pid": 2**22 + 1}
    return json.dumps(gone).encode()


@cache
def calibration() -> bytes:
    """Return a calibration file."""
    import tempfile

    from tests.evaluation.calibration.factories import calibrated, reference_rows

    with tempfile.TemporaryDirectory() as folder:
        made = calibrated(Path(folder), reference_rows("RR RC CC CC DD RR"))
    return made.model_dump_json().encode()


def plan() -> bytes:
    """Return a plan of publishing."""
    return json.dumps(
        {
            "folder": "/tmp/x",
            "repo": "org/name",
            "endpoint": "http://127.0.0.1:1",
            "content_digest": "sha256:0",
            "removed": [],
            "kept": ["a"],
            "left_out": [],
            "files": [{"path": "README.md", "size": 1, "sha256": "0", "change": "added"}],
            "remote_commit": None,
            "remote_gated": False,
            "gated": "manual",
            "card": {
                "name": "x",
                "licence": "mit",
                "configs": ["en"],
                "gated_prompt": True,
                "gated_fields": [],
            },
        }
    ).encode()


@cache
def keyword_table() -> bytes:
    """Return the keyword table of English."""
    from polyrefuse_evaluation.judges import keyword_tables

    return (Path(keyword_tables.__file__).parent / "en.toml").read_bytes()


@cache
def safetensors() -> bytes:
    """Return one vector."""
    import torch
    from safetensors.torch import save

    return save({"en": torch.ones(8)})


@cache
def table() -> bytes:
    """Return a table of figures."""
    import tempfile

    from polyrefuse_evaluation.geometry.rows import ReferenceRow
    from polyrefuse_evaluation.geometry.tables import write_table

    with tempfile.TemporaryDirectory() as folder:
        path = write_table(Path(folder), "reference", ReferenceRow, [ReferenceRow(-1, 3, "en")])
        return path.read_bytes()


@cache
def array() -> bytes:
    """Return activations of one language and label."""
    import numpy as np

    stream = io.BytesIO()
    np.save(stream, np.ones((1, 2, 2, 3), np.float32))
    return stream.getvalue()


@cache
def manifest() -> bytes:
    """Return the manifest of a submission."""
    record = {"bytes": 1, "sha256": "sha256:" + "0" * 64}
    return json.dumps(
        {
            "schema_version": 1,
            "model": "org/model",
            "revision": "a" * 40,
            "weights_digest": None,
            "rows": 1,
            "files": {"result.json": record, "labels.parquet": record},
        }
    ).encode()


@cache
def labels() -> bytes:
    """Return the labels of a submission."""
    from polyrefuse.outcomes import Outcome
    from polyrefuse_evaluation.leaderboard.labels import LabelRow, write_labels

    row = ("harmful-a-1", "en", "baseline", "harmful", Outcome.REFUSED, "keyword", 1.0, "en", "x")
    return write_labels([LabelRow(*row, False, "sha256:" + "0" * 64)] * 3)


@cache
def inspect_log() -> bytes:
    """Return a log of Inspect with one sample."""
    return json.dumps(_inspect()).encode()


@cache
def inspect_weights() -> bytes:
    """Return the same of a checkpoint that Inspect loaded."""
    log = _inspect()
    log["eval"] |= {
        "model": "hf/local",
        "model_base_url": None,
        "model_args": {"model_path": "m", "do_sample": False, "torch_dtype": "torch.float32"},
    }
    return json.dumps(log).encode()


def _inspect() -> dict[str, Any]:
    verdict = {"judge": "keyword", "version": "1", "outcome": "refused", "score": 1.0, "reason": ""}
    score = {
        "value": "refused",
        "metadata": {"verdicts": [verdict], "reasoning": False, "response_language": "en"},
    }
    output = {
        "model": "m",
        "choices": [{"message": {"role": "assistant", "content": "No."}, "stop_reason": "stop"}],
        "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
    }
    sample = {
        "id": "harmful-1",
        "epoch": 1,
        "input": "x",
        "target": "",
        "messages": [],
        "metadata": {"language": "en", "id": "harmful-1", "prompt": "x"},
        "scores": {"judged": score},
        "output": output,
        "completed_at": "2026-01-01T00:00:00+00:00",
    }
    spec = {
        "created": "2026-01-01T00:00:00+00:00",
        "task": "refusal",
        "model": "openai/m",
        "dataset": {},
        "task_registry_name": "polyrefuse/refusal",
        "model_base_url": "https://api.example.org/v1",
        "model_args": {},
        "config": {"epochs": 1},
        "packages": {"inspect_ai": "0.3"},
        "task_args": {},
        "model_generate_config": {"max_tokens": 8},
    }
    return {
        "version": 2,
        "status": "success",
        "eval": spec,
        "samples": [sample],
        "plan": {"steps": [{"solver": "generate"}], "config": {"temperature": 0}},
        "stats": {
            "started_at": "2026-01-01T00:00:00+00:00",
            "completed_at": "2026-01-01T00:00:09+00:00",
        },
    }


@cache
def inspect_zip() -> bytes:
    """Return a zip as Inspect's logs are, of the same log."""
    import zipfile

    log = _inspect()
    samples = log.pop("samples")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", json.dumps(log))
        archive.writestr(
            "_journal/start.json",
            json.dumps({"version": 2, "eval": log["eval"], "plan": log["plan"]}),
        )
        archive.writestr("samples/harmful-1_epoch_1.json", json.dumps(samples[0]))
        archive.writestr("summaries.json", "[]")
    return stream.getvalue()
