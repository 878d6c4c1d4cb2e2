"""The documents of any dataset: suspect rows, writing direction, hostile text, Croissant."""

import json
import shutil

import mlcroissant
import pytest
import yaml
from huggingface_hub import DatasetCard

from polyrefuse.dataset import SAMPLE_FOLDER
from polyrefuse.errors import DatasetError, UnknownLanguageError
from polyrefuse.folder import read_prompts, write_prompts
from polyrefuse.invariants import Erratum
from polyrefuse.prompts import QualityCheck, Verdict
from polyrefuse_builders.documents.about import About, about_rows, read_about
from polyrefuse_builders.documents.changelog import render_changelog
from polyrefuse_builders.documents.croissant import render_croissant
from polyrefuse_builders.documents.eval_yaml import render_eval_yaml
from polyrefuse_builders.documents.language_page import render_language_page
from polyrefuse_builders.documents.render import render_documents, render_folder
from polyrefuse_builders.sample import ABOUT
from tests.builders.documents import recount
from tests.builders.documents.pages import problems
from tests.support.hub_server import HubServer


@pytest.fixture(scope="module")
def sample():
    return read_prompts(SAMPLE_FOLDER, ["ar", "en"])


@pytest.fixture(scope="module")
def checked(sample):
    """The sample with verdicts: every 7th Arabic row suspect, every 31st failed."""

    def judge(number, row):
        verdict = "failed" if number % 31 == 0 else "suspect" if number % 7 == 0 else "ok"
        qa = [
            QualityCheck(check="script", score=1.0, verdict=Verdict.OK),
            QualityCheck(check="length", score=0.5, verdict=Verdict(verdict)),
        ]
        return row.model_copy(update={"qa": qa, "status": verdict})

    arabic = [row for row in sample if row.language == "ar"]
    return [judge(number, row) for number, row in enumerate(arabic)] + [
        row for row in sample if row.language == "en"
    ]


@pytest.fixture
def folder(tmp_path, sample):
    target = tmp_path / "dataset"
    write_prompts(target, sample)
    shutil.copy(SAMPLE_FOLDER / "README.md", target)
    return target


def test_pages_with_verdicts_state_what_the_rows_give(tmp_path, checked):
    about = ABOUT.model_copy(update={"description": "Some prompts."})
    render_documents(checked, [], tmp_path, about=about, card_name="sample.md")
    write_prompts(tmp_path / "rows", checked)
    rows = recount.read_rows(tmp_path / "rows")
    files = {
        path.relative_to(tmp_path / "rows").as_posix(): path.read_bytes()
        for path in (tmp_path / "rows").glob("data/*/*.jsonl")
    }
    pages = {
        path.relative_to(tmp_path).as_posix(): path.read_text(encoding="utf-8")
        for path in tmp_path.rglob("*")
        if path.is_file() and "rows" not in path.parts
    }
    assert problems(pages, rows, files) == []
    assert "| length | " in pages["languages/ar.md"]


def test_examples_show_harmless_text_only_and_say_why(checked):
    page = render_language_page(checked, [], "ar")
    table = next(body for header, body in recount.page_tables(page) if header[-1] == "English")
    assert len(table) == 10
    assert {row[2] for row in table} == {"failed", "suspect"}
    assert all(row[3] == "length" for row in table)
    by_id = {row.id: row for row in checked if row.language == "ar"}
    for id_, label, _, _, text, english in table:
        row = by_id[id_.strip("`")]
        assert label == row.label
        shown = f'<bdi lang="ar" dir="rtl">{row.prompt}</bdi>'
        assert text == (shown if label == "harmless" else "not shown")
        assert (english == "not shown") == (label == "harmful")
    assert {row[1] for row in table} == {"harmful", "harmless"}
    harmful = [row.prompt for row in checked if row.label == "harmful"]
    assert not [text for text in harmful if text in page]


def test_right_to_left_names_are_right(sample):
    page = render_language_page(sample, [], "ar")
    assert page.startswith('# Arabic (`ar`): <bdi lang="ar" dir="rtl">العربية</bdi>\n')
    assert "| written | right to left |" in page
    assert 'dir="rtl"' not in render_language_page(sample, [], "en")


def test_hostile_text_in_a_suspect_row_is_shown_never_followed(sample):
    hostile = "</bdi><script>x</script> | [a](javascript:b) ![c](http://d) `e` <!-- # *f*\n| 9 |"
    row = next(row for row in sample if row.label == "harmless" and row.language == "ar")
    bad = row.model_copy(update={"status": "suspect", "prompt": hostile, "prompt_en": hostile})
    page = render_language_page([bad], [], "ar")
    line = next(line for line in page.splitlines() if line.startswith(f"| `{row.id}`"))
    assert "<script" not in line
    assert "](" not in line
    assert "http://" not in line
    assert line.count("|") == 7
    assert line.count("<bdi") == line.count("</bdi>") == 2


def test_errata_of_a_language_stand_on_its_page_only(sample):
    errata = [
        Erratum(kind="missing", language="ar", ids=["a", "b"], detail=""),
        Erratum(kind="leak", ids=["c"], detail=""),
    ]
    arabic = render_language_page(sample, errata, "ar")
    english = render_language_page(sample, errata, "en")
    assert "| missing | 1 | 2 |" in arabic
    assert "| leak | 1 | 1 |" in arabic
    assert "| missing | 1" not in english
    assert "| leak | 1 | 1 |" in english


def test_croissant_is_valid_and_reads_every_row_back(folder, sample):
    render_folder(folder)
    dataset = mlcroissant.Dataset(jsonld=str(folder / "croissant.json"))
    assert not dataset.metadata.issues.errors
    assert not dataset.metadata.issues.warnings
    for code in ("ar", "en"):
        rows = {
            (row[f"{code}/id"].decode(), row[f"{code}/prompt"].decode())
            for row in dataset.records(code)
        }
        assert rows == {(row.id, row.prompt) for row in sample if row.language == code}


def test_croissant_has_the_responsible_ai_fields(sample):
    content = json.loads(render_croissant(sample, ABOUT))
    assert "http://mlcommons.org/croissant/RAI/1.0" in content["conformsTo"]
    metadata = mlcroissant.Dataset(jsonld=content).metadata
    for name in (
        "data_collection",
        "data_biases",
        "data_limitations",
        "data_use_cases",
        "data_social_impact",
        "personal_sensitive_information",
        "data_release_maintenance_plan",
        "data_annotation_protocol",
        "data_preprocessing_protocol",
    ):
        assert getattr(metadata, name), name


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content.pop("distribution"),
        lambda content: content["distribution"][-1].pop("sha256"),
        lambda content: content["recordSet"][0]["field"][0]["source"].update(fileSet={"@id": "x"}),
        lambda content: content.update(conformsTo="http://example.org"),
    ],
)
def test_mlcroissant_refuses_a_damaged_croissant_file(sample, damage):
    content = json.loads(render_croissant(sample, ABOUT))
    damage(content)
    with pytest.raises(mlcroissant.ValidationError):
        mlcroissant.Dataset(jsonld=content)


def test_the_card_passes_the_hub_clients_metadata_checks(folder, monkeypatch):
    render_folder(folder)
    card = DatasetCard.load(folder / "README.md", ignore_metadata_errors=False)
    with HubServer() as hub:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        card.validate()
        assert hub.requests == [("POST", "/api/validate-yaml")]
        card.data.license = "my own"
        with pytest.raises(ValueError, match="license"):
            card.validate()


def test_eval_yaml_has_a_task_for_each_language_with_harmful_tests(sample):
    rows = [row for row in sample if (row.language, row.split) != ("ar", "test")]
    content = yaml.safe_load(render_eval_yaml(rows, ABOUT))
    assert set(content) == {"name", "description", "evaluation_framework", "tasks"}
    assert content["tasks"] == [{"id": "refusal_en", "config": "en", "split": "test"}]
    with pytest.raises(DatasetError, match="needs harmful prompts in the test split"):
        render_eval_yaml([row for row in sample if row.split == "train"], ABOUT)


def test_a_folder_is_documented_from_its_own_card_again_and_again(folder, sample):
    first = {path: path.read_bytes() for path in render_folder(folder)}
    assert read_about(folder, sample) == ABOUT
    assert {path: path.read_bytes() for path in render_folder(folder)} == first
    names = {path.relative_to(folder).as_posix() for path in first}
    assert names == {
        "README.md",
        "CHANGELOG.md",
        "datasheet.md",
        "croissant.json",
        "eval.yaml",
        "languages/ar.md",
        "languages/en.md",
    }


def test_pages_of_languages_that_are_gone_go(folder, sample):
    render_folder(folder)
    shutil.rmtree(folder / "data" / "ar")
    render_folder(folder)
    assert [path.name for path in (folder / "languages").iterdir()] == ["en.md"]


def test_a_card_that_says_nothing_is_filled_from_the_rows(tmp_path, sample):
    (tmp_path / "README.md").write_text("# Mine\n", encoding="utf-8")
    assert read_about(tmp_path, sample) == about_rows(sample)
    assert about_rows(sample).licence == "CC-BY-4.0"
    (tmp_path / "README.md").write_text("---\npretty_name: X\n---\n", encoding="utf-8")
    assert read_about(tmp_path, sample).name == "X"


@pytest.mark.parametrize(
    ("front", "match"),
    [
        ("a: [b", "front matter is not YAML"),
        ("polyrefuse: {sources: 3}", "block 'polyrefuse' of the front matter cannot be used"),
    ],
)
def test_a_damaged_front_matter_is_named(tmp_path, sample, front, match):
    (tmp_path / "README.md").write_text(f"---\n{front}\n---\n", encoding="utf-8")
    with pytest.raises(DatasetError, match=match):
        read_about(tmp_path, sample)


def test_a_card_that_is_missing_is_named(tmp_path, sample):
    with pytest.raises(DatasetError, match=r"README\.md: cannot be read"):
        read_about(tmp_path, sample)


def test_the_changelog_gets_one_entry_a_version_with_measured_differences(sample):
    about = About(name="N", licence="MIT", description="D")
    first = render_changelog(sample, about)
    assert render_changelog(sample, about, existing=first) == first
    edited = [sample[0].model_copy(update={"prompt": "جديد"}), *sample[2:]]
    second = render_changelog(edited, about, existing=first, previous=sample)
    assert "| Arabic (`ar`) | 190 | 1 | 1 | 0 |" in second
    assert second.count("## `sha256:") == 2
    assert second.index("| 190 |") < second.rindex("## `sha256:")
    assert render_changelog(edited, about, existing=second, previous=sample) == second


def test_errors_of_documents_are_named(tmp_path, sample, monkeypatch):
    with pytest.raises(UnknownLanguageError, match="unknown language 'xx'"):
        render_language_page(sample, [], "xx")
    with pytest.raises(DatasetError, match="no prompts in language 'de'"):
        render_language_page(sample, [], "de")
    with pytest.raises(DatasetError, match="no prompts to document"):
        render_documents([], [], tmp_path)
    with pytest.raises(DatasetError, match="no such dataset folder"):
        render_folder(tmp_path / "none")
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(DatasetError, match="cannot be written"):
        render_documents(sample, [], tmp_path / "file")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(DatasetError, match=r"cannot be written \(No space left on device\)"):
        render_documents(sample, [], tmp_path / "out")
