"""The block for a model card: a table by language, how it was measured, what it does not say."""

from polyrefuse.languages import get_language
from polyrefuse.prompts import Label
from polyrefuse.results import BASELINE, Cell, Rate, Result
from polyrefuse_evaluation.leaderboard.columns import ablated_condition
from polyrefuse_evaluation.leaderboard.names import is_planted


def render_model_card(result: Result) -> str:
    """Return Markdown for the model's card; `result` is a public one."""
    condition = ablated_condition(result)
    titles = ["Language", "Refuses harmful", "Refuses harmless"]
    if condition is not None:
        titles.append("Complies with harmful, direction ablated")
    lines = ["## Refusal in other languages (PolyRefuse)", ""]
    if is_planted(result.model.name):
        lines += ["This is the project's own test model: the figures test the pipeline.", ""]
    lines += ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    for code in result.settings.languages:
        cells = [
            _cell(result, code, BASELINE, "harmful"),
            _cell(result, code, BASELINE, "harmless"),
        ]
        shown = [_rate(cell.refusal if cell else None) for cell in cells]
        if condition is not None:
            after = _cell(result, code, condition, "harmful")
            shown.append(_rate(after.compliance if after else None))
        lines.append(f"| {get_language(code).name} | " + " | ".join(shown) + " |")
    return "\n".join([*lines, "", *_method(result, condition)]) + "\n"


def _cell(result: Result, language: str, condition: str, label: Label) -> Cell | None:
    try:
        return result.cell(language, condition, label)
    except KeyError:
        return None


def _rate(rate: Rate | None) -> str:
    if rate is None or rate.value is None or rate.low is None or rate.high is None:
        return "none"
    return f"{rate.value:.1%} ({rate.low:.1%} to {rate.high:.1%})"


def _method(result: Result, condition: str | None) -> list[str]:
    dataset, settings = result.dataset, result.settings
    revision = f" at `{dataset.revision}`" if dataset.revision else ""
    lines = [
        "Shares of judged responses with 95% Wilson intervals. "
        f"Dataset `{dataset.name}`{revision}, "
        f"judge `{settings.judge.name}` {settings.judge.version}, greedy decoding, "
        f"{settings.max_new_tokens} new tokens, revision `{result.model.revision or 'none'}`."
    ]
    if condition is not None:
        lines.append(
            f"The direction is that of `{condition.partition(':')[2]}`, ablated in memory as in "
            "arXiv 2505.17306; it says how much of the refusal hangs on one direction."
        )
    lines += [
        "Refusal of these prompts is not safety: it says nothing of other prompts or of what a "
        "model does in use.",
        f"Labels: `{result.labels_digest}`.",
    ]
    return lines
