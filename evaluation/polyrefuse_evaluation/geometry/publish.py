"""Figures, paragraphs and the page of a run, from its tables alone."""

from pathlib import Path

from polyrefuse_evaluation.geometry.figures import draw_figures
from polyrefuse_evaluation.geometry.page import write_page
from polyrefuse_evaluation.geometry.results import GeometryTables
from polyrefuse_evaluation.geometry.wording import paragraphs


def publish(folder: Path, tables: GeometryTables, model: str) -> tuple[Path, dict[str, str]]:
    """Write figures and page; return the page's path and the paragraphs by section.

    Raises:
        RunDirectoryError: a file cannot be written.
    """
    texts = paragraphs(tables)
    draw_figures(folder, tables, model)
    return write_page(folder, tables, model, texts), texts
