"""The interactive page, ``geometry.html``: one file, no request to anywhere, values on hover.

Drawn as inline SVG, so that it shows without scripts; a few lines of JavaScript bring the value of
a mark to pointer and touch, and a table under each figure brings them to the keyboard.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from polyrefuse.atomic import write_whole
from polyrefuse_evaluation.geometry.results import GeometryTables
from polyrefuse_evaluation.geometry.views import Dots, Heat, Plane
from polyrefuse_evaluation.geometry.views_dots import certainty_dots, subspace_dots
from polyrefuse_evaluation.geometry.views_heats import (
    layer_heats,
    learning_heat,
    pair_heats,
    probe_heat,
    silhouette_heat,
    transfer_heats,
)
from polyrefuse_evaluation.geometry.views_planes import compliance_plane, planes
from polyrefuse_evaluation.report.views import clean, language_of, number
from polyrefuse_evaluation.run_directory import io_errors

PAGE = "geometry.html"
_HERE = Path(__file__).parent / "templates"
_REPORT = Path(__file__).parents[1] / "report" / "templates"


@dataclass(frozen=True)
class Section:
    """One section of the page: its paragraph, its drawings, its printed figures, its tables."""

    key: str
    title: str
    text: str
    heats: Sequence[Heat] = ()
    dots: Sequence[Dots] = ()
    planes: Sequence[Plane] = ()
    prints: Sequence[str] = ()
    files: Sequence[str] = ()


def sections(tables: GeometryTables, texts: Mapping[str, str]) -> list[Section]:
    """Return the sections of the page, in the order in which one asks."""
    found = []
    if tables.transfer:
        refusal, compliance, induced = transfer_heats(tables)
        found += [
            Section("ablation", "Does ablation transfer?", texts["ablation"],
                    heats=[refusal, compliance], prints=["transfer_bars", "transfer_ablation"],
                    files=["transfer", "sources"]),
            Section("addition", "Does addition transfer?", texts["addition"], heats=[induced],
                    prints=["transfer_addition"], files=["transfer", "sources"]),
        ]  # fmt: skip
    base = compliance_plane(tables)
    pairs = pair_heats(tables)
    found += [
        Section("pairs", "Are the directions parallel?", texts["pairs"], heats=pairs,
                prints=["cosine_pairs", "cosine_pairs_layers"], files=["cosines"]),
        Section("layers", "At which layers?", texts["layers"], heats=layer_heats(tables),
                prints=["cosine_layers"], files=["cosines"]),
        Section("components", "How do harmful and harmless lie?", texts["components"],
                planes=planes(tables), prints=["components", "components_own"],
                files=["points", "arrows"]),
        Section("separation", "How far apart are they?", texts["separation"],
                heats=[silhouette_heat(tables)],
                planes=[base] if base else [],
                prints=["separation"], files=["separation", "relations"]),
        Section("probes", "Can one language be read with another's probe?", texts["probes"],
                heats=[probe_heat(tables)], prints=["probes"], files=["probes"]),
        Section("certainty", "How sure are the directions?", texts["certainty"],
                heats=[learning_heat(tables)], dots=certainty_dots(tables),
                prints=["certainty"], files=["reliability", "learning", "cosines"]),
        Section("subspace", "Is one direction enough?", texts["subspace"],
                dots=subspace_dots(tables), prints=["subspace"],
                files=["spectrum", "left_out", "angles"]),
    ]  # fmt: skip
    return found


def write_page(folder: Path, tables: GeometryTables, model: str, texts: Mapping[str, str]) -> Path:
    """Write ``geometry.html`` into the run directory and return its path.

    Raises:
        RunDirectoryError: it cannot be written.
    """
    script = (_HERE / "geometry.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = (
        _environment()
        .get_template("geometry.html.j2")
        .render(
            model=model,
            tables=tables,
            texts=texts,
            sections=sections(tables, texts),
            script=Markup(script),  # noqa: S704 - our own file
            script_hash=digest,
        )
    )
    path = folder / PAGE
    with io_errors(path):
        write_whole(path, page)
    return path


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([_HERE, _REPORT]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.globals.update(language_of=language_of, number=number)
    return environment


def _finalize(value: Any) -> Any:
    """Every text that reaches the page is made visible and harmless, then escaped."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return clean(value)
    return f"{value:.4g}" if isinstance(value, float) else value
