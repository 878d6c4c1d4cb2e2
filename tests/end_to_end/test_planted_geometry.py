"""Geometry on the planted models: shared, in two blocks, or nowhere; resumed without a trace."""

import base64
import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from polyrefuse.errors import RunDirectoryError
from polyrefuse.export import export_sample
from polyrefuse.observing.status import read_status
from polyrefuse_evaluation import load_model
from polyrefuse_evaluation.geometry import GeometryOptions, GeometryReport, geometry, transfer
from polyrefuse_evaluation.geometry.figures_cosines import beyond_null
from polyrefuse_evaluation.geometry.results import CONTENTS
from polyrefuse_evaluation.geometry.store import ActivationStore

OPTIONS = GeometryOptions(
    languages="ar,de,en,yo,zh", sources="de,en,yo,zh", limit=4, resamples=200, max_new_tokens=32
)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Return a function: variant -> report of a small run on it, without figures."""
    done: dict[str, GeometryReport] = {}

    def run(variant: str) -> GeometryReport:
        if variant not in done:
            name = "planted" if variant == "single" else f"planted:{variant}"
            folder = tmp_path_factory.mktemp("geometry") / variant
            with pytest.MonkeyPatch.context() as patch:
                if variant != "single":  # one variant's figures are enough
                    patch.setattr(
                        "polyrefuse_evaluation.geometry.publish.draw_figures", lambda *_: []
                    )
                done[variant] = geometry(name, folder, options=OPTIONS)
        return done[variant]

    return run


def cosines(report: GeometryReport) -> dict:
    tables = report.tables
    return {
        (row.source, row.target): row
        for row in tables.cosines
        if row.kind == "pair" and row.layer == tables.layer
    }


def refusals(report: GeometryReport) -> dict:
    return {
        (row.source, row.target): row.refusal
        for row in report.tables.transfer
        if row.intervention == "ablation"
    }


ALIGNED = ("ar", "de", "en", "zh")


def test_its_log_has_every_stage_and_counts_every_answer(planted):
    status = read_status(planted("single").folder)
    assert status.state == "finished"
    assert [(stage.name, stage.state) for stage in status.stages] == [
        (name, "done") for name in ("prove", "select", "extract", "analyse", "answer", "publish")
    ]
    answer = status.stages[4]
    assert answer.done == answer.total == sum(part.total for part in answer.parts)
    assert {part.language for part in answer.parts} == {"ar", "de", "en", "yo", "zh"}


def test_aligned_languages_are_parallel_beyond_the_null_and_yoruba_is_not(planted):
    found = cosines(planted("single"))
    for one in ALIGNED:
        for other in ALIGNED:
            if one != other:
                row = found[one, other]
                assert row.cosine >= 0.9
                assert beyond_null(row.low, row.high, row.null_bound)
        assert abs(found[one, "yo"].cosine) <= 0.3


def test_every_aligned_source_frees_every_aligned_target_and_yoruba_none(planted):
    report = planted("single")
    found = refusals(report)
    assert all(found[source, x] <= 0.05 for source in ("de", "en", "zh") for x in ALIGNED)
    assert all(found["shared-1", x] <= 0.05 for x in ALIGNED)
    idle = next(
        r for r in report.tables.sources if (r.intervention, r.source) == ("ablation", "yo")
    )
    assert abs(idle.beyond_random) <= 0.05
    assert "the direction is shared" in report.paragraphs["ablation"]
    assert report.tables.rank == 1


def test_two_directions_show_two_blocks_and_rank_two(planted):
    report = planted("two")
    found, freed = cosines(report), refusals(report)
    assert found["de", "en"].cosine >= 0.9 <= found["ar", "zh"].cosine
    assert abs(found["en", "zh"].cosine) <= 0.3 >= abs(found["de", "ar"].cosine)
    assert report.tables.rank == 2
    assert freed["en", "de"] <= 0.05 < 0.95 <= freed["en", "zh"]
    assert freed["zh", "ar"] <= 0.05 < 0.95 <= freed["zh", "de"]
    assert all(freed["shared-2", x] <= 0.05 for x in ALIGNED)
    assert "It does not go everywhere" in report.paragraphs["ablation"]


def test_without_a_direction_nothing_transfers_and_the_page_says_so(planted):
    report = planted("none")
    assert not any(row.mediates for row in report.tables.sources if row.intervention == "ablation")
    assert "There is no transfer" in report.paragraphs["ablation"]
    assert report.paragraphs["ablation"].split(".")[0] in report.page.read_text(encoding="utf-8")


def test_the_page_asks_nothing_of_anyone_and_names_every_language(planted):
    page = planted("single").page.read_text(encoding="utf-8")
    assert not re.search(r'(src|href)="(https?:)?//', page)
    assert re.findall(r'href="((?!data:|figures/|tables/)[^"]*)"', page) == []
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert 'lang="ar" dir="rtl">العربية' in page
    assert "English (en) (layer" in page
    assert not re.search(r"\b(nan|None)\b", page)
    folder = planted("single").folder
    for link in re.findall(r'href="((?:figures|tables)/[^"]*)"', page):
        assert (folder / link).stat().st_size > 500, link


def table_bytes(folder: Path) -> dict[str, bytes]:
    return {name: (folder / "tables" / f"{name}.parquet").read_bytes() for name in CONTENTS}


def test_an_interrupted_run_ends_with_the_very_same_tables(planted, tmp_path, monkeypatch):
    expected = table_bytes(planted("single").folder)
    loaded = load_model("planted")
    monkeypatch.setattr("polyrefuse_evaluation.geometry.publish.draw_figures", lambda *_: [])
    calls = {"write": 0, "generate": 0}
    write, generate = ActivationStore.write, transfer.generate

    def stops(name, action, after):
        def run(*arguments):
            calls[name] += 1
            if calls[name] == after:
                raise KeyboardInterrupt
            return action(*arguments)

        return run

    monkeypatch.setattr(ActivationStore, "write", stops("write", write, 3))
    monkeypatch.setattr(transfer, "generate", stops("generate", generate, 7))
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            geometry(loaded, tmp_path / "run", options=OPTIONS)
    (tmp_path / "run" / "judgements.jsonl").open("ab").write(b'{"torn')
    geometry(loaded, tmp_path / "run", options=OPTIONS)
    assert table_bytes(tmp_path / "run") == expected
    assert calls["write"] == 1 + 10  # one was interrupted, none was done twice

    journal = tmp_path / "run" / "judgements.jsonl"  # and the comparison can fail
    text = journal.read_text(encoding="utf-8")
    journal.write_text(text.replace('"complied"', '"broken"', 1), encoding="utf-8")
    geometry(loaded, tmp_path / "run", options=OPTIONS)
    assert table_bytes(tmp_path / "run") != expected


def test_a_short_language_is_reported_and_other_settings_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("polyrefuse_evaluation.geometry.publish.draw_figures", lambda *_: [])
    data = short_sample(tmp_path / "data")
    loaded = load_model("planted")
    small = GeometryOptions(languages="de,en,zh", sources="en", limit=2, resamples=100)
    fast = replace(small, transfer=False)
    report = geometry(loaded, tmp_path / "run", dataset=data, options=fast)
    status = {row.language: row.status for row in report.tables.languages}
    assert status == {"de": "3 harmful train prompts, needs 8", "en": "ok", "zh": "ok"}
    reported = "Not compared, for want of prompts: German: 3 harmful train prompts, needs 8."
    assert reported in report.paragraphs["languages"]
    assert "3 harmful train prompts, needs 8" in report.page.read_text(encoding="utf-8")
    assert report.tables.transfer == []
    with pytest.raises(RunDirectoryError, match="seed: 0 there, 1 now"):
        geometry(loaded, tmp_path / "run", dataset=data, options=replace(fast, seed=1))
    later = geometry(loaded, tmp_path / "run", dataset=data, options=small)
    assert later.tables.transfer  # answers can be added to a run without them


def short_sample(folder: Path) -> Path:
    """Return a copy of the sample in which German has three harmful train prompts."""
    export_sample(folder)
    path = folder / "data" / "de" / "train.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    gone = [line for line in lines if '"label": "harmful"' in line][3:]
    path.write_text("".join(line for line in lines if line not in gone), encoding="utf-8")
    return folder
