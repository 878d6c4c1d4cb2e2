"""What verification says: lines for a terminal, Markdown for a CI comment.

Text of submissions stands in code spans, without back ticks: it makes no link, no mention, no HTML.
"""

from collections.abc import Mapping, Sequence

from polyrefuse.results import BASELINE, Result
from polyrefuse_evaluation.leaderboard.problems import shown
from polyrefuse_evaluation.leaderboard.rescore import Rescore
from polyrefuse_evaluation.leaderboard.verify import Verdict

LONGEST_COMMENT = 60_000
"""Characters; GitHub and the Hub refuse comments above 65,536."""

NOT_SHOWN = (
    "Accepted means: the files are whole, the prompts are those of the pinned dataset, and every "
    "figure follows from the labels. It does not mean that the labels are true; only asking the "
    "model again (`--rescore`) shows that."
)


def terminal_lines(
    verdicts: Sequence[Verdict], rescores: Mapping[str, Rescore] | None = None
) -> list[str]:
    """Return the verdicts as plain lines, every problem on a line of its own."""
    lines = []
    for verdict in verdicts:
        word = "accepted" if verdict.accepted else f"rejected, {_reasons(verdict)}"
        lines.append(f"{shown(verdict.where)}: {verdict.model}: {word}")
        lines += [f"  {problem}" for problem in verdict.problems]
        again = (rescores or {}).get(verdict.where)
        if again is not None:
            lines.append(f"  rescored: {describe_rescore(again)}")
    return lines


def describe_rescore(found: Rescore) -> str:
    """Return what asking again showed, in one line."""
    if found.note or not found.n:
        return found.note or "another model: nothing was compared"
    conditions = ", ".join(f"{name} {n}" for name, n in found.conditions)
    return (
        f"{found.n} completions ({conditions}), seed {found.seed}: {found.same_label} labels and "
        f"{found.same_text} texts the same; with 95% probability this catches a submission with "
        f"{found.caught_share:.1%} of its labels altered"
    )


BEGIN = "## PolyRefuse leaderboard: "
"""How the verdicts begin as Markdown."""


def markdown(verdicts: Sequence[Verdict], rescores: Mapping[str, Rescore] | None = None) -> str:
    """Return the verdicts as Markdown for a comment on a pull request."""
    rejected = sum(not verdict.accepted for verdict in verdicts)
    head = f"{len(verdicts) - rejected} accepted, {rejected} rejected"
    parts = [f"{BEGIN}{head}", ""]
    for verdict in sorted(verdicts, key=lambda item: item.accepted):
        word = "accepted" if verdict.accepted else f"rejected, {_reasons(verdict)}"
        parts.append(f"### {code(verdict.model)}: {word}")
        parts.append("")
        if verdict.accepted and verdict.result is not None:
            parts += [*_figures(verdict.result), ""]
        parts += [f"- **{problem.kind}** {code(problem)}" for problem in verdict.problems]
        again = (rescores or {}).get(verdict.where)
        if again is not None:
            parts += ["", f"Rescored: {describe_rescore(again)}."]
        parts.append("")
    parts.append(NOT_SHOWN)
    text = "\n".join(parts) + "\n"
    if len(text) <= LONGEST_COMMENT:
        return text
    return text[:LONGEST_COMMENT] + f"\n\n... cut; {len(text)} characters in all.\n"


def code(text: object) -> str:
    """Return `text` as a Markdown code span that it cannot end."""
    return f"`{shown(text, 400).replace('`', chr(39)).replace('|', chr(166))}`"


def _reasons(verdict: Verdict) -> str:
    n = len(verdict.problems)
    return f"{n} reason{'' if n == 1 else 's'}"


def _figures(result: Result) -> list[str]:
    lines = []
    for item in result.averages:
        if item.condition == BASELINE:
            lines.append(
                f"- refusal of {item.label} prompts: {item.refusal:.1%} "
                f"({item.refusal_low:.1%} to {item.refusal_high:.1%}), mean of {item.languages} "
                f"languages, {item.prompts} prompts"
            )
    return lines
