"""The importer on the released files themselves, where they are present (../shared/upstream)."""

import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from polyrefuse.check import check_folder
from polyrefuse.folder import read_prompts
from polyrefuse.languages import LANGUAGES
from polyrefuse_builders.alignment import measure_alignment
from polyrefuse_builders.import_upstream import import_upstream
from polyrefuse_builders.upstream_categories import UNIFIED
from polyrefuse_builders.upstream_files import read_release

REAL = Path(__file__).parents[2].parent / "shared" / "upstream"
needs_release = pytest.mark.skipif(
    not REAL.is_dir(), reason=f"the released files are not at {REAL}: nothing real was imported"
)


def of_kind(report, kind: str) -> list:
    return [erratum for erratum in report.errata if erratum.kind == kind]


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    out = tmp_path_factory.mktemp("real") / "out"
    return import_upstream(REAL, out), out


@needs_release
def test_the_release_gives_the_counts_of_the_paper(real):
    report, out = real
    counts = report.counts()
    sizes = {"train": (260, 200), "validation": (39, 200), "test": (572, 500)}
    for language in LANGUAGES:
        for split, (harmful, harmless) in sizes.items():
            assert counts[language, "harmful", split] == harmful
            assert counts[language, "harmless", split] == (0 if language == "zh" else harmless)
    checked = check_folder(out)
    assert checked.ok
    assert read_prompts(out) == report.prompts


@needs_release
def test_the_faults_of_the_release_are_listed(real):
    report, out = real
    assert Counter(erratum.kind for erratum in report.errata) == {
        "missing": 3,
        "not_parallel": 2,
        "leak": 1,
        "duplicate_text": 10,
        "near_duplicate": 10,
        "collision": 4,
        "uncategorised": 6,
        "english_not_in_splits": 1,
    }
    missing = {(e.language, e.split, e.label): len(e.ids) for e in of_kind(report, "missing")}
    assert missing == {
        ("zh", "train", "harmless"): 200,
        ("zh", "validation", "harmless"): 200,
        ("zh", "test", "harmless"): 500,
    }
    assert {(e.language, e.label) for e in of_kind(report, "not_parallel")} == {("zh", "harmless")}
    assert len(report.quarantined) == 400
    assert "31 of 500" in of_kind(report, "english_not_in_splits")[0].detail
    assert not {row.source_category for row in report.prompts} - {*UNIFIED, None}
    for kind in ("missing", "duplicate_text", "leak"):
        lines = (out / "errata.jsonl").read_text("utf-8").splitlines()
        assert sum(json.loads(line)["kind"] == kind for line in lines) > 0


@needs_release
def test_every_parallel_file_of_the_release_is_condemned_once_spoilt(real):
    report, _ = real
    release = read_release(REAL)
    rng = random.Random(0)
    checked = 0
    for file in release.files.values():
        fit = report.alignments[file.name]
        if not fit.parallel:
            assert abs(fit.correlation) < 0.1
            continue
        assert fit.correlation > 0.7
        assert fit.correlation - fit.best_elsewhere > 0.4  # twice the bound
        checked += 1
        originals = [row.text for row in release.english[file.part]]
        texts = [row.text for row in file.rows]
        middle = len(texts) // 2
        for spoilt in (
            texts[1:] + texts[:1],
            texts[-1:] + texts[:-1],
            rng.sample(texts, len(texts)),
            texts[:middle] + texts[middle + 1 :] + texts[-1:],
        ):
            assert not measure_alignment(originals, spoilt).parallel, file.name
    assert checked == 75


@needs_release
def test_the_imported_folder_loads_offline_with_class_labels(real, tmp_path):
    _, out = real
    code = (
        "import sys; from datasets import load_dataset\n"
        "de = load_dataset(sys.argv[1], 'de'); everything = load_dataset(sys.argv[1])\n"
        "assert {k: len(v) for k, v in de.items()} == "
        "{'train': 460, 'validation': 239, 'test': 1072}, de\n"
        "assert de['test'].features['label'].names == ['harmless', 'harmful']\n"
        "assert set(de['test']['label']) == {0, 1}\n"
        "assert sum(map(len, everything.values())) == 23894, everything\n"
        "assert len(load_dataset(sys.argv[1], 'zh', split='test')) == 572\n"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(out)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
