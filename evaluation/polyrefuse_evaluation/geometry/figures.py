"""Every figure of a run, as SVG and PNG: which there are, what they are called, in what order."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from polyrefuse_evaluation.geometry import (
    figures_certainty as certainty,
)
from polyrefuse_evaluation.geometry import (
    figures_components as components,
)
from polyrefuse_evaluation.geometry import (
    figures_cosines as cosines,
)
from polyrefuse_evaluation.geometry import (
    figures_transfer as transfer,
)
from polyrefuse_evaluation.geometry.drawing import save
from polyrefuse_evaluation.geometry.results import GeometryTables

Draw = Callable[[GeometryTables], Figure]


@dataclass(frozen=True)
class Drawing:
    """One figure: its file name, its title, how it is drawn, whether it needs answers."""

    name: str
    title: str
    draw: Draw
    needs_answers: bool = False


DRAWINGS = (
    Drawing("transfer_bars", "Compliance before and after ablation", transfer.paper_bars, True),
    Drawing("transfer_ablation", "Transfer of ablation", transfer.ablation_matrix, True),
    Drawing("transfer_addition", "Transfer of addition", transfer.addition_matrix, True),
    Drawing("components", "Harmful and harmless in one plane", components.shared_planes),
    Drawing("components_own", "Each language in its own plane", components.own_planes),
    Drawing("cosine_layers", "Sources against targets at every layer", cosines.source_layers),
    Drawing("cosine_pairs", "Language by language", cosines.pair_matrix),
    Drawing("cosine_pairs_layers", "Language by language at every layer", cosines.pair_layers),
    Drawing("separation", "Separation of harmful from harmless", certainty.separation_figure),
    Drawing("probes", "Linear probes across languages", certainty.probe_matrix),
    Drawing("certainty", "How sure the directions are", certainty.certainty_figure),
    Drawing("subspace", "Beyond one direction", certainty.subspace_figure),
)


def draw_figures(folder: Path, tables: GeometryTables, model: str) -> list[Path]:
    """Write every figure that the tables allow into ``figures/`` and return the paths.

    Raises:
        RunDirectoryError: a figure cannot be written.
    """
    written: list[Path] = []
    for drawing in DRAWINGS:
        if tables.transfer or not drawing.needs_answers:
            title = f"{drawing.title}: {model}".encode("ascii", "replace").decode()
            written += save(partial(drawing.draw, tables), folder, drawing.name, title)
    return written
