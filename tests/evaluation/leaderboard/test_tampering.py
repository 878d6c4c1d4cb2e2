"""Altered submissions: each is rejected, with the reason. The honest one is accepted."""

import io
import json
import os
import re
from dataclasses import replace

import pyarrow
import pytest
from pyarrow import parquet

from polyrefuse.outcomes import Outcome
from polyrefuse_evaluation.leaderboard.labels import COLUMNS, write_labels
from polyrefuse_evaluation.leaderboard.schema import LABELS, MANIFEST, RESULT
from polyrefuse_evaluation.leaderboard.sources import SAMPLE_SOURCE
from polyrefuse_evaluation.leaderboard.verify import verify, verify_files
from tests.evaluation.leaderboard.conftest import digest

SOURCES = (SAMPLE_SOURCE,)


def problems(forgery) -> str:
    """Return every reason why a forgery is rejected, one a line."""
    verdict = verify_files(forgery.folder, forgery.files(), SOURCES)
    return "\n".join(map(str, verdict.problems))


def flip(forgery, at=0, **more):
    row = forgery.rows[at]
    outcome = Outcome.COMPLIED if row.outcome is Outcome.REFUSED else Outcome.REFUSED
    forgery.change(at, outcome=outcome, **more)


def ids_of_another_revision(f):
    first = f.rows[0].id
    f.change(lambda row: row.id == first, id="harmful-sample-000000000000")


def rename_judge(f, name):
    f.change(lambda row: True, judge=name)
    f.set("settings.judges.0.name", name)


def without_condition(f):
    f.rows = [row for row in f.rows if row.condition != "ablate:random"]


def without_language(f):
    f.rows = [row for row in f.rows if row.language != "de"]


FIGURES = {
    "a rate": ("cells.0.refusal.value", 0.5, r"cells\[baseline, harmful, en\]\.refusal\.value"),
    "a bound": ("cells.1.compliance.low", 0.0, "compliance.low"),
    "a count": ("cells.0.counts.refused", 4, "counts.refused: is 4; the labels give 5"),
    "a number of prompts": ("cells.0.n", 6, "is 6; the labels give 5"),
    "an average": ("averages.0.refusal", 0.9, "averages.*refusal"),
    "an interval": ("averages.0.refusal_low", 0.99, "averages.*refusal_low"),
    "a difference": ("differences.0.refusal", 0.0, "differences"),
    "a p-value": ("differences.0.p_holm", 0.001, "p_holm"),
    "a finding": ("findings.0.mediates", False, "findings.*mediates: is False"),
    "a drop": ("findings.0.mean_drop", 0.1, "mean_drop"),
    "a comparison": ("comparisons.0.worst.rate", 0.3, "comparisons.*worst.rate"),
    "a tie": ("comparisons.0.ties", [], "ties: has 0 entries"),
    "the labels' digest": ("labels_digest", digest("x"), "labels_digest"),
    "failed verdicts": ("failed", 1, "failed: is 1; the labels give 0"),
    "1e308": ("cells.0.refusal.value", 1e308, r"is 1e\+308; the labels give 1.0"),
}

RECORDS = {
    "an unproven ablation": ("proof.verified", False, "does not show that ablation is complete"),
    "a loose bound": ("proof.bound", 0.1, "proof.bound: is 0.1; for float32 it is 1e-05"),
    "no proof": ("proof", None, "an ablation without its proof"),
    "a late layer": ("directions.0.layer", 3, r"layer: is 3, not in \[0, 2\]"),
    "a direction that fails its filter": ("directions.0.kl", 0.15, "rung: says published"),
    "an impossible cosine": ("directions.0.planted_cosine", 1.5, "planted_cosine"),
    "an impossible score": ("directions.0.bypass", 1e300, "bypass"),
    "more train prompts than there are": ("directions.0.train_harmful", 480, "of 48 prompts"),
    "another dataset": ("dataset.content_digest", digest("x"), "none of the pinned datasets"),
    "a dataset by another name": ("dataset.name", "org/data", "calls the dataset org/data"),
    "another limit": ("settings.limit", 4, "differs from settings.limit"),
    "another judge": ("settings.judges.0.name", "wildguard", "judges that the result does not"),
    "an unknown judge": ("settings.judges.0.name", "mine", "no judge that anyone else has"),
    "another version": ("settings.judges.0.version", "99", "is version 99; known"),
    "a language twice": ("settings.languages", ["en", "en"], "names a language twice"),
    "negative time": ("wall_seconds", -1.0, "wall_seconds"),
    "no parameters": ("model.parameters", 0, "model.parameters"),
    "a renamed model": ("model.name", "org/better", "manifest.json: model: is org/model"),
    "another revision": ("model.revision", "b" * 40, "revision"),
    "a planted model in disguise": ("model.planted_variant", "single", "belong together"),
}


@pytest.mark.parametrize(("field", "value", "reason"), FIGURES.values(), ids=FIGURES)
def test_an_edited_figure_is_rejected_whatever_the_digests_say(forgery, field, value, reason):
    forgery.set(field, value)
    assert re_search(reason, problems(forgery))
    forgery.seal = "none"
    assert re_search("digest: result.json: is not the file", problems(forgery))


@pytest.mark.parametrize(("field", "value", "reason"), RECORDS.values(), ids=RECORDS)
def test_an_edited_record_is_rejected(forgery, field, value, reason):
    forgery.set(field, value)
    assert re_search(reason, problems(forgery))


def re_search(pattern, text):
    assert re.search(pattern, text), f"{pattern!r} is not in:\n{text}"
    return True


LABEL_CHANGES = {
    "a label flipped": (flip, "one text has two verdicts"),
    "a label flipped for one text alone": (
        lambda f: flip(f, sha256=digest("x")),
        "outcome and score of judge keyword disagree",
    ),
    "a row dropped": (lambda f: f.rows.pop(3), "lacks prompts: en harmful"),
    "a row doubled": (lambda f: f.rows.append(f.rows[3]), "has rows twice"),
    "ids of another revision": (ids_of_another_revision, "has prompts it should not"),
    "an unknown judge's name": (lambda f: rename_judge(f, "mine"), "no judge that anyone else has"),
    "a condition left out": (without_condition, "lacks conditions of the result: ablate:random"),
    "a language left out": (without_language, "lacks languages of the result: de"),
    "a prompt under another label": (
        lambda f: f.change(lambda row: row.id == f.rows[0].id, label="harmless"),
        "has prompts under another label",
    ),
    "two digests of one text": (
        lambda f: f.change(0, id=f.rows[1].id),
        "has rows twice",
    ),
}


@pytest.mark.parametrize("seal", ["none", "digests", "all"])
@pytest.mark.parametrize(("change", "reason"), LABEL_CHANGES.values(), ids=LABEL_CHANGES)
def test_changed_labels_are_rejected_also_when_all_figures_are_made_again(
    forgery, change, reason, seal
):
    change(forgery)
    forgery.seal = seal
    text = problems(forgery)
    assert re_search(reason, text)
    assert ("digest: labels.parquet" in text) == (seal == "none")
    if seal == "digests" and "twice" not in reason and "judge's" not in reason:
        assert "figure: " in text


def test_all_problems_are_listed_not_only_the_first(forgery):
    forgery.set("cells.0.refusal.value", 0.5)
    forgery.set("environment.platform", "<b>")
    forgery.set("proof.verified", False)
    forgery.rows.pop(0)
    kinds = {line.partition(":")[0] for line in problems(forgery).splitlines()}
    assert {"figure", "text", "number", "prompts"} <= kinds


TEXTS = {
    RESULT: {
        "NaN": (b'"wall_seconds": 1.5', b'"wall_seconds": NaN', "NaN is no number"),
        "infinity": (b'"wall_seconds": 1.5', b'"wall_seconds": -Infinity', "is no number"),
        "1e999": (b'"wall_seconds": 1.5', b'"wall_seconds": 1e999', "no finite number|finite"),
        "a number as text": (b'"wall_seconds": 1.5', b'"wall_seconds": "1.5"', "valid number"),
        "NaN as text": (b'"wall_seconds": 1.5', b'"wall_seconds": "NaN"', "valid number"),
        "an unknown version": (
            b'"schema_version": 1', b'"schema_version": 2', "schema_version is 2; known is 1",
        ),
        "no version": (b'"schema_version": 1, ', b"", "schema_version is None"),
        "a field twice": (b'"failed": 0', b'"failed": 0, "failed": 3', "stands twice"),
        "an extra field": (b'"failed": 0', b'"failed": 0, "note": "x"', "note: Extra inputs"),
        "a missing field": (b'"wall_seconds": 1.5', b'"failed_": 1', "wall_seconds: Field"),
        "bytes that are not UTF-8": (b'"failed": 0', b'"\xff": 0', "is not UTF-8"),
        "an unfinished file": (b'"wall_seconds": 1.5', b'"wall_seconds"', "is no JSON"),
        "a number of 5000 digits": (
            b'"wall_seconds": 1.5', b'"wall_seconds": ' + b"9" * 5000, "is no JSON",
        ),
    },
    MANIFEST: {
        "an unknown version": (
            b'"schema_version": 1', b'"schema_version": "1"', "schema_version is 1; known is 1",
        ),
        "a signature": (b'"rows"', b'"signature": "x", "rows"', "signature: Extra inputs"),
        "not a self-test": (b'"self_test": false', b'"self_test": true', "self_test: is True"),
    },
}  # fmt: skip
CASES = [(file, *change) for file, changes in TEXTS.items() for change in changes.values()]


@pytest.mark.parametrize(
    ("file", "before", "after", "reason"),
    CASES,
    ids=[f"{file}: {name}" for file, changes in TEXTS.items() for name in changes],
)
def test_json_that_is_not_as_it_should_be_is_rejected(forgery, file, before, after, reason):
    contents = forgery.files()
    assert before in contents[file]
    forgery.contents[file] = contents[file].replace(before, after)
    assert re_search(reason, problems(forgery))


def test_deeply_nested_json_is_rejected(forgery):
    forgery.contents[RESULT] = b"[" * 200_000 + b"]" * 200_000
    assert "is no JSON" in problems(forgery)


HOSTILE = [
    "<script>alert(1)</script>",
    "javascript:alert(1)",
    '=HYPERLINK("http://x","y")',
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    '"><img src=x onerror=alert(1)>',
    "{{7*7}}",
    "a\u202eb",
    "a\u0000b",
    "line\nbreak",
    "x" * 5000,
    "",
]


def text_fields(value, where=""):
    """Yield every place of a text in a result or manifest, one of each kind."""
    if isinstance(value, str):
        yield where
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from text_fields(item, f"{where}.{key}".lstrip("."))
    elif isinstance(value, list) and value:
        yield from text_fields(value[0], f"{where}.0".lstrip("."))


def test_hostile_text_is_rejected_in_every_field_of_a_result(forgery):
    places = list(text_fields(forgery.result))
    assert len(places) > 40
    for number, where in enumerate(places):
        for hostile in filter(None, HOSTILE[number % 4 :: 4]):
            changed = replace(forgery, result=json.loads(json.dumps(forgery.result)))
            changed.set(where, hostile)
            text = problems(changed)
            assert text, f"{hostile!r} in {where}"
            assert len(text) < 20_000
            assert all(line.isprintable() for line in text.splitlines())


def test_hostile_text_is_rejected_in_every_field_of_a_manifest(forgery):
    for number, where in enumerate(["model", "revision", "weights_digest", "licence", "family"]):
        for hostile in HOSTILE[number % 3 :: 3]:
            manifest = {**forgery.manifest, where: hostile}
            assert problems(replace(forgery, manifest=manifest)), f"{hostile!r} in {where}"


def test_hostile_text_is_rejected_in_every_column_of_the_labels(forgery):
    texts = [name for name in COLUMNS if name not in ("score", "reasoning", "outcome", "label")]
    for name in texts:
        for hostile in HOSTILE[:-1]:
            changed = replace(forgery, rows=list(forgery.rows))
            changed.change(0, **{name: hostile})
            assert re_search(
                f"labels.parquet: column {name} holds .*(not allowed|5000 bytes)", problems(changed)
            )


def test_hostile_keys_are_rejected(forgery):
    forgery.result["environment"]["versions"]["<img src=x>"] = "1.0"
    assert "may not stand" in problems(forgery) or "not allowed here" in problems(forgery)


def test_ten_megabytes_of_text_are_not_read(forgery):
    forgery.set("environment.platform", "x" * 10_000_000)
    assert re_search("size: result.json: has 1[0-9]+ bytes", problems(forgery))
    forgery.set("environment.platform", "Linux x86_64")
    forgery.change(0, reason="x" * 10_000_000)
    assert "holds a text of 10000000 bytes" in problems(forgery)


def test_more_languages_or_prompts_than_any_benchmark_has_cost_no_time(forgery):
    forgery.set("settings.languages", ["en"] * 100_000)
    assert "size: result.json: settings.languages: has 100000 entries" in problems(forgery)
    forgery.set("settings.languages", ["en", "de"])
    forgery.rows += [replace(forgery.rows[0], id=f"harmful-{n}") for n in range(5_000)]
    assert re_search("size: labels.parquet: has 5005 harmful prompts", problems(forgery))


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "..", "org/../model", "/etc/passwd", "org/model/../..", "C:\\model",
     "org//model", "org/.hidden", "%2e%2e/x", "org/model ", "орг/модель", "-rf", "~/model"],
)  # fmt: skip
def test_a_name_that_is_a_path_is_rejected(forgery, name):
    forgery.rename(name, folder=forgery.folder)
    text = problems(forgery)
    assert "text: result.json: model.name" in text
    assert "text: manifest.json: model" in text


@pytest.mark.parametrize(
    "folder", ["..", "../x", "org__model", "org__model--" + "b" * 12, "x" * 300]
)
def test_a_folder_of_another_name_is_rejected(forgery, folder):
    forgery.folder = folder
    assert "name: manifest.json: model: the folder is" in problems(forgery)


@pytest.mark.parametrize("name", [MANIFEST, RESULT, LABELS])
def test_a_link_is_not_followed(submission, tmp_path, name):
    (tmp_path / "secret").write_bytes((submission / name).read_bytes())
    (submission / name).unlink()
    (submission / name).symlink_to(tmp_path / "secret")
    [verdict] = verify([submission])
    assert [str(x) for x in verdict.problems] == [f"file: {name}: is a symbolic link"]


def test_a_folder_that_is_a_link_is_not_followed(submission, tmp_path):
    link = tmp_path / "links" / submission.name
    link.parent.mkdir()
    link.symlink_to(submission)
    [verdict] = verify([tmp_path / "links"])
    assert "is a symbolic link" in str(verdict.problems[0])


def test_a_pipe_is_not_waited_for(submission):
    (submission / LABELS).unlink()
    os.mkfifo(submission / LABELS)
    [verdict] = verify([submission])
    assert "file: labels.parquet: is no plain file" in map(str, verdict.problems)


@pytest.mark.parametrize("extra", ["completions.jsonl", "index.html", ".hidden"])
def test_a_file_that_no_submission_has_is_rejected(submission, extra):
    (submission / extra).write_text("text")
    [verdict] = verify([submission])
    assert f"holds other files: {extra}" in str(verdict.problems[0])


@pytest.mark.parametrize("name", [MANIFEST, RESULT, LABELS])
def test_a_missing_file_is_named(submission, name):
    (submission / name).unlink()
    [verdict] = verify([submission])
    assert [str(x) for x in verdict.problems] == [f"file: {name}: is missing"]


def table_of(rows, **columns):
    content = {name: [getattr(row, name) for row in rows] for name in COLUMNS}
    return pyarrow.table({**content, **columns})


def as_parquet(table, **options):
    sink = io.BytesIO()
    parquet.write_table(table, sink, **{"compression": "NONE", **options})
    return sink.getvalue()


def test_compressed_parquet_is_refused_before_anything_is_unpacked(forgery):
    bomb = table_of(forgery.rows * 2000, reason=["a" * 200] * len(forgery.rows) * 2000)
    content = as_parquet(bomb, compression="zstd", use_dictionary=False)
    assert len(content) < 2_000_000 < bomb.nbytes / 10
    forgery.contents[LABELS] = content
    assert re_search(r"labels: labels.parquet: is compressed \(ZSTD\)", problems(forgery))


def test_a_long_text_in_many_rows_stays_one_text(forgery):
    long = pyarrow.DictionaryArray.from_arrays(
        pyarrow.array([0] * len(forgery.rows) * 500, pyarrow.int32()), ["a" * 1_000_000]
    )
    forgery.contents[LABELS] = as_parquet(table_of(forgery.rows * 500, reason=long))
    assert len(forgery.contents[LABELS]) < 5_000_000 < len(forgery.rows) * 500 * 1_000_000
    assert "holds a text of 1000000 bytes" in problems(forgery)


def test_more_rows_than_any_benchmark_has_are_refused(forgery):
    many = pyarrow.table({name: pyarrow.nulls(1_000_001, pyarrow.string()) for name in COLUMNS})
    forgery.contents[LABELS] = as_parquet(many)
    assert "claims 1000001 rows" in problems(forgery)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"completion": ["text"]}, "has the columns"),
        ({"score": ["0.5"]}, "column score is of type"),
        ({"score": [float("nan")]}, "not in"),
        ({"score": [1e308]}, "not in"),
        ({"outcome": [None]}, "column outcome is of type"),
        ({"outcome": [None, "refused"]}, "column outcome has 30 empty values"),
        ({"id": [b"bytes"]}, "column id is of type"),
        ({"id": [["nested"]]}, "has the columns"),
        ({"reasoning": [1]}, "column reasoning is of type"),
    ],
)
def test_columns_of_another_kind_are_refused(forgery, changes, reason):
    n = len(forgery.rows)
    columns = {name: (values * n)[:n] for name, values in changes.items()}
    forgery.contents[LABELS] = as_parquet(table_of(forgery.rows, **columns))
    assert re_search(f"labels: labels.parquet: .*{reason}", problems(forgery))


def test_labels_that_are_no_parquet_are_refused(forgery):
    for content in (b"", b"PAR1", b"PAR1" * 50, write_labels(forgery.rows)[:-9]):
        forgery.contents[LABELS] = content
        assert re_search("labels: labels.parquet: is no Parquet", problems(forgery))


def test_the_honest_submission_is_accepted(forgery, submission):
    assert problems(forgery) == ""
    forgery.seal = "all"
    assert problems(forgery) == ""
    [verdict] = verify([submission])
    assert verdict.accepted
