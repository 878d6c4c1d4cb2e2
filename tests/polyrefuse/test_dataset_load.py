"""The benchmark of large datasets: what it makes, and that it can say no."""

import pytest

from benchmarks.dataset_load import MOST_MIB, Measured, faults, make_dataset, measure, table
from polyrefuse.check import check_folder
from polyrefuse.folder import read_prompts


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A dataset of about 4,000 rows: more than one round of the sample's 2,688."""
    folder = tmp_path_factory.mktemp("load")
    assert make_dataset(folder, 4_000) == 3_948
    return folder


def test_the_dataset_is_parallel_numbered_and_without_a_violation(folder, tmp_path):
    report = check_folder(folder)
    assert (report.rows, report.violations) == (3_948, [])
    assert read_prompts(folder, ["de"])[-1].prompt.endswith(" (2)")
    make_dataset(tmp_path, 4_000)
    assert check_folder(tmp_path).digest == report.digest


def test_a_command_is_measured_in_a_process_of_its_own(folder):
    found = measure("check", 3_948, ["data", "check", str(folder)])
    assert 10 < found.peak_mib < MOST_MIB["check"]
    assert 0.05 < found.busy < 60
    assert "| check | 3,948 |" in table([found])


def runs(seconds, peaks, command="check"):
    sizes = (10_000, 100_000, 1_000_000)
    return [
        Measured(command, rows, busy, busy, peak)
        for rows, busy, peak in zip(sizes, seconds, peaks, strict=True)
    ]


def test_linear_and_bounded_is_told_from_what_is_not():
    assert faults(runs((0.5, 2, 20), (50, 60, 60))) == []
    assert faults(runs((0.5, 2, 23.9), (50, 60, 60))) == []
    assert faults(runs((0.5, 2, 24.1), (50, 60, 60))) == [
        "check, 1,000,000 rows: 1.21 times as long a row"
    ]
    (said,) = faults(runs((0.5, 2, 15.9), (50, 60, 60)))
    assert "0.79 times" in said
    assert faults(runs((0.5, 2, 20), (50, 60, 129))) == ["check, 1,000,000 rows: 129 MiB, over 128"]
    two = [*runs((0.5, 2, 20), (50, 60, 60)), *runs((0.5, 2, 40), (50, 60, 60), "export")]
    assert [said.split(",")[0] for said in faults(two)] == ["export"]
