"""The report of an evaluation: tables in the terminal, figures for print, one self-contained page.

Everything here reads a `polyrefuse.results.Result` and computes nothing new from it.
"""

from typing import TYPE_CHECKING, Any

from polyrefuse_evaluation.report.html import CompletionRow, write_report
from polyrefuse_evaluation.report.terminal import terminal_tables

if TYPE_CHECKING:
    from polyrefuse_evaluation.report.figures import write_figures

__all__ = ["CompletionRow", "terminal_tables", "write_figures", "write_report"]


def __getattr__(name: str) -> Any:
    """Import matplotlib only for figures: the leaderboard's pages share the rest without it."""
    if name == "write_figures":
        from polyrefuse_evaluation.report.figures import write_figures

        return write_figures
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
