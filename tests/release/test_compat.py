"""What `make compat` installs, how it counts, and that its page is of today's ranges."""

import pytest
from packaging.requirements import Requirement

from docs.release.compat import (
    PAGE,
    TESTS,
    copy_without_packages,
    count_tests,
    oldest_pins,
    wrong_versions,
)
from docs.release.compat_page import page_faults, render_page
from docs.release.requirements import ROOT, read_pyproject, runtime_requirements

TWO = {name: Requirement(f"{name}>=2.1,<3") for name in ("alpha", "beta")}
JUNIT = """<testsuites><testsuite>
<testcase name="a"/><testcase name="b"><failure message="no"/></testcase>
<testcase name="c"><skipped message="NO GPU"/></testcase><testcase name="d"><error/></testcase>
</testsuite></testsuites>"""


def result(**changes):
    return {
        "date": "2026-11-28", "python": "3.11.7", "platform": "Linux x86_64", "minutes": 3.0,
        "versions": {"alpha": "2.1", "beta": "2.1"}, "wrong": [], "exit_code": 0,
        "passed": 9, "failed": [], "skipped": [], "kept": False,
    } | changes  # fmt: skip


def test_the_oldest_are_pinned_at_their_lower_bounds():
    assert oldest_pins(TWO) == ["alpha==2.1", "beta==2.1"]
    with pytest.raises(ValueError, match="no lower bound for gamma"):
        oldest_pins({**TWO, "gamma": Requirement("gamma<3")})


def test_versions_that_are_not_what_was_to_be_tried_are_caught():
    assert wrong_versions("oldest", TWO, {"alpha": "2.1.0+cpu", "beta": "2.1"}) == []
    assert wrong_versions("newest", TWO, {"alpha": "2.9", "beta": "2.1"}) == []
    (line,) = wrong_versions("oldest", TWO, {"alpha": "2.2", "beta": "2.1"})
    assert line == "alpha 2.2 is not its lower bound, 2.1"
    (line,) = wrong_versions("newest", TWO, {"alpha": "2.1", "beta": "3.0"})
    assert "outside" in line


def test_failures_errors_and_skips_are_counted_apart():
    counts = count_tests(JUNIT)
    assert counts == {"passed": 1, "failed": ["b", "d"], "skipped": ["NO GPU"]}


def test_the_tests_that_it_runs_exist_and_see_no_code_of_the_checkout(root, tmp_path):
    copy_without_packages(tmp_path / "tree")
    assert all((tmp_path / "tree" / name).exists() for name in TESTS)
    assert (tmp_path / "tree" / "polyrefuse" / "data" / "th").is_dir()
    for package in ("polyrefuse", "builders/polyrefuse_builders", "evaluation"):
        assert not list((tmp_path / "tree" / package).rglob("*.py"))


@pytest.mark.parametrize(
    "change",
    [{"exit_code": 1}, {"wrong": ["alpha 2.2 is not its lower bound, 2.1"]}],
)
def test_a_page_of_other_ranges_or_of_a_failure_is_caught(change):
    good = render_page(TWO, {"oldest": result(), "newest": result(skipped=["NO GPU"])})
    assert page_faults(good, TWO) == []
    assert "Skipped: NO GPU" in good
    bad = render_page(TWO, {"oldest": result(), "newest": result(**change)})
    assert page_faults(bad, TWO) == ["docs/compatibility.md does not say that the newest passed"]
    wider = {**TWO, "beta": Requirement("beta>=2.0,<3")}
    assert "beta" in page_faults(good, wider)[0]


def test_the_page_is_of_the_ranges_in_pyproject_and_says_that_both_passed():
    page = PAGE.read_text(encoding="utf-8")
    assert page_faults(page, runtime_requirements(read_pyproject(ROOT))) == []
