"""Validating whole datasets: the packaged sample, faults in it, reports, errors."""

import io
import json
import random

import pytest
from rich.console import Console

from polyrefuse.dataset import SAMPLE_FOLDER
from polyrefuse.errors import DatasetError, UnknownLanguageError
from polyrefuse.export import export_sample
from polyrefuse.folder import write_jsonl
from polyrefuse.prompts import Verdict
from polyrefuse_builders.validation import (
    ValidationOptions,
    apply_report,
    report_table,
    validate_folder,
    validate_prompts,
    write_report,
)


@pytest.fixture(scope="module")
def sample_report():
    return validate_folder(SAMPLE_FOLDER)


def plant(sample, fault, every=12, seed=0):
    """Return the sample with `fault` in one row of `every`, and the keys of those rows."""
    rng = random.Random(seed)
    texts = {(row.language, row.id): row.prompt for row in sample}
    planted, rows = set(), []
    for index, row in enumerate(sample):
        if row.language != "en" and rng.random() < 1 / every:
            following = sample[index + 1].prompt if index + 1 < len(sample) else ""
            text = fault(row, following, texts)
            if text != row.prompt:
                planted.add((row.language, row.id))
                row = row.model_copy(update={"prompt": text})
        rows.append(row)
    return rows, planted


FAULTS = {
    "untranslated": lambda row, following, texts: row.prompt_en,
    "wrong_language": lambda row, following, texts: (
        texts[{"nl": "de", "es": "it", "it": "es", "de": "nl"}.get(row.language, "fr"), row.id]
        if row.language != "fr"
        else texts["es", row.id]
    ),
    "half_cut": lambda row, following, texts: row.prompt[: len(row.prompt) // 2],
    "mojibake": lambda row, following, texts: row.prompt.encode().decode("cp1252", "replace"),
    "chatter": lambda row, following, texts: f"Sure! Here it is: {row.prompt}",
    "merged": lambda row, following, texts: f"{row.prompt} {following}",
    "empty": lambda row, following, texts: " ",
}

RESPONSIBLE = {
    "untranslated": {"untranslated", "language", "script", "leftover_english", "unfamiliar"},
    "wrong_language": {"language", "script", "untranslated", "unfamiliar", "misaligned"},
    "half_cut": {"truncated", "length"},
    "mojibake": {"mojibake", "characters", "script", "language", "unfamiliar", "misaligned"},
    "chatter": {"chatter", "leftover_english", "framed", "added_english"},
    "merged": {"merged", "contains_another", "length"},
    "empty": {"empty"},
}


def not_ok(report):
    return {(row.language, row.id) for row in report.rows if row.verdict != Verdict.OK}


def test_the_packaged_sample_is_almost_all_ok(sample_report):
    assert sample_report.ok
    assert len(not_ok(sample_report)) <= 0.01 * len(sample_report.rows)
    for figures in sample_report.languages:
        assert figures.not_ok <= 0.03, figures
        assert figures.yield_ == 1


@pytest.mark.parametrize("kind", FAULTS)
def test_planted_faults_are_found_and_good_rows_pass(sample, kind):
    rows, planted = plant(sample, FAULTS[kind])
    found = not_ok(validate_prompts(rows))
    assert len(planted) > 100
    assert len(found & planted) >= (0.85 if kind == "merged" else 0.95) * len(planted)
    assert len(found - planted) <= 0.04 * len(rows)


@pytest.mark.parametrize("kind", FAULTS)
def test_without_its_checks_a_fault_is_missed(sample, kind):
    """Mutation: what finds a kind of fault is the checks that claim to, not chance."""
    rows, planted = plant(sample, FAULTS[kind])
    rows = [row for row in rows if row.language in ("en", "de", "pl", "fr", "es", "it", "nl")]
    planted = {key for key in planted if key[0] in ("de", "pl", "fr", "es", "it", "nl")}
    disabled = frozenset(RESPONSIBLE[kind] | {"misaligned", "misaligned_block", "truncated"})
    if kind == "empty":
        disabled |= {"parallel", "language", "unfamiliar", "length", "collision"}
    found = not_ok(validate_prompts(rows, options=ValidationOptions(disable=disabled)))
    assert len(found & planted) <= 0.5 * len(planted)


def test_a_failed_row_makes_the_answer_no(sample):
    rows = [row for row in sample if row.language in ("de", "en")]
    rows[0] = rows[0].model_copy(update={"prompt": rows[0].prompt_en})
    report = validate_prompts(rows)
    assert not report.ok
    assert report.rows[0].verdict == Verdict.FAILED
    assert report.rows[0].reasons[0] == "untranslated: the translation is a copy of the English"
    assert report.figures("de").yield_ == pytest.approx(191 / 192)
    assert report.figures("de").worst[0] == rows[0].id


def test_reports_are_written_one_line_a_row(sample_report, tmp_path):
    path = tmp_path / "new" / "report.jsonl"
    write_report(sample_report.rows, path)
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert len(lines) == len(sample_report.rows)
    assert set(lines[0]) == {"language", "id", "verdict", "reasons"}
    assert all(bool(line["reasons"]) == (line["verdict"] != "ok") for line in lines)
    with pytest.raises(DatasetError, match="cannot be written"):
        write_report(sample_report.rows, tmp_path)


def test_reports_are_applied_to_prompts(sample, sample_report):
    applied = apply_report(sample, sample_report)
    german = next(row for row in applied if row.language == "de")
    assert {"language", "length", "misaligned"} <= {check.check for check in german.qa}
    assert [row.status for row in applied] == [row.verdict for row in sample_report.rows]
    with pytest.raises(DatasetError, match="is not in the report"):
        apply_report([sample[0].model_copy(update={"id": "other"})], sample_report)


def test_the_table_names_every_language(sample_report):
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(report_table(sample_report))
    text = console.export_text()
    assert all(figures.language in text for figures in sample_report.languages)


def test_processes_give_the_same_report(sample, monkeypatch):
    rows = [row for row in sample if row.language in ("de", "en", "zh")]
    alone = validate_prompts(rows, options=ValidationOptions(workers=1))
    monkeypatch.setattr("polyrefuse_builders.validation.run.PARALLEL_FROM", 1)
    assert validate_prompts(rows, options=ValidationOptions(workers=2)) == alone


def test_a_chosen_language_gets_the_same_verdicts(sample, sample_report):
    report = validate_folder(SAMPLE_FOLDER, languages="th")
    assert report.rows == [row for row in sample_report.rows if row.language == "th"]
    with pytest.raises(DatasetError, match="no language 'de'"):
        report.figures("de")


def test_a_language_alone_can_be_validated(sample):
    report = validate_prompts([row for row in sample if row.language == "pl"])
    assert report.figures("pl").not_ok <= 0.03


def test_bad_folders_and_options_are_told_apart(sample, tmp_path):
    with pytest.raises(DatasetError, match="no such dataset folder"):
        validate_folder(tmp_path / "none")
    with pytest.raises(UnknownLanguageError, match="'xx'"):
        validate_folder(SAMPLE_FOLDER, languages="xx")
    with pytest.raises(DatasetError, match="unknown check 'speling'"):
        ValidationOptions(disable=frozenset({"speling"}))
    with pytest.raises(DatasetError, match="0 workers"):
        ValidationOptions(workers=0)
    with pytest.raises(DatasetError, match="there are no rows"):
        validate_prompts([])
    with pytest.raises(DatasetError, match="has no language 'de'"):
        validate_prompts([row for row in sample if row.language == "fr"], languages="de")


def test_a_folder_without_english_or_rows_is_refused(sample, tmp_path):
    folder = tmp_path / "dataset"
    export_sample(folder)
    rows = [row for row in sample if row.language == "de"]
    for split in ("train", "validation", "test"):
        write_jsonl(
            folder / "data" / "de" / f"{split}.jsonl",
            [row.model_copy(update={"prompt_en": ""}) for row in rows if row.split == split],
        )
    with pytest.raises(DatasetError, match=r"dataset: language 'de' has no English"):
        validate_folder(folder)
    for path in (folder / "data").rglob("*.jsonl"):
        path.write_text("")
    with pytest.raises(DatasetError, match="no rows"):
        validate_folder(folder)
