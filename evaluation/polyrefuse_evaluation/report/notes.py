"""What a reader has to know before reading any figure: the notes at the top of a report."""

from dataclasses import dataclass

from polyrefuse.outcomes import Outcome
from polyrefuse.results import Result
from polyrefuse_evaluation.report import views, wording


@dataclass(frozen=True)
class Note:
    """One note: `strong` says it, `text` explains; an `alarm` forbids reliance on figures."""

    strong: str
    text: str
    alarm: bool = False


def top_notes(result: Result) -> list[Note]:
    """Return the notes that apply, the gravest first."""
    return [
        note
        for note in (
            _unverified(result),
            _failed(result),
            _marked(result),
            _planted(result),
            _filtered(result),
            _reasoning(result),
        )
        if note is not None
    ]


def _unverified(result: Result) -> Note | None:
    if result.proof is None or result.proof.verified:
        return None
    return Note(
        "Ablation was not verified on this model.",
        "Do not rely on the figures after ablation.",
        alarm=True,
    )


def _failed(result: Result) -> Note | None:
    if not result.failed:
        return None
    remedy = "Running the same command again asks only for those"
    if not result.settings.store_completions:
        remedy = "Completions are not stored, so it takes a new run directory to ask again"
    one = result.failed == 1
    return Note(
        f"{result.failed:,} verdict{' is' if one else 's are'} missing because the model or the "
        "judge could not be asked.",
        f"{remedy}; until then {'it counts' if one else 'they count'} as unparsed.",
        alarm=True,
    )


def _marked(result: Result) -> Note | None:
    marked = sum(cell.marked for cell in result.cells)
    if not marked:
        return None
    return Note(
        f"{marked} of {len(result.cells)} cells have too many responses without a verdict.",
        views.MARK_NOTE,
    )


def _planted(result: Result) -> Note | None:
    if result.model.planted_variant is None:
        return None
    return Note(f"Planted model ({result.model.planted_variant}):", f"{wording.SELF_TEST}.")


def _filtered(result: Result) -> Note | None:
    filtered = sum(cell.filtered for cell in result.cells)
    if not filtered:
        return None
    refused = sum(cell.counts.get(Outcome.REFUSED, 0) for cell in result.cells)
    return Note(
        f"The provider’s filter withheld {filtered:,} of {refused:,} refused responses.",
        "They count as refused, and are shown apart: they are the filter’s refusals, not the "
        "model’s.",
    )


def _reasoning(result: Result) -> Note | None:
    reasoning = sum(cell.reasoning for cell in result.cells)
    if not reasoning:
        return None
    total = sum(cell.n for cell in result.cells)
    return Note(
        f"{reasoning:,} of {total:,} responses came with reasoning.",
        "It was taken out before judging: verdicts are on the answer alone.",
    )
