"""The page of a run, ``residual-space.html``: self-contained, no scripts, no outside requests.

Says in words and numbers what the tables hold. Tokens of prompts appear only of the packaged sample
and of planted prompts; no answer appears at all.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from polyrefuse.languages import LANGUAGES
from polyrefuse_evaluation.geometry.drawing import FOLDER
from polyrefuse_evaluation.report.views import clean
from polyrefuse_evaluation.residual_space.effects import Effects
from polyrefuse_evaluation.residual_space.figures import write_figures
from polyrefuse_evaluation.residual_space.layers import LayerTables
from polyrefuse_evaluation.residual_space.options import ResidualOptions
from polyrefuse_evaluation.residual_space.rows import PlantedRow, TokenRow
from polyrefuse_evaluation.residual_space.wording import Findings, findings
from polyrefuse_evaluation.run_directory import RunDirectory

NAME = "residual-space.html"
_HERE = Path(__file__).parent
_TEMPLATES = (_HERE / "templates", _HERE.parent / "report" / "templates")


@dataclass(frozen=True)
class HeatToken:
    """A piece of text with its relevance, in [-1, 1] of the largest of its prompt."""

    text: str
    strength: float
    in_prompt: bool

    @property
    def style(self) -> str:
        """CSS background: blue promotes, orange suppresses."""
        colour = "0, 114, 178" if self.strength >= 0 else "213, 94, 0"
        return f"background: rgba({colour}, {abs(self.strength) * 0.65:.2f})"


@dataclass(frozen=True)
class HeatLine:
    """The tokens of one prompt, in reading order of its language."""

    id: str
    language: str
    name: str
    direction: str
    tokens: list[HeatToken]


@dataclass(frozen=True)
class FigureOnPage:
    """A figure, inlined."""

    title: str
    data: str


def publish(
    run: RunDirectory,
    names: Sequence[str],
    tables: LayerTables,
    effects: Effects,
    reference: int | None,
    planted: Sequence[PlantedRow],
    options: ResidualOptions,
    facts: dict[str, str],
) -> tuple[Path, Findings]:
    """Write figures and page; return the page's path and what it says.

    Args:
        run: the run directory.
        names: base and tuned model as the user called them.
        tables: tables of all block inputs.
        effects: relevance, removals and deletions.
        reference: block input of the dominant component, or None.
        planted: cosines with planted vectors.
        options: choices of the run.
        facts: what else the page says of the run, by name.

    Raises:
        RunDirectoryError: a file cannot be written.
    """
    figures = write_figures(run.path, tables, effects, reference)
    shown = {name: FigureOnPage(title, _inline(run.path, name)) for name, title in figures.items()}
    said: Findings = findings(tables, effects, reference, planted, options)
    loader = jinja2.FileSystemLoader([str(folder) for folder in _TEMPLATES])
    environment = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined, finalize=_finalize,
    )  # fmt: skip
    values: dict[str, Any] = {
        "base": names[0],
        "tuned": names[1],
        "figures": shown,
        "said": said,
        "heat": heat_lines(effects.tokens),
        "triggers": effects.triggers,
        "effects": [
            row
            for row in effects.effects
            if row.language == "all" and (row.label == "harmful" or row.group == "all")
        ],
        "reference": reference,
        "facts": facts,
    }
    text = environment.get_template("residual-space.html.j2").render(values)
    run.write_text(NAME, text)
    return run.path / NAME, said


def _finalize(value: Any) -> Any:
    """Every text that reaches the page is made visible and harmless, then escaped."""
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _inline(folder: Path, name: str) -> str:
    data = (folder / FOLDER / f"{name}.svg").read_bytes()
    return "data:image/svg+xml;base64," + base64.b64encode(data).decode("ascii")


def heat_lines(rows: Sequence[TokenRow]) -> list[HeatLine]:
    """Return the token heatmap, one line a prompt; the template's tokens are shown pale.

    Strength is relative to the strongest token of the user's text.
    """
    lines: dict[tuple[str, str], list[TokenRow]] = {}
    for row in rows:
        lines.setdefault((row.id, row.language), []).append(row)
    found = []
    for (identifier, language), tokens in lines.items():
        inside = [abs(row.relevance) for row in tokens if row.in_prompt]
        most = max(inside, default=0.0) or 1.0
        about = LANGUAGES[language]
        found.append(
            HeatLine(
                identifier,
                language,
                about.name,
                about.direction,
                [
                    HeatToken(row.token, max(-1.0, min(1.0, row.relevance / most)), row.in_prompt)
                    for row in tokens
                    if row.in_prompt
                ],
            )
        )
    return found
