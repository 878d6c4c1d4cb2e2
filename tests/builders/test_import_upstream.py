"""The importer of the released files, on small made-up releases with planted faults."""

import io
import json
import random
from pathlib import Path

import pytest
from rich.console import Console

from polyrefuse.check import check_folder
from polyrefuse.errors import DatasetError
from polyrefuse.folder import read_jsonl, read_prompts
from polyrefuse_builders.alignment import MIN_ROWS
from polyrefuse_builders.import_upstream import (
    CANARY,
    QuarantinedRow,
    errata_table,
    import_upstream,
)
from polyrefuse_builders.upstream_files import PARTS

ROWS = 24


def sentence(seed: str) -> str:
    """A made-up prompt of 2 to 40 words, the same for the same seed."""
    rng = random.Random(seed)
    words = ["".join(rng.choices("abcdefghiklmnoprstuvw", k=rng.randint(3, 9))) for _ in range(40)]
    return " ".join(words[: rng.randint(2, 40)])


def translate(text: str, language: str) -> str:
    return f"{language} {text[::-1]}"


def english(part: str) -> list[dict]:
    category = "illegal" if part == "harmful_test" else None
    return [{"instruction": sentence(f"{part}{n}"), "category": category} for n in range(ROWS)]


@pytest.fixture
def release(tmp_path):
    """A faultless release in English, German and Thai."""
    folder = tmp_path / "release"
    (folder / "splits").mkdir(parents=True)
    (folder / "PolyRefuse").mkdir()
    for part in map(str, PARTS):
        rows = english(part)
        write(folder / f"splits/{part}.json", rows)
        if part.endswith("test"):
            write(folder / f"PolyRefuse/{part}_translated_en.json", rows)
        for language in ("de", "th"):
            texts = [translate(row["instruction"], language) for row in rows]
            if part.endswith("test"):
                pairs = zip(rows, texts, strict=True)
                translated = [{**row, "instruction_translated": text} for row, text in pairs]
            else:
                pairs = zip(rows, texts, strict=True)
                translated = [{**row, "instruction": text} for row, text in pairs]
            write(folder / f"PolyRefuse/{part}_translated_{language}.json", translated)
    return folder


def write(path: Path, rows: object) -> None:
    path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")


def edit(path: Path, change) -> None:
    """Read the rows of a file, let `change` alter or replace them, write them back."""
    rows = json.loads(path.read_text(encoding="utf-8"))
    changed = change(rows)
    write(path, rows if changed is None else changed)


def edit_english(folder: Path, part: str, position: int, text: str) -> None:
    """Put `text` as the English of one prompt wherever the release keeps it."""
    paths = [folder / f"splits/{part}.json"]
    if part.endswith("test"):
        paths += (folder / "PolyRefuse").glob(f"{part}_*")
    for path in paths:
        edit(path, lambda rows: rows[position].update(instruction=text))


def kinds(report) -> set[str]:
    return {erratum.kind for erratum in report.errata}


def of_kind(report, kind: str) -> list:
    return [erratum for erratum in report.errata if erratum.kind == kind]


def test_a_faultless_release_becomes_a_folder_that_checks_without_errata_but_categories(
    release, tmp_path
):
    report = import_upstream(release, tmp_path / "out")
    checked = check_folder(tmp_path / "out")
    assert checked.ok
    assert not checked.violations
    assert read_prompts(tmp_path / "out") == report.prompts
    assert kinds(report) == {"uncategorised"}
    assert set(report.counts().values()) == {ROWS}
    assert len(report.counts()) == 3 * 6


def test_english_is_recovered_by_position_and_ids_are_shared(release, tmp_path):
    report = import_upstream(release, tmp_path / "out")
    german = [row for row in report.prompts if row.language == "de"]
    by_id = {row.id: row for row in report.prompts if row.language == "en"}
    assert len(by_id) == 6 * ROWS
    for row in german:
        original = by_id[row.id]
        assert row.prompt == translate(original.prompt, "de")
        assert row.prompt_en == original.prompt == original.prompt_en
        assert (row.source_id, row.split, row.label) == (
            original.source_id,
            original.split,
            original.label,
        )
    row = next(row for row in german if row.source_id == "harmful_val#7")
    assert row.split == "validation"
    assert row.prompt_en == sentence("harmful_val7")
    assert row.translator.startswith("upstream")
    assert by_id[row.id].translator == "source"
    assert (row.license, row.source, row.translated_at) == (
        "Apache-2.0",
        "upstream_polyrefuse",
        None,
    )
    assert row.canary == CANARY


def test_categories_are_unified_and_the_original_is_kept(release, tmp_path):
    for path in (release / "PolyRefuse").glob("harmful_test*"):
        edit(path, lambda rows: rows[0].update(category="Malware/Hacking"))
        edit(path, lambda rows: rows[1].update(category="brand new"))
    report = import_upstream(release, tmp_path / "out")
    rows = {(row.language, row.source_id): row for row in report.prompts}
    first, second = rows["th", "harmful_test#0"], rows["th", "harmful_test#1"]
    assert (first.category, first.source_category) == ("cybercrime", "Malware/Hacking")
    assert (second.category, second.source_category) == ("other", "brand new")
    assert rows["de", "harmless_val#0"].category is None
    assert rows["de", "harmful_train#0"].category == "other"
    listed = {id_ for erratum in of_kind(report, "uncategorised") for id_ in erratum.ids}
    assert listed == {row.id for row in report.prompts if row.category == "other"}
    assert any("'brand new' is not known" in e.detail for e in report.errata)


def test_a_category_that_differs_in_one_language_is_listed(release, tmp_path):
    path = release / "PolyRefuse/harmful_test_translated_th.json"
    edit(path, lambda rows: rows[3].update(category="Privacy"))
    report = import_upstream(release, tmp_path / "out")
    (erratum,) = of_kind(report, "category_differs")
    assert erratum.language == "th"
    assert len(erratum.ids) == 1
    assert check_folder(tmp_path / "out").ok


def test_a_missing_file_is_listed_and_the_check_needs_the_list(release, tmp_path):
    (release / "PolyRefuse/harmless_val_translated_th.json").unlink()
    out = tmp_path / "out"
    report = import_upstream(release, out)
    (erratum,) = of_kind(report, "missing")
    assert (erratum.language, erratum.split, len(erratum.ids)) == ("th", "validation", ROWS)
    assert erratum.file == "PolyRefuse/harmless_val_translated_th.json"
    assert check_folder(out).ok
    (out / "errata.jsonl").unlink()
    checked = check_folder(out)
    assert len(checked.unlisted) == ROWS
    assert {violation.kind for violation in checked.unlisted} == {"missing"}


def test_a_row_lost_after_the_import_makes_the_check_fail(release, tmp_path):
    out = tmp_path / "out"
    import_upstream(release, out)
    path = out / "data/de/test.jsonl"
    path.write_text("".join(path.read_text("utf-8").splitlines(True)[1:]), encoding="utf-8")
    assert [violation.kind for violation in check_folder(out).unlisted] == ["missing"]


@pytest.mark.parametrize("fault", ["shifted", "shuffled", "reversed"])
@pytest.mark.parametrize("part", ["harmless_val", "harmful_test"])
def test_a_file_out_of_order_is_found_and_its_rows_are_kept_aside(release, tmp_path, fault, part):
    path = release / f"PolyRefuse/{part}_translated_de.json"
    field = "instruction_translated" if part.endswith("test") else "instruction"

    def spoil(rows):
        texts = [row[field] for row in rows]
        texts = {
            "shifted": texts[1:] + texts[:1],
            "shuffled": random.Random(1).sample(texts, len(texts)),
            "reversed": texts[::-1],
        }[fault]
        for row, text in zip(rows, texts, strict=True):
            row[field] = text

    edit(path, spoil)
    out = tmp_path / "out"
    report = import_upstream(release, out)
    (erratum,) = of_kind(report, "not_parallel")
    assert erratum.file == f"PolyRefuse/{part}_translated_de.json"
    assert "rank correlation of text lengths" in erratum.detail
    assert len(of_kind(report, "missing")[0].ids) == ROWS
    assert check_folder(out).ok
    kept = [row for _, row in read_jsonl(out / "quarantine.jsonl", QuarantinedRow)]
    assert kept == report.quarantined
    originals = json.loads(path.read_text("utf-8"))
    assert [row.text for row in kept] == [row[field] for row in originals]
    assert [row.position for row in kept] == list(range(ROWS))
    assert not any(
        row.language == "de" and row.source_id.startswith(part) for row in report.prompts
    )


def test_files_too_short_to_tell_are_kept_and_listed(release, tmp_path):
    for path in [*release.glob("*/harmless_val*.json")]:
        edit(path, lambda rows: rows[: MIN_ROWS - 1])
    path = release / "PolyRefuse/harmless_val_translated_de.json"
    edit(path, lambda rows: rows[::-1])
    report = import_upstream(release, tmp_path / "out")
    assert {erratum.language for erratum in of_kind(report, "alignment_unchecked")} == {"de", "th"}
    assert report.counts()["de", "harmless", "validation"] == MIN_ROWS - 1
    assert "not_parallel" not in kinds(report)


def test_planted_duplicate_leak_and_near_duplicate_are_listed(release, tmp_path):
    edit_english(release, "harmful_test", 9, sentence("harmful_test2").upper())
    edit_english(release, "harmful_test", 10, sentence("harmful_train3"))
    words = " ".join(f"word{n}" for n in range(12))
    edit_english(release, "harmless_train", 0, words)
    edit_english(release, "harmless_val", 5, f"{words} more")
    out = tmp_path / "out"
    report = import_upstream(release, out)
    (duplicate,) = of_kind(report, "duplicate_text")
    assert duplicate.detail == "harmful_test#9 has the English text of harmful_test#2"
    (leak,) = of_kind(report, "leak")
    assert leak.detail == "harmful_test#10 has the English text of harmful_train#3"
    (near,) = of_kind(report, "near_duplicate")
    assert len(near.ids) == 2
    assert "harmless_train#0 and harmless_val#5 share 0.92" in near.detail
    assert check_folder(out).ok
    lines = (out / "errata.jsonl").read_text("utf-8").splitlines(True)
    for kind in ("duplicate_text", "leak"):
        left = [line for line in lines if json.loads(line)["kind"] != kind]
        (out / "errata.jsonl").write_text("".join(left), encoding="utf-8")
        assert [violation.kind for violation in check_folder(out).unlisted] == [kind]


def test_different_prompts_with_one_translation_are_listed(release, tmp_path):
    path = release / "PolyRefuse/harmless_train_translated_th.json"
    edit(path, lambda rows: rows[4].update(instruction=rows[11]["instruction"]))
    report = import_upstream(release, tmp_path / "out")
    (erratum,) = of_kind(report, "collision")
    assert erratum.language == "th"
    assert "harmless_train#4, harmless_train#11" in erratum.detail


def test_text_is_kept_but_for_nfc_which_is_listed(release, tmp_path):
    odd = "  a\u2028b\n<b>\\u0041 \x00 [red]|"
    path = release / "PolyRefuse/harmless_train_translated_de.json"
    edit(path, lambda rows: rows[0].update(instruction=odd))
    edit(path, lambda rows: rows[1].update(instruction="Cafe\u0301" + rows[1]["instruction"]))
    out = tmp_path / "out"
    report = import_upstream(release, out)
    rows = {row.source_id: row for row in read_prompts(out) if row.language == "de"}
    assert rows["harmless_train#0"].prompt == odd
    assert rows["harmless_train#1"].prompt.startswith("Caf\u00e9")
    (erratum,) = of_kind(report, "normalised")
    assert erratum.ids == [rows["harmless_train#1"].id]
    assert check_folder(out).ok


def test_test_files_of_another_sample_keep_their_own_english(release, tmp_path):
    edit(
        release / "splits/harmless_test.json", lambda rows: rows[0].update(instruction="elsewhere")
    )
    (release / "splits/harmless_test.json").rename(release / "splits/harmless_test_24_sampled.json")
    report = import_upstream(release, tmp_path / "out")
    (erratum,) = of_kind(report, "english_not_in_splits")
    assert "23 of 24 prompts in common" in erratum.detail
    assert all(row.prompt_en != "elsewhere" for row in report.prompts)


def test_importing_twice_gives_the_same_bytes(release, tmp_path):
    import_upstream(release, tmp_path / "one")
    import_upstream(release, tmp_path / "two")
    import_upstream(release, tmp_path / "two")
    files = sorted(path for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert len(files) == 3 * 3 + 2
    for path in files:
        twin = tmp_path / "two" / path.relative_to(tmp_path / "one")
        assert twin.read_bytes() == path.read_bytes()


def test_the_errata_table_shows_hostile_text_as_it_is(release, tmp_path):
    for path in (release / "PolyRefuse").glob("harmful_test*"):
        edit(path, lambda rows: rows[1].update(category="[bold red]x[/nope]"))
    report = import_upstream(release, tmp_path / "out")
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(errata_table(report.errata))
    assert "[bold red]x[/nope]" in console.export_text()


DE_TRAIN = "PolyRefuse/harmful_train_translated_de.json"
DE_TEST = "PolyRefuse/harmful_test_translated_de.json"


def rename(name: str):
    return lambda path: path.rename(path.with_name(name))


def rows_edit(change):
    return lambda path: edit(path, change)


@pytest.mark.parametrize(
    ("file", "spoil", "words"),
    [
        (DE_TRAIN, lambda p: p.write_text('[{"instruction": "a"},\n{]'), ["line 2", "not valid"]),
        (DE_TRAIN, lambda p: p.write_text('{"instruction": "a"}'), ["not a JSON list"]),
        (DE_TRAIN, lambda p: p.write_text("[]"), ["not a JSON list of rows"]),
        (DE_TRAIN, lambda p: p.write_text("[" * 200_000), ["not a"]),
        (DE_TRAIN, lambda p: p.write_bytes(b'[{"instruction": "\xff"}]'), ["byte 19", "UTF-8"]),
        (DE_TRAIN, rows_edit(lambda r: r[:-1]), ["has 23 rows", "English has 24"]),
        (DE_TRAIN, rows_edit(lambda r: r[5].pop("instruction") and None), ["row 5", "no text"]),
        (DE_TRAIN, rows_edit(lambda r: r[5].update(instruction=None)), ["row 5", "no text"]),
        (DE_TRAIN, rows_edit(lambda r: r[5].update(instruction=" \n")), ["row 5", "no text"]),
        (DE_TRAIN, rows_edit(lambda r: [*r[:6], "text", *r[7:]]), ["row 6", "not an object"]),
        (DE_TRAIN, rows_edit(lambda r: r[2].update(category=3)), ["row 2", "category"]),
        (
            DE_TRAIN,
            lambda p: p.write_text('[{"instruction": "\\ud800"}]'),
            ["row 0", "surrogate"],
        ),
        (
            DE_TEST,
            rows_edit(lambda r: r[7].pop("instruction_translated") and None),
            ["row 7", "instruction_translated"],
        ),
        (DE_TEST, rows_edit(lambda r: r[7].update(instruction="other")), ["row 7", "English"]),
        (DE_TRAIN, rename("harmful_train_translated_xx.json"), ["'xx'", "no known language"]),
        (DE_TRAIN, rename("harmful_train_de.json"), ["harmful_train_de.json", "the name"]),
        ("splits/harmful_val.json", Path.unlink, ["harmful_val.json"]),
        (
            "splits/harmful_val.json",
            lambda p: [write(p.with_name(f"harmful_val_{n}_sampled.json"), []) for n in (1, 2)],
            ["harmful_val_1_sampled.json, harmful_val_2_sampled.json"],
        ),
        ("splits", rename("elsewhere"), ["no folder splits/"]),
        ("PolyRefuse", rename("elsewhere"), ["no folder PolyRefuse/"]),
    ],
)
def test_bad_input_is_one_line_with_file_row_and_remedy(release, tmp_path, file, spoil, words):
    spoil(release / file)
    with pytest.raises(DatasetError) as caught:
        import_upstream(release, tmp_path / "out")
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.remedy
    assert str(release) in message
    for word in words:
        assert word in message
    assert not (tmp_path / "out").exists()


def test_a_folder_without_translations_is_refused(release, tmp_path):
    for path in (release / "PolyRefuse").iterdir():
        path.unlink()
    with pytest.raises(DatasetError, match=r"holds no \.json file"):
        import_upstream(release, tmp_path / "out")
