"""The page that says on which versions the wheel was tried, written from what `compat.py` found."""

import re
from collections.abc import Mapping
from typing import Any

from packaging.requirements import Requirement

WHY = {
    "datasets": "5.1 is the first release that works with huggingface-hub 2",
    "jinja2": "3.1.6 closes the known ways out of the sandbox that renders chat templates",
    "pyarrow": "datasets 5.1 needs 24; no upper bound, because its major number is a calendar",
    "requests": "2.32.4 fixes a leak of credentials to other hosts",
    "safetensors": "transformers 5.23 needs 0.8",
    "tokenizers": "0.23.3 is the first release that works with huggingface-hub 2",
    "torch": "2.6 is the least that transformers 5.23 asks for; 2.15 and later were not tried: pip "
    "on the machine that ran this is held at 2.14.1",
    "transformers": "5.23 is the release on which the types in ARCHITECTURES.md were proven",
}
TEMPLATE = """\
# Compatibility

`make compat` installs the built wheel with all extras into two fresh environments and runs part of
the test suite against what was installed. It writes this page; nothing here is written by hand.

- **Oldest**: every direct dependency at its lower bound, and whatever those need at its newest.
- **Newest**: the newest releases that the ranges, the other packages and the machine's pip admit.

{outcomes}

| package | range | oldest | newest | why this bound |
|---|---|---|---|---|
{rows}

What ran: loading the dataset, `data check`, `build`, loading models, ablation and its proof on
random models of several architectures, selection, generation, the evaluation of a planted model
(trained with the versions of the lock), its report, and `leaderboard submit`, `verify` and `build`,
also of a forged submission. What did not: a GPU, browsers, other operating systems, other versions
of Python.
"""


def outcome(kind: str, result: Mapping[str, Any]) -> str:
    """Return the line that says how a kind ended."""
    verdict = "FAILED" if result["exit_code"] or result["wrong"] else "passed"
    line = (
        f"{kind.capitalize()}, {result['date']}: **{verdict}**; {result['passed']} tests passed, "
        f"{len(result['failed'])} failed, in {result['minutes']} minutes with the installation "
        f"(Python {result['python']}, {result['platform']})."
    )
    faults = [*result["wrong"], *result["failed"]]
    notes = [f"Failed: {fault}" for fault in faults] + [f"Skipped: {x}" for x in result["skipped"]]
    if result["kept"]:
        notes.append("Installed over an environment of an earlier try (--keep), not a fresh one.")
    return "\n".join([line, *(f"  - {note}" for note in notes)])


def render_page(
    requirements: Mapping[str, Requirement], results: Mapping[str, Mapping[str, Any]]
) -> str:
    """Return the page: one row a direct dependency, one column a kind."""
    rows = []
    for name, requirement in requirements.items():
        versions = " | ".join(results[kind]["versions"][name] for kind in ("oldest", "newest"))
        rows.append(f"| {name} | `{bounds(requirement)}` | {versions} | {WHY.get(name, '')} |")
    outcomes = "\n".join(f"- {outcome(kind, result)}" for kind, result in results.items())
    return TEMPLATE.format(outcomes=outcomes, rows="\n".join(rows))


def bounds(requirement: Requirement) -> str:
    """Return a range with its lower bound first."""
    return ",".join(sorted(map(str, requirement.specifier), key=lambda part: part[0] == "<"))


def page_faults(page: str, requirements: Mapping[str, Requirement]) -> list[str]:
    """Return what a page lacks: a row with today's range for each dependency, and two passes."""
    rows = [f"| {name} | `{bounds(requirement)}` |" for name, requirement in requirements.items()]
    faults = [f"docs/compatibility.md has no row '{row}'" for row in rows if row not in page]
    for kind in ("Oldest", "Newest"):
        if not re.search(rf"^- {kind}, .*\*\*passed\*\*", page, flags=re.MULTILINE):
            faults.append(f"docs/compatibility.md does not say that the {kind.lower()} passed")
    return faults
