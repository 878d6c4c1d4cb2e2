"""The page's charts of rates: a row per language, a bar with its interval per condition."""

from collections.abc import Sequence
from dataclasses import dataclass

from polyrefuse.results import Result
from polyrefuse_evaluation.report import views

MATRIX_CONDITIONS = 6
"""A table has room for a column each of so many conditions; more stand under each other."""


@dataclass(frozen=True)
class Columns:
    """The conditions of a chart and how they are laid out."""

    conditions: Sequence[views.Condition]

    @property
    def layout(self) -> str:
        """``matrix`` has a column per condition; ``stacked`` puts many under each other."""
        layout = "matrix" if len(self.conditions) <= MATRIX_CONDITIONS else "stacked"
        return f"{layout} single" if len(self.conditions) == 1 else layout

    @property
    def roles(self) -> list[tuple[str, int]]:
        """Runs of conditions with one role, as (role, length), for spanning headings."""
        roles = [condition.role for condition in self.conditions]
        return [(role, roles.count(role)) for role in dict.fromkeys(roles)]


@dataclass(frozen=True)
class Chart:
    """One figure of bars: a row per language, a bar per condition."""

    key: str
    title: str
    caption: str
    columns: Columns
    rows: list[views.LanguageRow]

    @property
    def has_bounds(self) -> bool:
        """Whether some responses are unparsed, so that bounds are shown."""
        return any(shown and shown.bounds for row in self.rows for shown in row.measures)

    @property
    def has_marks(self) -> bool:
        """Whether some rates are marked as unreliable."""
        return any(shown and shown.marked for row in self.rows for shown in row.measures)


def rate_charts(result: Result) -> list[Chart]:
    """Return the charts of compliance and of over-refusal, those that have prompts."""
    shown = views.conditions(result)
    charts = []
    if views.has_label(result, "harmful"):
        rows = views.language_rows(result, "harmful", "compliance", shown)
        caption = _caption("harmful prompts complied with")
        if len(shown) > 1:
            caption += " After figure 1 of arXiv 2505.17306."
        title = "Compliance with harmful prompts"
        charts.append(Chart("compliance", title, caption, Columns(shown), rows))
    if views.has_label(result, "harmless"):
        caption = _caption("harmless prompts refused")
        baseline = [condition for condition in shown if condition.role == "baseline"] or shown
        if len(baseline) < len(shown):
            caption += " Without ablation; for the rest see the averages above and the cells below."
        rows = views.language_rows(result, "harmless", "refusal", baseline)
        title = "Over-refusal: harmless prompts refused"
        charts.append(Chart("over_refusal", title, caption, Columns(baseline), rows))
    return charts


def _caption(quantity: str) -> str:
    return (
        f"Share of {quantity}, in percent; the line across each bar’s end is the 95% Wilson "
        "interval."
    )
